"""Judging: every method on the same rows, with intervals and paired differences by patient.

With folds, a metric is computed inside each fold and averaged with the folds' patient counts as weights; predictions of
different folds are never pooled into one AUROC (contract, section 6).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.estimates import Estimates, estimate, resampled
from pathfuse.evaluation.judged import Comparison, Judged, Metric, Scores, Verdict, predicted
from pathfuse.evaluation.prediction_sets import COVERAGE
from pathfuse.evaluation.resampling import (
    MIN_PATIENTS,
    Resamples,
    draw,
    percentile_interval,
    two_sided_p,
)
from pathfuse.types import Index


def judge(
    endpoint: Endpoint,
    output: str,
    judged: Judged,
    contrasts: Sequence[tuple[str, str]],
    n_resamples: int = 2000,
    seed: int = 0,
) -> Verdict:
    """Metrics of every method and paired differences of some, for one task.

    Args:
        endpoint: Names the metrics.
        output: What the rows are about: ``all``, or a label.
        judged: Rows and predictions.
        contrasts: Pairs (method, reference).
        n_resamples: Bootstrap resamples by patient.
        seed: Seed of the bootstrap.
    """
    return judge_tasks(endpoint, {output: judged}, contrasts, n_resamples, seed)


def judge_tasks(
    endpoint: Endpoint,
    tasks: Mapping[str, Judged],
    contrasts: Sequence[tuple[str, str]],
    n_resamples: int = 2000,
    seed: int = 0,
) -> Verdict:
    """Judges several tasks on the same resamples of patients; ``all`` is the macro average over labels or targets."""
    patients = np.concatenate([j.patients for j in tasks.values()])
    strata = np.concatenate([_strata(j, len(tasks) == 1 and endpoint.kind != "regression") for j in tasks.values()])
    n_patients = len(np.unique(patients))
    drawn = draw(patients, strata, n_resamples if n_patients >= MIN_PATIENTS else 0, seed)
    few = f"{n_patients} patients, fewer than {MIN_PATIENTS}: no intervals"
    verdict = Verdict([], [], [] if n_patients >= MIN_PATIENTS else [few])
    averages = _Averages(list(tasks) != ["all"])
    for output, judged in tasks.items():
        resamples = Resamples(drawn.counts, judged.patients)
        everything = {
            name: resampled(endpoint, judged, name, predicted(p), resamples) for name, p in judged.predictions.items()
        }
        if judged.sets is not None:
            everything["fused"] = {**everything["fused"], **_of_sets(judged, resamples)}
        verdict.notes.extend(_omissions(output, endpoint, judged))
        _judge_methods(verdict, output, judged, everything)
        pairs = {c: _paired(endpoint, judged, c, everything, resamples) for c in contrasts}
        _judge_contrasts(verdict, endpoint, output, judged, pairs)
        averages.add(everything, pairs)
    if list(tasks) != ["all"]:
        averages.report(verdict, endpoint, max(len(j.patients) for j in tasks.values()), n_patients)
    return verdict


def _strata(judged: Judged, by_truth: bool) -> Int[np.ndarray, " sample"]:
    """Strata of the rows' patients: fold and, for one task, the outcome."""
    if not by_truth:
        return judged.folds
    kinds = np.unique(
        np.column_stack([judged.folds, judged.observed.argmax(axis=1), judged.observed]), axis=0, return_inverse=True
    )[1]
    return np.asarray(kinds).reshape(-1)


def _judge_methods(verdict: Verdict, output: str, judged: Judged, everything: Mapping[str, Estimates]) -> None:
    for name, values in everything.items():
        rows = predicted(judged.predictions[name])
        n, n_patients = int(rows.sum()), len(np.unique(judged.patients[rows]))
        for metric, (point, replicates) in values.items():
            interval = percentile_interval(replicates)
            verdict.metrics.append(Metric(name, output, metric, point, interval.low, interval.high, n, n_patients))
            verdict.notes.extend(_note(f"{output}: {metric} of {name}", point, interval.n_undefined, judged, rows))


def _of_sets(judged: Judged, resamples: Resamples) -> Estimates:
    """Coverage and size of the fusion's prediction sets."""
    sets = judged.sets
    if sets is None:
        return {}

    def scorer(inside: Index, _fold: int) -> Scores:
        return sets.of(inside)

    rows = predicted(judged.predictions["fused"])
    return estimate(scorer, (COVERAGE, sets.size_name), judged, rows, resamples)


def _paired(
    endpoint: Endpoint,
    judged: Judged,
    contrast: tuple[str, str],
    everything: Mapping[str, Estimates],
    resamples: Resamples,
) -> tuple[Estimates, Estimates] | None:
    """Both sides of a contrast on the rows that both predict; None if there is none."""
    if not set(contrast) <= set(judged.predictions):
        return None  # an expert need not know every label
    scored = [predicted(judged.predictions[name]) for name in contrast]
    common = scored[0] & scored[1]
    if not common.any():
        return None
    one, other = (
        everything[name] if (common == own).all() else resampled(endpoint, judged, name, common, resamples)
        for name, own in zip(contrast, scored, strict=True)
    )
    return one, other


def _judge_contrasts(
    verdict: Verdict,
    endpoint: Endpoint,
    output: str,
    judged: Judged,
    pairs: Mapping[tuple[str, str], tuple[Estimates, Estimates] | None],
) -> None:
    for (name, reference), pair in pairs.items():
        if pair is None and {name, reference} <= set(judged.predictions):
            verdict.notes.append(f"{output}: {name} and {reference} have no sample in common")
        if pair is None:
            continue
        verdict.comparisons.extend(
            _compare(name, reference, output, metric, pair[0][metric], pair[1][metric]) for metric in endpoint.metrics
        )


class _Averages:
    """Running macro averages over tasks of methods' and pairs' estimates; undefined tasks are left out."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.sums: dict[Any, dict[str, list[Any]]] = {}

    def add(
        self,
        everything: Mapping[str, Estimates],
        pairs: Mapping[tuple[str, str], tuple[Estimates, Estimates] | None],
    ) -> None:
        if not self.wanted:
            return
        for name, values in everything.items():
            self._add(name, values)
        for contrast, pair in pairs.items():
            if pair is not None:
                self._add((*contrast, 0), pair[0])
                self._add((*contrast, 1), pair[1])

    def _add(self, key: Any, values: Estimates) -> None:
        slot = self.sums.setdefault(key, {})
        for metric, (point, replicates) in values.items():
            both = np.concatenate([[point], replicates])
            total = slot.setdefault(metric, [np.zeros(len(both)), np.zeros(len(both))])
            total[0] += np.where(np.isnan(both), 0.0, both)
            total[1] += ~np.isnan(both)

    def _mean(self, key: Any, metric: str) -> tuple[float, np.ndarray]:
        total, count = self.sums[key][metric]
        mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return float(mean[0]), mean[1:]

    def report(self, verdict: Verdict, endpoint: Endpoint, n: int, n_patients: int) -> None:
        """Appends the rows of output ``all``."""
        for key in self.sums:
            if isinstance(key, str):
                for metric in self.sums[key]:
                    point, replicates = self._mean(key, metric)
                    interval = percentile_interval(replicates)
                    row = Metric(key, "all", metric, point, interval.low, interval.high, n, n_patients)
                    verdict.metrics.append(row)
            elif key[2] == 0:
                one, other = ({m: self._mean((*key[:2], side), m) for m in endpoint.metrics} for side in (0, 1))
                verdict.comparisons.extend(
                    _compare(key[0], key[1], "all", m, one[m], other[m]) for m in endpoint.metrics
                )


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


def _note(what: str, point: float, n_undefined: int, judged: Judged, rows: np.ndarray) -> list[str]:
    if not rows.any():
        return [f"{what} is undefined: it scored none of the judged rows"]
    if np.isnan(point):
        if judged.context is not None:
            return [
                f"{what} is undefined on the {int(rows.sum())} judged rows: too few events or too short a follow-up"
            ]
        kinds = max(
            len(np.unique(judged.observed[rows & (judged.folds == f)], axis=0)) for f in np.unique(judged.folds)
        )
        where = "every fold holds" if len(np.unique(judged.folds)) > 1 else "the judged rows hold"
        return [f"{what} is undefined: {where} {kinds} class{'es' if kinds != 1 else ''}"]
    return [f"{what}: {n_undefined} resamples did not define it and were left out"] if n_undefined else []


def _omissions(output: str, endpoint: Endpoint, judged: Judged) -> list[str]:
    """Classes that the macro AUROC leaves out, and folds that define none."""
    if judged.context is not None or "auroc" not in endpoint.metrics:
        return []
    notes: list[str] = []
    if all(judged.observed[judged.folds == f].any(axis=0).sum() < 2 for f in np.unique(judged.folds)):
        return notes  # undefined everywhere: said with the metric
    for fold in np.unique(judged.folds):
        called = judged.fold_names[fold] if judged.fold_names else str(fold)
        where = f" in fold {called}" if len(np.unique(judged.folds)) > 1 else ""
        seen = judged.observed[judged.folds == fold].any(axis=0)
        absent = [name for name, there in zip(endpoint.outcomes, seen, strict=False) if not there]
        if absent and seen.sum() > 1:
            notes.append(f"{output}: auroc leaves out {', '.join(absent)}: no judged row{where}")
        elif absent and where:
            notes.append(f"{output}: auroc is averaged over the other folds: one class only{where}")
    return notes
