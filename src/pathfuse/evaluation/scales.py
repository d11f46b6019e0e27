"""On which scale a metric's interval is symmetric: losses on the log, correlations on Fisher's z.

Wilson's for shares.

A loss of 0.03 may well be 0.06 and never -0.01. The interval is made where both ways are alike, and
carried back; the standard error comes along by its first derivative (delta method). A share has the
score interval of Wilson (JASA 22, 1927), with as many patients as would give it the standard error
that it has.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Function = Callable[[float], float]


@dataclass(frozen=True)
class Scale:
    """The open range of a metric's values, and its interval.

    By itself the plain one, the same to either side.
    """

    low: float = -np.inf
    high: float = np.inf

    def holds(self, value: float) -> bool:
        """Whether a value lies inside of the range."""
        return self.low < value < self.high

    def interval(self, value: float, error: float, quantile: float) -> tuple[float, float]:
        """The interval of a value.

        Args:
            value: Of the metric.
            error: Its standard error.
            quantile: How many standard errors to go, such as 1.96.
        """
        return value - quantile * error, value + quantile * error


@dataclass(frozen=True, kw_only=True)
class Transformed(Scale):
    """Symmetric after a transformation f (``to``); outside of its range plain.

        (low, high) = f⁻¹(f(value) ± quantile f'(value) error)

    The standard error comes along by the delta method.

    Examples:
        >>> low, high = LOG.interval(0.2, error=0.1, quantile=2.0)
        >>> round(low, 3), round(high, 3)  # as many times below as above
        (0.074, 0.544)
    """

    to: Function
    slope: Function
    """Its first derivative."""
    back: Function

    def interval(self, value: float, error: float, quantile: float) -> tuple[float, float]:
        """See ``Scale``."""
        if not self.holds(value):
            return super().interval(value, error, quantile)
        middle, half = self.to(value), quantile * error * self.slope(value)
        return float(self.back(middle - half)), float(self.back(middle + half))


class Share(Scale):
    """Of metrics that count what is right, from none to all: 0 to 1, or -1 to 1."""

    def interval(self, value: float, error: float, quantile: float) -> tuple[float, float]:
        """Wilson's interval; the value alone where it has no error."""
        if error == 0:
            return value, value
        share, error = self._share(value), error / (self.high - self.low)
        return self._back(wilson(share, share * (1 - share) / error**2, quantile))

    def at_end(self, value: float, n: int, quantile: float) -> tuple[float, float]:
        """Of a value at either end, where there is no error to go by: Wilson's interval of n
        patients.
        """
        return self._back(wilson(self._share(value), n, quantile))

    def _share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def _back(self, ends: tuple[float, float]) -> tuple[float, float]:
        low, high = (self.low + (self.high - self.low) * end for end in ends)
        return low, high


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of a share among n.

        (low, high) = (p + z² / 2n ± z √(p (1 - p) / n + z² / 4n²)) / (1 + z² / n)

    p is the share, z the quantile.

    References:
        Wilson (1927).

    Examples:
        >>> [round(end, 3) for end in wilson(0.9, n=50, quantile=1.96)]
        [0.786, 0.957]
    """
    middle = (share + quantile**2 / (2 * n)) / (1 + quantile**2 / n)
    half = (
        quantile
        / (1 + quantile**2 / n)
        * np.sqrt(share * (1 - share) / n + quantile**2 / (4 * n**2))
    )
    # Rounding must not push the share itself out of its interval.
    low, high = min(middle - half, share), max(middle + half, share)
    return float(max(low, 0.0)), float(min(high, 1.0))


PLAIN = Scale()
LOG = Transformed(0.0, to=np.log, slope=lambda x: 1 / x, back=np.exp)
SHARE, AGREEMENT = Share(0.0, 1.0), Share(-1.0, 1.0)
FISHER = Transformed(-1.0, 1.0, to=np.arctanh, slope=lambda x: 1 / (1 - x**2), back=np.tanh)
UNEXPLAINED = Transformed(
    high=1.0, to=lambda x: -np.log1p(-x), slope=lambda x: 1 / (1 - x), back=lambda y: -np.expm1(-y)
)
"""Of R2: the log of 1 - R2."""
