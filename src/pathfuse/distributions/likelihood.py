"""One likelihood for every endpoint: the log-probability of the set of outcomes that the truth
allows.

Everything here works row by row with reductions of fixed length, so that a sample's value does not
depend on the other samples, down to the last bit.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.lanes import added, normalise
from pathfuse.types import LogProbs, Observed, PerSample

LOG_PROB_FLOOR = -16.0
"""Log-probabilities are floored here (p about 1e-7) before anything else:
docs/design/architecture.md, section 6."""

BLOCK_CELLS = 131_072
"""Numbers that are worked on at a time, so that what is made on the way stays in the cache."""

Scores = Float[np.ndarray, "*rows outcome"]


def log_softmax(scores: Scores) -> Scores:
    """Normalises scores over the last axis.

    Args:
        scores: Float, any shape with outcomes last. Finite, of any size (1e4 does not overflow).

    Returns:
        Float, same shape: log-probabilities.
    """
    flat = np.asarray(scores).reshape(-1, np.shape(scores)[-1])
    result = np.empty(flat.shape, dtype=np.result_type(flat, np.float32))
    step = max(1, BLOCK_CELLS // max(flat.shape[1], 1))
    for start in range(0, len(flat), step):
        lanes = np.array(flat[start : start + step].T, dtype=result.dtype, order="C")
        normalise(lanes)
        result[start : start + step] = lanes.T
    return result.reshape(np.shape(scores))


def floor_log_prob(log_prob: Scores) -> Scores:
    """Floors log-probabilities at ``LOG_PROB_FLOOR`` and normalises them again.

    A probability of exactly 0 (a log-probability of -inf) is allowed.
    """
    return log_softmax(np.maximum(log_prob, LOG_PROB_FLOOR))


def floor_normalised(lanes: Float[np.ndarray, "outcome ..."]) -> None:
    """``floor_log_prob`` of what is normalised already, over the first axis and in place.

    Where nothing lies below the floor there is nothing to do.
    """
    low = (lanes < LOG_PROB_FLOOR).any(axis=0)
    if low.any():
        few = np.maximum(lanes[:, low], LOG_PROB_FLOOR)
        normalise(few)
        lanes[:, low] = few


def count_floored(log_prob: Scores) -> int:
    """How many cells ``floor_log_prob`` would raise. Absent rows (NaN) do not count."""
    return int((log_prob < LOG_PROB_FLOOR).sum())


def set_nll(log_prob: LogProbs, observed: Observed) -> PerSample:
    """Negative log-likelihood of the observed sets, ``-log sum_{c in O_n} q(c | x_n)``, in nats.

    Args:
        log_prob: Float, (sample, outcome).
        observed: (sample, outcome), at least one per row: Bool, or Float in [0, 1] where the truth
            says only a share of an outcome (a case censored inside a bin).

    Returns:
        Float, (sample,), non-negative.

    Examples:
        >>> log_prob = np.log([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
        >>> set_nll(log_prob, np.array([[True, False, False], [False, True, True]])).round(3).tolist()
        [0.693, 0.693]
    """
    with np.errstate(divide="ignore"):
        allowed = np.log(np.array(observed.T, dtype=np.float64, order="C"))
    allowed += log_prob.T
    top = allowed.max(axis=0)
    return -(top + np.log(added(np.exp(allowed - top))))
