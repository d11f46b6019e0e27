"""``null_model``: one prediction for all samples, from the fit rows' truths alone.

A method that is not better than it has learned nothing. It is not a competitor: it enters neither
the council nor a ranking.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import floor_log_prob
from pathfuse.types import LogProbs, Observed

NULL_MODEL = "null_model"
STEPS, TOLERANCE = 5000, 1e-12
"""Of the iteration for outcomes that are not observed exactly."""


def null_log_prob(observed: Observed) -> Float[np.ndarray, " outcome"]:
    """The distribution over outcomes with the highest likelihood on some rows: class frequencies.

    Where only a set of outcomes is known (a censored patient outlived some bins), it is the
    nonparametric maximum likelihood estimate, found by its self-consistency (Turnbull 1976); for
    right-censored follow-up that is the Kaplan-Meier estimate on the bins. An outcome that no row
    has counts as half a row, so that its log is finite.

    Args:
        observed: The observed sets, (sample, outcome), at least one row.

    Examples:
        >>> np.exp(null_log_prob(np.eye(2, dtype=bool)[[0, 0, 0, 1]])).round(6).tolist()
        [0.75, 0.25]
    """
    sets = np.asarray(observed, dtype=np.float64)
    kinds, count = np.unique(sets, axis=0, return_counts=True)
    share = count / count.sum()
    prob = np.full(sets.shape[1], 1 / sets.shape[1])
    for _ in range(STEPS):
        predicted = kinds * prob
        new = share @ (predicted / predicted.sum(axis=1, keepdims=True))
        done = np.abs(new - prob).max() < TOLERANCE
        prob = new
        if done:
            break
    prob = np.maximum(prob, 0.5 / len(sets))
    return np.asarray(floor_log_prob(np.log(prob / prob.sum())[None])[0])


def null_moments(target: Float[np.ndarray, "sample target"]) -> Float[np.ndarray, " column"]:
    """Mean, then variance, of each target over some rows.

    Args:
        target: NaN where blank.

    Returns:
        Float, (2 G,): means, then variances; NaN for a target without a value.

    Examples:
        >>> null_moments(np.array([[1.0, 5.0], [3.0, np.nan]])).round(6).tolist()
        [2.0, 5.0, 1.0, 0.0]
    """
    known = ~np.isnan(target)
    count = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    mean = np.where(known, target, 0.0).sum(axis=0) / count
    variance = np.where(known, (target - mean) ** 2, 0.0).sum(axis=0) / count
    return np.concatenate([mean, np.maximum(variance, 1e-12)])


def for_all(predicted: Float[np.ndarray, " column"], n_samples: int) -> LogProbs:
    """The same prediction for every sample."""
    return np.tile(predicted, (n_samples, 1))
