"""Kaplan-Meier of the censoring times: how likely a patient is still followed.

Fitted once, on the fit rows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.types import PerSample


@dataclass(frozen=True)
class Censoring:
    """Step function G(t) = P(not censored until t)."""

    times: Float[np.ndarray, " step"]
    """Distinct observed times, ascending."""
    survival: Float[np.ndarray, " step"]
    """G after each of them."""

    @classmethod
    def fit(cls, time: PerSample, event: PerSample) -> "Censoring":
        """Product-limit estimate with censorings as the events.

        Deaths at a tied time leave the risk set first.

        Args:
            time: Float, (sample,), follow-up.
            event: Float, (sample,), 1 = observed, 0 = censored.
        """
        times, index = np.unique(time, return_inverse=True)
        censored = np.bincount(index, weights=1 - event)
        deaths = np.bincount(index, weights=event)
        at_risk = len(time) - np.concatenate([[0], np.cumsum(censored + deaths)[:-1]]) - deaths
        hazard = np.divide(censored, at_risk, out=np.zeros(len(times)), where=at_risk > 0)
        return cls(times, np.cumprod(1 - hazard))

    def at(self, time: np.ndarray) -> np.ndarray:
        """G(t), right-continuous; constant after the last observed time."""
        steps = np.concatenate([[1.0], self.survival])
        return steps[np.searchsorted(self.times, time, side="right")]

    def before(self, time: np.ndarray) -> np.ndarray:
        """G(t-), the limit from the left."""
        steps = np.concatenate([[1.0], self.survival])
        return steps[np.searchsorted(self.times, time, side="left")]

    @property
    def horizon(self) -> float:
        """The largest time at which G is still positive."""
        positive = self.times[self.survival > 0]
        return float(positive[-1]) if len(positive) else 0.0
