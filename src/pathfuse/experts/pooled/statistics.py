"""One row per unit: minimum, mean, maximum and standard deviation of every feature over its tiles."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from pathfuse.experts.cohort import Unit
from pathfuse.experts.targets.linear import Table
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.moments import Moments
from pathfuse.features.slide_moments import slide_moments

NEAR_CONSTANT = 1e-6
"""A column is left out whose standard deviation is below this share of its mean, or of the usual
standard deviation of the columns: what varies there is rounding, and scaling would blow it up."""
_OVER_TILES: Mapping[str, Callable[[Moments], np.ndarray]] = {
    "min": lambda found: found.low,
    "mean": lambda found: found.mean,
    "max": lambda found: found.high,
    "sd": lambda found: found.sd,
}


def pooled(
    folder: FeatureFolder, units: Sequence[Unit], statistics: Sequence[str] = ("mean",)
) -> Table:
    """Statistics of each unit's tiles side by side, as found when the features were opened.

    Args:
        folder: Features.
        units: What to pool.
        statistics: Some of ``min``, ``mean``, ``max``, ``sd``.

    Returns:
        Float, (unit, statistic x dim). NaN where an encoder has none of the tiles.
    """
    names = [name for unit in units for name in unit.slides]
    ends = np.cumsum([0, *(len(unit.slides) for unit in units)]).tolist()
    found = slide_moments(folder, names)
    joined = found.joined([range(start, end) for start, end in pairwise(ends)])
    return np.concatenate([_OVER_TILES[name](joined) for name in statistics], axis=1)


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of every column, found on the training units."""

    mean: Float[np.ndarray, " column"]
    sd: Float[np.ndarray, " column"]
    """Infinite for a column that is left out."""
    clip: float | None = None
    """Standard deviations beyond which a value is cut."""

    def apply(self, table: Table) -> Table:
        """Columns in standard deviations.

        0 (the mean) where an encoder is missing and where a column is left out.
        """
        scaled = np.nan_to_num((table - self.mean) / self.sd, nan=0.0)
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)


def standard_of(table: Table, clip: float | None = None) -> Standard:
    """Finds ``Standard`` on the training units; an empty column has mean 0 and is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, sd = np.nan_to_num(np.nanmean(table, axis=0)), np.nan_to_num(np.nanstd(table, axis=0))
    return Standard(mean, sd_of_varying(mean, sd), clip)


def sd_of_varying(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Standard deviations, infinite for columns that hardly vary: whatever is divided by them is 0."""
    smallest = NEAR_CONSTANT * np.maximum(np.abs(mean), np.median(sd))
    return np.where(sd > smallest, sd, np.inf)
