"""How predicted probabilities are spread among rows of one outcome: shares of bins, and quantiles."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.types import PerSample

N_BINS = 25
"""Of equal width from 0 to 1."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Spread:
    """Predicted probabilities of some rows, however many, in a few numbers."""

    middle: Float[np.ndarray, " bin"]
    share: Float[np.ndarray, " bin"]
    """Of the rows; adds up to 1."""
    quantile: Float[np.ndarray, " level"]
    """At ``LEVELS``."""


def spread_of(prob: PerSample) -> Spread:
    """The spread of at least one probability.

    Examples:
        >>> found = spread_of(np.array([0.1, 0.2, 0.3]))
        >>> found.quantile.round(2).tolist()
        [0.11, 0.15, 0.2, 0.25, 0.29]
    """
    counts, bounds = np.histogram(np.clip(prob, 0, 1), bins=N_BINS, range=(0, 1))
    return Spread((bounds[:-1] + bounds[1:]) / 2, counts / len(prob), np.quantile(prob, LEVELS))
