"""Point values and resampled values of metrics, fold by fold: predictions of different folds are never pooled."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.judged import Judged, Scores
from pathfuse.evaluation.resampling import Resamples
from pathfuse.types import Index

Estimates = Mapping[str, tuple[float, Float[np.ndarray, " resample"]]]
"""Metric to its value and its resampled values."""

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
    """Point value and resampled values of every metric of one method on some rows."""
    nothing = np.full(len(resamples.counts), np.nan)
    if not rows.any():
        return {metric: (float("nan"), nothing) for metric in metrics}
    parts = []
    for fold in np.unique(judged.folds[rows]):
        inside = np.flatnonzero(rows & (judged.folds == fold))
        share = len(np.unique(judged.patients[inside]))
        parts.append((inside, share, scorer(inside, int(fold))))
    ones = np.ones((1, len(rows)))
    chunks = [_fold_mean(parts, metrics, weights) for weights in (ones, *resamples.row_weights())]
    return {
        metric: (float(chunks[0][metric][0]), np.concatenate([np.zeros(0), *(c[metric] for c in chunks[1:])]))
        for metric in metrics
    }


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
