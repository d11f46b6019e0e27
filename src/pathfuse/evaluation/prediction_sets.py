"""How good prediction sets are: the share that holds the truth, and how much they leave open."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from pathfuse.evaluation.classification import RowWeights, Values
from pathfuse.types import Index, PerSample

COVERAGE, SET_SIZE, INTERVAL_WIDTH = "coverage", "set_size", "interval_width"
SET_METRICS = (COVERAGE, SET_SIZE, INTERVAL_WIDTH)
"""Only the fusion has them: they rank no method."""


@dataclass(frozen=True)
class SetScores:
    """The judged rows' sets or intervals."""

    hit: Bool[np.ndarray, " sample"]
    """Whether the truth is inside."""
    size: PerSample
    """Outcomes in the set, or the interval's width in the target's unit."""
    size_name: str = SET_SIZE

    def of(self, rows: Index) -> "SetScores":
        """Some rows."""
        return SetScores(self.hit[rows], self.size[rows], self.size_name)

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """``coverage`` and mean ``set_size`` (or ``interval_width``) of every resample."""
        total = weights.sum(axis=1)
        table = weights @ np.stack([self.hit, self.size], axis=1)
        means = np.divide(table, total[:, None], out=np.full(table.shape, np.nan), where=total[:, None] > 0)
        return {COVERAGE: means[:, 0], self.size_name: means[:, 1]}
