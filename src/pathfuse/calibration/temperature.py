"""One temperature for finished predictions: a check that the fusion is as sure as it should be, no
step of it.

Every product has its own sharpness, fitted with the weights, so the best temperature of its
held-out predictions lies near 1 (docs/design/fusion.md, section 9). Guo et al., On Calibration of
Modern Neural Networks, ICML 2017.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import log_softmax, set_nll
from pathfuse.types import LogProbs, Observed

LOG_RANGE = 3.0
"""Temperatures from exp(-3) to exp(3) are tried."""


def best_temperature(log_prob: LogProbs, observed: Observed) -> float:
    """The temperature with the lowest mean NLL: above 1 the predictions were too sure, below 1 too
    timid.

    Args:
        log_prob: Float, (sample, outcome).
        observed: The observed sets, (sample, outcome).

    Examples:
        Ten cases with a probability of 0.9, of which seven turn out so: too sure, hence a
        temperature above 1.

        >>> log_prob = np.log([[0.9, 0.1]] * 10)
        >>> observed = np.array([[True, False]] * 7 + [[False, True]] * 3)
        >>> temperature = best_temperature(log_prob, observed)
        >>> np.exp(at_temperature(log_prob, temperature))[0].round(2).tolist()
        [0.7, 0.3]
    """
    from scipy.optimize import minimize_scalar  # not at the top: predict does without

    def nll(log_temperature: float) -> float:
        return float(set_nll(at_temperature(log_prob, np.exp(log_temperature)), observed).mean())

    return float(np.exp(minimize_scalar(nll, bounds=(-LOG_RANGE, LOG_RANGE), method="bounded").x))


def at_temperature(log_prob: LogProbs, temperature: Float[np.ndarray, "..."] | float) -> LogProbs:
    """``log_prob / temperature``, normalised; 1 changes nothing.

    Args:
        log_prob: Float, (sample, outcome).
        temperature: One, or one per sample as (sample, 1).
    """
    return log_softmax(log_prob / temperature)


def best_gaussian_temperature(mean: np.ndarray, variance: np.ndarray, target: np.ndarray) -> float:
    """The same for Gaussian predictions, whose temperature multiplies the variance: the mean
    squared z-score.

    Args:
        mean: Float, any shape; NaN where there is no prediction.
        variance: Float, same shape.
        target: Float, same shape; NaN where unknown.
    """
    return float(np.nanmean((target - mean) ** 2 / variance))
