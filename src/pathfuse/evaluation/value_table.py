"""Every value of every metric of some methods on resamples, piece by piece."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.evaluation.judged import EndpointLike, Judged, Scores
from pathfuse.evaluation.metrics.base import RowWeights, ScoresOfMeans, Values
from pathfuse.evaluation.resampling import Resamples
from pathfuse.types import Index

Table: TypeAlias = Float[np.ndarray, "method metric value fold"]
Scorer: TypeAlias = Callable[[Index, int], Scores]
"""Scores of some rows of one fold."""


def scorer_of(endpoint: EndpointLike, judged: Judged, name: str) -> Scorer:
    """What scores one method."""

    def scorer(inside: Index, fold: int) -> Scores:
        return judged.scores(endpoint, name, inside, fold)

    return scorer


def rows_by_fold(judged: Judged, rows: Bool[np.ndarray, " sample"]) -> dict[int, Index]:
    """The numbers of some rows, by fold."""
    folds = np.unique(judged.folds[rows])
    return {int(fold): np.flatnonzero(rows & (judged.folds == fold)) for fold in folds}


def table_of(
    scores: Mapping[str, Sequence[Scores]],
    metrics: Sequence[str],
    inside: Mapping[int, Index],
    resamples: Resamples,
    pieces: Sequence[range],
) -> Table:
    """The values of some pieces, one after the other.

    Args:
        scores: Of every method, inside each fold.
        metrics: Their names.
        inside: The rows of each fold.
        resamples: The weights of the rows.
        pieces: Some of ``resamples.pieces``, in order.

    Raises:
        KeyError: The scores do not know one of the metrics.
    """
    values_of = [_values([by_fold[f] for by_fold in scores.values()]) for f in range(len(inside))]
    size = sum(map(len, pieces))
    table, start = np.full((len(scores), len(metrics), size, len(inside)), np.nan), 0
    for piece in pieces:
        weights, stop = resamples.weights(piece), start + len(piece)
        for f, own in enumerate(inside.values()):
            among = weights if len(own) == weights.shape[1] else weights[:, own]
            for n, values in enumerate(values_of[f](among)):
                for k, m in enumerate(metrics):
                    table[n, k, start:stop, f] = values[m]
        start = stop
    return table


def _values(scores: Sequence[Scores]) -> Callable[[RowWeights], list[dict[str, Values]]]:
    """What gives the metrics of several predictors on the same rows, from row weights."""
    of_means = [one for one in scores if isinstance(one, ScoresOfMeans)]
    if len(of_means) == len(scores):
        return of_means[0].together(of_means).values
    return lambda weights: [one.values(weights) for one in scores]
