"""One likelihood for every endpoint: the log-probability of the set of outcomes that the truth
allows.

Everything here works row by row with reductions of fixed length, so that a sample's value does not
depend on the other samples, down to the last bit.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.types import LogProbs, Observed, PerSample

LOG_PROB_FLOOR = -16.0
"""Log-probabilities are floored here (p about 1e-7) before anything else:
docs/design/architecture.md, section 6."""

Scores = Float[np.ndarray, "*rows outcome"]


def log_softmax(scores: Scores) -> Scores:
    """Normalises scores over the last axis.

    Args:
        scores: Float, any shape with outcomes last. Finite, of any size (1e4 does not overflow).

    Returns:
        Float, same shape: log-probabilities.
    """
    with np.errstate(over="ignore"):  # scores near the largest float: a difference of -inf is right
        shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def floor_log_prob(log_prob: Scores) -> Scores:
    """Floors log-probabilities at ``LOG_PROB_FLOOR`` and normalises them again.

    A probability of exactly 0 (a log-probability of -inf) is allowed.
    """
    return log_softmax(np.maximum(log_prob, LOG_PROB_FLOOR))


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
        allowed = log_prob + np.log(observed.astype(np.float64))
    top = allowed.max(axis=1, keepdims=True)
    return -(top + np.log(np.exp(allowed - top).sum(axis=1, keepdims=True)))[:, 0]
