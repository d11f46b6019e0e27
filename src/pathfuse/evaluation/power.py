"""The smallest difference that a study of this size can find."""

import math

from scipy.special import ndtri, stdtrit

ALPHA, POWER = 0.05, 0.8
"""Of a two-sided test, and the chance that it finds the difference."""


def detectable(error: float, freedom: float = math.inf) -> float:
    """The true difference that a two-sided test finds with 80 % power.

        d = (q(0.975) + q(0.8)) s

    ``s`` is the standard error of the difference and q the quantile function of Student's t with
    ``freedom`` degrees, or of the normal distribution where they are infinite.

    Args:
        error: Standard error of the paired difference.
        freedom: Its degrees of freedom.

    Examples:
        >>> round(detectable(1.0), 3), round(detectable(1.0, 10.0), 3)
        (2.802, 3.107)
    """
    return (_quantile(1 - ALPHA / 2, freedom) + _quantile(POWER, freedom)) * error


def error_from_interval(low: float, high: float, freedom: float = math.inf) -> float:
    """Standard error of a figure from its symmetric 95 % interval.

        s = (high - low) / (2 q(0.975))

    Examples:
        >>> round(error_from_interval(-1.96, 1.96), 3)
        1.0
    """
    return (high - low) / (2 * _quantile(1 - ALPHA / 2, freedom))


def _quantile(share: float, freedom: float) -> float:
    return float(ndtri(share) if math.isinf(freedom) else stdtrit(freedom, share))
