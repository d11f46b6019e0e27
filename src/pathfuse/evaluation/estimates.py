"""Point values and resampled values of metrics, fold by fold: predictions of different folds are never pooled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.judged import Judged, Scores
from pathfuse.evaluation.resampling import Interval, Resamples, bca_interval, percentile_interval
from pathfuse.types import Index


@dataclass(frozen=True)
class Estimate:
    """One figure, with what it takes to judge how sure it is."""

    point: float
    resampled: Float[np.ndarray, " resample"]
    left_out: Float[np.ndarray, " patient"]
    """Without each patient in turn; empty unless BCa intervals are wanted."""

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference."""
        resampled, left_out = self.resampled - other.resampled, self.left_out - other.left_out
        return Estimate(self.point - other.point, resampled, left_out)

    def interval(self, level: float = 0.95) -> Interval:
        """BCa if the figure was computed without each patient, percentile otherwise."""
        if len(self.left_out):
            return bca_interval(self.point, self.resampled, self.left_out, level)
        return percentile_interval(self.resampled, level)

    def unsure(self) -> "Estimate":
        """The same figure with no interval."""
        return Estimate(self.point, np.full_like(self.resampled, np.nan), np.full_like(self.left_out, np.nan))


Estimates = Mapping[str, Estimate]
"""By metric."""

Scorer = Callable[[Index, int], Scores]
"""Scores of some rows of one fold."""


def resampled(
    endpoint: Endpoint, judged: Judged, name: str, rows: Bool[np.ndarray, " sample"], resamples: Resamples
) -> Estimates:
    """Every metric of one method on some rows."""

    def scorer(inside: Index, fold: int) -> Scores:
        return judged.scores(endpoint.kind, name, inside, fold)

    return estimate(scorer, endpoint.metrics, judged, rows, resamples)


def estimate(
    scorer: Scorer, metrics: Sequence[str], judged: Judged, rows: Bool[np.ndarray, " sample"], resamples: Resamples
) -> Estimates:
    """Point value and resampled values of some metrics on some rows."""
    if not rows.any():
        nothing = np.full(len(resamples.counts), np.nan)
        left_out = np.full(resamples.counts.shape[1] if resamples.leave_out else 0, np.nan)
        return {metric: Estimate(float("nan"), nothing, left_out) for metric in metrics}
    parts = []
    for fold in np.unique(judged.folds[rows]):
        inside = np.flatnonzero(rows & (judged.folds == fold))
        share = len(np.unique(judged.patients[inside]))
        parts.append((inside, share, scorer(inside, int(fold))))
    point = _fold_mean(parts, metrics, np.ones((1, len(rows))))
    drawn = [_fold_mean(parts, metrics, weights) for weights in resamples.row_weights()]
    without = [_fold_mean(parts, metrics, weights) for weights in resamples.left_out_weights()]
    return {
        m: Estimate(
            float(point[m][0]),
            np.concatenate([np.zeros(0), *(c[m] for c in drawn)]),
            np.concatenate([np.zeros(0), *(c[m] for c in without)]),
        )
        for m in metrics
    }


def by_fold(endpoint: Endpoint, judged: Judged, name: str, rows: Bool[np.ndarray, " sample"]) -> dict[str, np.ndarray]:
    """Every metric of one method inside each fold; NaN where a fold does not define it."""
    values = []
    for fold in np.unique(judged.folds):
        inside = np.flatnonzero(rows & (judged.folds == fold))
        scores = judged.scores(endpoint.kind, name, inside, int(fold)) if len(inside) else None
        values.append(scores.values(np.ones((1, len(inside)))) if scores else {})
    undefined = np.full(1, np.nan)
    return {m: np.array([float(v.get(m, undefined)[0]) for v in values]) for m in endpoint.metrics}


def _fold_mean(
    parts: Sequence[tuple[np.ndarray, int, Scores]], metrics: Sequence[str], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics inside each fold, averaged over the folds that define them, with patient counts as weights."""
    per_fold = [(share, scores.values(weights[:, inside])) for inside, share, scores in parts]
    undefined = np.full(len(weights), np.nan)
    result = {}
    for metric in metrics:
        values = np.stack([v.get(metric, undefined) for _, v in per_fold], axis=1)
        shares = np.where(np.isnan(values), 0.0, np.array([float(s) for s, _ in per_fold]))
        total = shares.sum(axis=1)
        weighted = (shares * np.where(np.isnan(values), 0.0, values)).sum(axis=1)
        result[metric] = np.divide(weighted, total, out=np.full(len(total), np.nan), where=total > 0)
    return result
