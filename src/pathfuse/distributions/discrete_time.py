"""Discrete-time survival: hazards of T bins, and the distribution over T bins and a tail that they
make.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.types import LogProbs


def event_distribution(
    hazard_logit: Float[np.ndarray, "row bin"],
) -> Float[np.ndarray, "row outcome"]:
    """Log-probabilities of an event in each bin, and of none: ``p_t = S_{t-1} h_t``, tail ``S_T``."""
    log_hazard = -np.logaddexp(0, -hazard_logit)
    log_survival = np.cumsum(-np.logaddexp(0, hazard_logit), axis=1)
    before = np.concatenate([np.zeros((len(log_survival), 1)), log_survival[:, :-1]], axis=1)
    return np.concatenate([before + log_hazard, log_survival[:, -1:]], axis=1)


def survival_at_edges(log_prob: LogProbs) -> Float[np.ndarray, "row bin"]:
    """S at the end of each bin: the probability of all later bins and the tail."""
    later = np.cumsum(np.exp(log_prob)[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(later[:, 1:], 1.0)


def hazards(log_prob: LogProbs) -> Float[np.ndarray, "row bin"]:
    """Hazard of each bin, ``p_t / S_{t-1}``, from an event distribution.

    In log space, since ``S`` may underflow.
    """
    not_before = np.logaddexp.accumulate(log_prob[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(np.exp(log_prob[:, :-1] - not_before[:, :-1]), 1.0)


def survival_at(
    log_prob: LogProbs, edges: Float[np.ndarray, " edge"], time: float
) -> Float[np.ndarray, " row"]:
    """S at a time between the first and the last finite edge, on a line between those next to it.

    Args:
        log_prob: Log-probabilities of T bins and the tail, (row, outcome).
        edges: T + 1 edges, the last perhaps infinite.
        time: Where.

    Examples:
        >>> half = np.log([[0.5, 0.3, 0.2]])  # S = 1, 0.5, 0.2 at 0, 10, 20
        >>> survival_at(half, np.array([0.0, 10.0, 20.0]), 15.0).round(3).tolist()
        [0.35]
    """
    survival = np.column_stack([np.ones(len(log_prob)), survival_at_edges(log_prob)])
    k = int(np.clip(np.searchsorted(edges, time), 1, len(edges) - 1))
    width = edges[k] - edges[k - 1]
    share = 0.0 if time <= edges[k - 1] else min((time - edges[k - 1]) / width, 1.0)
    return np.asarray((1 - share) * survival[:, k - 1] + share * survival[:, k])
