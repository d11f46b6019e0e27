"""Where a value stands among those of the fit rows: its rank between 0 and 1.

Ranks make figures of any size and shape alike, and no single value can raise an alarm. Their mean
over new samples is the probability that a new sample has more of the figure than one of the fit
rows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.drift.figures import Values

KNOTS = 256
"""Quantiles that stand for the fit rows."""
SPREAD_EVEN = 1 / 12
"""Mean squared distance of even ranks from one half."""

Ranks = Float[np.ndarray, "sample figure"]


@dataclass(frozen=True)
class Ranking:
    """The fit rows' values of every figure."""

    knots: Float[np.ndarray, "figure knot"]
    """Sorted; NaN for a figure that no fit row has."""

    @classmethod
    def of(cls, values: Values) -> "Ranking":
        """The quantiles of the values that are known.

        Args:
            values: Of the fit rows, (sample, figure), NaN where unknown.
        """
        levels = (np.arange(KNOTS) + 0.5) / KNOTS
        knots = np.full((values.shape[1], KNOTS), np.nan)
        for f, column in enumerate(values.T):
            known = column[~np.isnan(column)]
            if len(known):
                knots[f] = np.quantile(known, levels, method="inverted_cdf")
        return cls(_rounded(knots))

    def ranks(self, values: Values) -> Ranks:
        """Ranks of values; of equals the middle. NaN where the value, or the figure, is unknown."""
        found = np.full(values.shape, np.nan)
        for f, (knots, column) in enumerate(zip(self.knots, _rounded(values.T), strict=True)):
            if not np.isnan(knots[0]):
                below = np.searchsorted(knots, column, side="left")
                below += np.searchsorted(knots, column, side="right")
                found[:, f] = np.where(np.isnan(column), np.nan, below / (2 * KNOTS))
        return found


def _rounded(values: np.ndarray) -> np.ndarray:
    """In single precision: values that differ by rounding alone are equal, and so are ranked alike."""
    return values.astype(np.float32).astype(np.float64)


def features(ranks: Ranks) -> Float[np.ndarray, "sample feature"]:
    """What is compared of every figure: its rank, and its distance from the middle, squared.

    Both are around 0; a figure that is not known of a sample counts as 0, which says nothing.

    Args:
        ranks: Float, (sample, figure).

    Returns:
        Float, (sample, 2 figure): of all figures the first, then of all figures the second.
    """
    middle = ranks - 0.5
    return np.nan_to_num(np.concatenate([middle, middle**2 - SPREAD_EVEN], axis=1), nan=0.0)
