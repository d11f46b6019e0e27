"""Evaluating segmentations: every model on the same images, with paired intervals by patient.

Metrics of sums are not sums of metrics: patients are drawn, their confusion matrices summed with
the counts of the draw (one matrix product for all resamples), and the metrics computed from the
sums (docs/design/densebench.md, section 8).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int, Shaped

from pathfuse.dense.evaluation.base import DenseMetric
from pathfuse.dense.evaluation.confusion import Confusions, ConfusionTable
from pathfuse.dense.evaluation.idle import without_idle
from pathfuse.dense.evaluation.instance_table import InstanceTable
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.dense.evaluation.metrics import CLASS_METRICS, METRICS, Parity, class_metrics, metrics
from pathfuse.errors import InputError
from pathfuse.evaluation.estimates import Estimate
from pathfuse.evaluation.intervals import MIN_RESAMPLES, Sampled
from pathfuse.evaluation.judged import Comparison, MetricRow, Verdict
from pathfuse.evaluation.multiplicity import holm_once
from pathfuse.evaluation.paired_tests import adjusted_p
from pathfuse.evaluation.resampling import MIN_PATIENTS, draw
from pathfuse.report.frames import comparisons_frame, metrics_frame

Key: TypeAlias = tuple[str, DenseMetric]
"""Output (``all`` or a class) and metric."""
Score: TypeAlias = Callable[[Float[np.ndarray, "row column"]], dict[Key, Float[np.ndarray, " row"]]]
"""Sums over images to figures."""
Columns: TypeAlias = Shaped[np.ndarray, "image ..."]
Scored: TypeAlias = Mapping[str, Bool[np.ndarray, " image"]]


class DenseVerdict(NamedTuple):
    """Metrics, paired comparisons and warnings."""

    metrics: pl.DataFrame
    """``method, output, metric, value, ci_low, ci_high, n, n_patients``; ``output`` is ``all`` or a
    class."""
    comparisons: pl.DataFrame
    """``method, reference, output, metric, difference, ci_low, ci_high, p_value, test, p_holm``:
    paired."""
    warnings: list[str]
    """Sentences: classes without a true positive, classes without a pixel, too few patients."""


def evaluate_confusions(
    cms: Mapping[str, Confusions],
    patients: Sequence[str] | np.ndarray,
    n_resamples: int = 1000,
    seed: int = 0,
    *,
    classes: Sequence[str] | None = None,
    contrasts: Sequence[tuple[str, str]] | None = None,
    scored: Scored | None = None,
    parity: Parity = "fixed",
) -> DenseVerdict:
    """Metrics of every model and paired differences, from confusion matrices of images.

    Args:
        cms: Per model, Int64, (image, K, K); the same images in the same order.
        patients: (image,), of any type: the unit of resampling; image identifiers where patients
            are unknown.
        n_resamples: Bootstrap resamples.
        seed: The same seed gives the same draw of patients, for all models.
        classes: Names of the K classes; default: their numbers.
        contrasts: Pairs (method, reference); default: every two models, in order.
        scored: Per model, the images that it has a prediction of; default: all. A model is evaluated
            on its own images, a pair on the images of both.
        parity: ``paper``: F1 and counts as published.

    Returns:
        Point estimates on all images, and intervals that cover among so many patients
        (``evaluation.intervals``; none with fewer than ``MIN_PATIENTS`` patients).

    Raises:
        InputError: There is no image, or shapes disagree.
    """
    k = _check(cms, patients)
    names = [str(number) for number in range(k)] if classes is None else list(classes)
    if len(names) != k:
        raise InputError(
            f"the confusion matrices have {k} classes, but {len(names)} classes are named"
        )
    score = pixel_score(names, parity)
    verdict = _evaluate(cms, patients, score, n_resamples, seed, contrasts, scored)
    return verdict._replace(warnings=[*verdict.warnings, *class_warnings(cms, names)])


def pixel_score(classes: Sequence[str], parity: Parity = "fixed") -> Score:
    """From summed matrices to every metric, over all classes and of each."""
    k = len(classes)

    def score(sums: Float[np.ndarray, "row column"]) -> dict[Key, Float[np.ndarray, " row"]]:
        matrices = sums.reshape(len(sums), k, k)
        overall = metrics(matrices, parity=parity)
        by_class = class_metrics(matrices, parity=parity)
        found: dict[Key, Float[np.ndarray, " row"]] = {
            ("all", metric): overall[metric.name] for metric in METRICS
        }
        return found | {
            (label, metric): by_class[metric.name][:, i]
            for i, label in enumerate(classes)
            for metric in CLASS_METRICS
        }

    return score


def evaluate_instances(
    values: Mapping[str, Mapping[str, Float[np.ndarray, " image"]]],
    patients: Sequence[str] | np.ndarray,
    n_resamples: int = 1000,
    seed: int = 0,
    *,
    contrasts: Sequence[tuple[str, str]] | None = None,
    scored: Scored | None = None,
) -> DenseVerdict:
    """AJI and PQ of every model: the mean over images, with the same intervals as
    ``evaluate_confusions``.

    Args:
        values: Per model and name of ``INSTANCE_METRICS``, Float, (image,); NaN where the image
            defines none.
        patients: As in ``evaluate_confusions``, as are the others.
        n_resamples: Bootstrap resamples.
        seed: Seed of the draw.
        contrasts: Pairs (method, reference).
        scored: Images of each model.

    Raises:
        InputError: There is no image, or shapes disagree.
    """
    columns = {name: instance_columns(own) for name, own in values.items()}
    _check(columns, patients)
    return _evaluate(columns, patients, instance_score, n_resamples, seed, contrasts, scored)


def instance_columns(
    values: Mapping[str, Float[np.ndarray, " image"]],
) -> Float[np.ndarray, "image column"]:
    """What is summed over images: the value of each metric, and whether the image defines it."""
    stacked = np.stack([values[m.name] for m in INSTANCE_METRICS], axis=1)
    return np.concatenate([np.nan_to_num(stacked), ~np.isnan(stacked)], axis=1)


def instance_score(
    sums: Float[np.ndarray, "row column"],
) -> dict[Key, Float[np.ndarray, " row"]]:
    """From sums over images to means over those that define a metric."""
    total, count = np.split(sums, 2, axis=1)
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return {("all", metric): means[:, i] for i, metric in enumerate(INSTANCE_METRICS)}


def evaluate_columns(
    confusions: ConfusionTable,
    instances: InstanceTable | None,
    patient_of: Mapping[str, str],
    n_resamples: int = 1000,
    seed: int = 0,
    *,
    classes: Sequence[str] | None = None,
    contrasts: Sequence[tuple[str, str]] | None = None,
    parity: Parity = "fixed",
) -> DenseVerdict:
    """Pixels, and instances where they are known, in one verdict.

    Args:
        confusions: All models on all judged images.
        instances: The same models on the images with instances; None: there are none.
        patient_of: Patient of each image.
        n_resamples: Bootstrap resamples.
        seed: Seed of the draw.
        classes: Names of the classes.
        contrasts: Pairs (method, reference).
        parity: As in ``evaluate_confusions``.

    Raises:
        InputError: There is no image.
    """
    confusions, idle = without_idle(confusions)
    patients = [patient_of[image] for image in confusions.image_ids]
    pixels = evaluate_confusions(
        confusions.cms, patients, n_resamples, seed,
        classes=classes, contrasts=contrasts, scored=confusions.scored, parity=parity,
    )  # fmt: skip
    pixels = pixels._replace(warnings=[*idle, *pixels.warnings])
    if instances is None:
        return pixels
    patients = [patient_of[image] for image in instances.image_ids]
    nuclei = evaluate_instances(
        instances.values, patients, n_resamples, seed, contrasts=contrasts, scored=instances.scored
    )
    return DenseVerdict(
        pl.concat([pixels.metrics, nuclei.metrics]),
        pl.concat([pixels.comparisons, nuclei.comparisons]),
        list(dict.fromkeys([*pixels.warnings, *nuclei.warnings])),
    )


def class_warnings(cms: Mapping[str, Confusions], classes: Sequence[str]) -> list[str]:
    """Classes of which no model, or one model, hits a single pixel; and classes that no mask shows."""
    sums = {name: own.sum(axis=0) for name, own in cms.items()}
    found = []
    for k, label in enumerate(classes):
        true = max(int(total[k].sum()) for total in sums.values())
        if not true:
            found.append(f"class '{label}' has no true pixel in the judged images")
            continue
        missed = [name for name, total in sums.items() if total[k].sum() and not total[k, k]]
        if len(missed) == len(sums):
            found.append(
                f"class '{label}' has {true} true pixels and no model hits one: "
                "the labels, the split or the merging of classes may be wrong"
            )
        elif missed:
            found.append(f"class '{label}' has no true positive by {', '.join(missed)}")
    return found


def resampled_sums(
    columns: Shaped[np.ndarray, "image column"],
    patient_of_image: Int[np.ndarray, " image"],
    counts: Int[np.ndarray, "resample patient"],
) -> Float[np.ndarray, "resample column"]:
    """Sums over the images of drawn patients, for all resamples in one matrix product.

    Float64 keeps counts up to 2^53 exact.
    """
    by_patient = np.zeros((counts.shape[1], columns.shape[1]))
    np.add.at(by_patient, patient_of_image, columns)
    return np.asarray(counts.astype(np.float64) @ by_patient)


class Evaluator:
    """Figures of models on some of the images, each with its resamples; the draw is one for all."""

    def __init__(
        self, patients: Sequence[str] | np.ndarray, score: Score, n_resamples: int, seed: int
    ) -> None:
        self.patients = np.unique(np.asarray(patients).astype(str), return_inverse=True)[1].reshape(
            -1
        )
        self.enough = int(self.patients.max()) + 1 >= MIN_PATIENTS
        one = np.zeros_like(self.patients)
        self.counts = draw(self.patients, one, n_resamples if self.enough else 0, seed).counts
        self.score = score

    def figures(self, columns: Columns, images: Bool[np.ndarray, " image"]) -> dict[Key, Estimate]:
        """Every figure on all images, on each resample, and without each patient.

        A resample without a true pixel of a class that the images show defines no mean over the
        classes.
        """
        own = np.where(images[:, None], columns.reshape(len(columns), -1), 0)
        everybody = np.ones((1, self.counts.shape[1]), dtype=self.counts.dtype)
        weights = [
            everybody,
            self.counts,
            everybody - np.eye(len(everybody.T), dtype=self.counts.dtype),
        ]
        counts = np.concatenate(weights) if len(self.counts) else everybody
        values = self.score(resampled_sums(own, self.patients, counts))
        lacking = np.zeros(len(counts), dtype=bool)
        for (output, metric), value in values.items():
            if output != "all" and metric.needs_true_pixel and not np.isnan(value[0]):
                lacking |= np.isnan(value)
        sampled = Sampled(len(np.unique(self.patients[images])))
        return {
            (output, metric): Estimate(
                np.where(lacking & (output == "all"), np.nan, value)[:, None],
                np.ones(1),
                len(self.counts),
                sampled,
                metric,
            )
            for (output, metric), value in values.items()
        }


def _evaluate(
    columns: Mapping[str, Columns],
    patients: Sequence[str] | np.ndarray,
    score: Score,
    n_resamples: int,
    seed: int,
    contrasts: Sequence[tuple[str, str]] | None,
    scored: Scored | None,
) -> DenseVerdict:
    evaluator = Evaluator(patients, score, n_resamples, seed)
    every = np.ones(len(evaluator.patients), dtype=bool)
    images = {
        name: scored[name] if scored is not None and name in scored else every for name in columns
    }
    everything = {name: evaluator.figures(own, images[name]) for name, own in columns.items()}
    verdict = Verdict([], [], [], [])
    if not evaluator.enough:
        n = int(evaluator.patients.max()) + 1
        verdict.notes.append(f"{n} patients or images, fewer than {MIN_PATIENTS}: no intervals")
    elif 0 < n_resamples < MIN_RESAMPLES:
        verdict.notes.append(f"{n_resamples} resamples, fewer than {MIN_RESAMPLES}: no intervals")
    for name, figures in everything.items():
        n, n_patients = int(images[name].sum()), len(np.unique(evaluator.patients[images[name]]))
        for (output, metric), value in figures.items():
            interval = value.interval()
            bounds = interval.low, interval.high
            verdict.metrics.append(
                MetricRow(name, output, metric.name, value.point, *bounds, n, n_patients)
            )
    for name, reference in contrasts if contrasts is not None else combinations(columns, 2):
        common = images[name] & images[reference]
        if not common.any():
            verdict.notes.append(f"{name} and {reference} have no image in common")
            continue
        one, other = (
            everything[m] if (common == images[m]).all() else evaluator.figures(columns[m], common)
            for m in (name, reference)
        )
        same = np.array_equal(columns[name], columns[reference])
        verdict.comparisons.extend(
            compare((name, reference, key[0], key[1].name), one[key], other[key], same)
            for key in one
        )
    table = adjusted(verdict, columns, every_pair=contrasts is None)
    return DenseVerdict(metrics_frame(verdict), table, verdict.notes)


def compare(
    key: tuple[str, str, str, str], one: Estimate, other: Estimate, same: bool
) -> Comparison:
    """A paired difference; the key is (method, reference, output, metric)."""
    difference = one.minus(other, same)
    interval = difference.interval()
    how = ", t" if difference.uses_t("auto") else ""
    test = f"paired bootstrap by patient, {difference.n_resamples} resamples{how}"
    test = "none" if np.isnan(interval.low) else test
    return Comparison(
        *key,
        difference.point,
        interval.low,
        interval.high,
        difference.p_value(),
        test,
        float("nan"),
    )


def adjusted(
    verdict: Verdict, columns: Mapping[str, Columns], *, every_pair: bool = True
) -> pl.DataFrame:
    """The comparisons with Holm's p-values; methods with the same matrices count once.

    Args:
        verdict: The comparisons.
        columns: Matrices of each method.
        every_pair: Every two were compared: one family per output and metric, so that nothing
            depends on the order of the methods. Else a family per method.
    """
    same = {name: own.tobytes() for name, own in columns.items()}
    rows: list[Comparison] = []
    for output in dict.fromkeys(row.output for row in verdict.comparisons):
        own = [row for row in verdict.comparisons if row.output == output]
        p_holm = _over_every_pair(own, same) if every_pair else adjusted_p(own, same)[0]
        rows.extend(
            Comparison(**{**row.__dict__, "p_holm": float(p)})
            for row, p in zip(own, p_holm, strict=True)
        )
    return comparisons_frame(Verdict([], rows, [], []))


def _over_every_pair(
    rows: Sequence[Comparison], same: Mapping[str, bytes]
) -> Float[np.ndarray, " comparison"]:
    found = np.full(len(rows), np.nan)
    for metric in dict.fromkeys(row.metric for row in rows):
        members = [i for i, row in enumerate(rows) if row.metric == metric]
        pairs = [frozenset({same[rows[i].method], same[rows[i].reference]}) for i in members]
        found[members] = holm_once(np.array([rows[i].p_value for i in members]), pairs)
    return found


def _check(columns: Mapping[str, Columns], patients: Sequence[str] | np.ndarray) -> int:
    """The size of the last axis.

    Raises:
        InputError: There is nothing to evaluate, or shapes disagree.
    """
    if not columns or not len(patients):
        raise InputError("there is nothing to evaluate: no model or no image")
    shapes = {own.shape for own in columns.values()}
    shape = next(iter(shapes))
    if len(shapes) > 1 or shape[0] != len(patients):
        raise InputError(
            f"the models' tables have the shapes {sorted(shapes)} for {len(patients)} images"
        )
    return int(shape[-1])
