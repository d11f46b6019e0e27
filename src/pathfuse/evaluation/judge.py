"""Judging: every method on the same rows, with intervals and paired differences by patient.

With folds, a metric is computed inside each fold and averaged with the folds' patient counts as weights; predictions of
different folds are never pooled into one AUROC (contract, section 6).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.likelihood import log_softmax
from pathfuse.errors import InputError
from pathfuse.evaluation.classification import ClassificationScores
from pathfuse.evaluation.resampling import (
    MIN_PATIENTS,
    Resamples,
    draw,
    percentile_interval,
    two_sided_p,
)
from pathfuse.types import LogProbs, Observed

Scorer = Callable[[LogProbs, Observed], ClassificationScores]
SCORERS: dict[str, Scorer] = {"multiclass": ClassificationScores}
"""Per endpoint, what turns predictions and truth into metrics under row weights."""


@dataclass(frozen=True)
class Judged:
    """The rows that methods are judged on, for one task."""

    observed: Observed
    patients: Int[np.ndarray, " sample"]
    """0..P-1."""
    folds: Int[np.ndarray, " sample"]
    """0..F-1; all 0 without folds."""
    predictions: dict[str, LogProbs]
    """Per method; a row of NaN where the method has no prediction."""


@dataclass(frozen=True)
class Metric:
    """One row of ``metrics.csv``."""

    method: str
    output: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    n_patients: int


@dataclass(frozen=True)
class Comparison:
    """One row of ``comparisons.csv``: method less reference, on the rows that both predict."""

    method: str
    reference: str
    output: str
    metric: str
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    test: str


@dataclass(frozen=True)
class Verdict:
    """What judging found, and what it could not say."""

    metrics: list[Metric]
    comparisons: list[Comparison]
    notes: list[str]


def average_patients(judged: Judged) -> Judged:
    """One row per patient: the mean of its rows' log-probabilities, normalised (``--unit patient``).

    Raises:
        InputError: A patient's rows disagree on the truth.
    """
    patients, first = np.unique(judged.patients, return_index=True)
    if (judged.observed != judged.observed[first][judged.patients]).any():
        raise InputError("--unit patient needs one truth per patient, but some patient's samples have different labels")
    member = np.eye(len(patients))[judged.patients]
    predictions = {}
    for name, log_prob in judged.predictions.items():
        there = ~np.isnan(log_prob[:, 0])
        count = member[there].sum(axis=0)
        mean = member[there].T @ log_prob[there] / np.maximum(count, 1)[:, None]
        predictions[name] = np.where(count[:, None] > 0, log_softmax(mean), np.nan)
    return Judged(judged.observed[first], np.arange(len(patients)), judged.folds[first], predictions)


def judge(
    endpoint: Endpoint,
    output: str,
    judged: Judged,
    contrasts: Sequence[tuple[str, str]],
    n_resamples: int = 2000,
    seed: int = 0,
) -> Verdict:
    """Metrics of every method and paired differences of some.

    Args:
        endpoint: Names the metrics.
        output: What the rows are about: ``all``, or a label.
        judged: Rows and predictions.
        contrasts: Pairs (method, reference).
        n_resamples: Bootstrap resamples by patient.
        seed: Seed of the bootstrap.
    """
    strata = np.unique(np.column_stack([judged.folds, judged.observed.argmax(axis=1)]), axis=0, return_inverse=True)[1]
    n_patients = len(np.unique(judged.patients))
    resamples = draw(judged.patients, strata.reshape(-1), n_resamples if n_patients >= MIN_PATIENTS else 0, seed)
    scored = {name: ~np.isnan(p[:, 0]) for name, p in judged.predictions.items()}
    everything = {name: _resampled(endpoint, judged, name, scored[name], resamples) for name in judged.predictions}
    notes = (
        [] if len(resamples.counts) else [f"{output}: {n_patients} patients, fewer than {MIN_PATIENTS}: no intervals"]
    )
    metrics, comparisons = [], []
    for name, values in everything.items():
        rows = scored[name]
        for metric in endpoint.metrics:
            point, replicates = values[metric]
            interval = percentile_interval(replicates)
            metrics.append(
                Metric(name, output, metric, point, interval.low, interval.high, int(rows.sum()),
                       len(np.unique(judged.patients[rows])))
            )  # fmt: skip
            notes += _note(f"{output}: {metric} of {name}", point, interval.n_undefined, judged, rows)
    for name, reference in contrasts:
        common = scored[name] & scored[reference]
        if not common.any():
            notes.append(f"{output}: {name} and {reference} have no sample in common")
            continue
        one = everything[name] if common.all() or (common == scored[name]).all() else None
        other = everything[reference] if (common == scored[reference]).all() else None
        one = one or _resampled(endpoint, judged, name, common, resamples)
        other = other or _resampled(endpoint, judged, reference, common, resamples)
        comparisons += [
            _compare(name, reference, output, metric, one[metric], other[metric]) for metric in endpoint.metrics
        ]
    return Verdict(metrics, comparisons, notes)


Estimates = Mapping[str, tuple[float, Float[np.ndarray, " resample"]]]
"""Metric to its value and its resampled values."""


def _compare(
    name: str,
    reference: str,
    output: str,
    metric: str,
    one: tuple[float, np.ndarray],
    other: tuple[float, np.ndarray],
) -> Comparison:
    difference = one[1] - other[1]
    interval = percentile_interval(difference)
    p_value = two_sided_p(difference) if not np.isnan(interval.low) else float("nan")
    test = f"paired bootstrap by patient, {len(difference)} resamples" if len(difference) else "none"
    return Comparison(name, reference, output, metric, one[0] - other[0], interval.low, interval.high, p_value, test)


def _resampled(
    endpoint: Endpoint, judged: Judged, name: str, rows: Bool[np.ndarray, " sample"], resamples: Resamples
) -> Estimates:
    """Point value and resampled values of every metric of one method on some rows."""
    parts = []
    for fold in np.unique(judged.folds[rows]):
        inside = np.flatnonzero(rows & (judged.folds == fold))
        share = len(np.unique(judged.patients[inside]))
        parts.append((inside, share, SCORERS[endpoint.kind](judged.predictions[name][inside], judged.observed[inside])))
    ones = np.ones((1, len(rows)))
    chunks = [_fold_mean(parts, weights) for weights in (ones, *resamples.row_weights())]
    return {
        metric: (float(chunks[0][metric][0]), np.concatenate([np.zeros(0), *(c[metric] for c in chunks[1:])]))
        for metric in endpoint.metrics
    }


def _fold_mean(
    parts: Sequence[tuple[np.ndarray, int, ClassificationScores]], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics inside each fold, averaged over the folds that define them, with patient counts as weights."""
    per_fold = [(share, scores.values(weights[:, inside])) for inside, share, scores in parts]
    result = {}
    for metric in per_fold[0][1]:
        values = np.stack([v[metric] for _, v in per_fold], axis=1)
        shares = np.where(np.isnan(values), 0.0, np.array([float(s) for s, _ in per_fold]))
        total = shares.sum(axis=1)
        weighted = (shares * np.where(np.isnan(values), 0.0, values)).sum(axis=1)
        result[metric] = np.divide(weighted, total, out=np.full(len(total), np.nan), where=total > 0)
    return result


def _note(what: str, point: float, n_undefined: int, judged: Judged, rows: np.ndarray) -> list[str]:
    classes = len(np.unique(judged.observed[rows].argmax(axis=1)))
    if np.isnan(point):
        return [f"{what} is undefined: the judged rows hold {classes} class{'es' if classes != 1 else ''}"]
    return [f"{what}: {n_undefined} resamples did not define it and were left out"] if n_undefined else []
