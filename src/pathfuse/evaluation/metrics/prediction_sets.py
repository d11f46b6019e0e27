"""How good prediction sets are: the share that holds the truth, and how much they leave open."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values
from pathfuse.evaluation.scales import LOG, SHARE
from pathfuse.types import Index, PerSample

COVERAGE, SET_SIZE, INTERVAL_WIDTH = "coverage", "set_size", "interval_width"


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

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The share that holds the truth, and the size."""
        return tuple(metric for metric in METRICS if metric.name in (COVERAGE, self.size_name))

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """``coverage`` and mean ``set_size`` (or ``interval_width``) of every resample."""
        weighted = WeightedSets(self, weights)
        return {metric.name: metric.function(weighted) for metric in self.metrics}


@dataclass(frozen=True)
class WeightedSets:
    """The rows on some resamples."""

    rows: SetScores
    weights: RowWeights

    @cached_property
    def means(self) -> Float[np.ndarray, "resample 2"]:
        """Share of hits and mean size."""
        total = self.weights.sum(axis=1)[:, None]
        table = self.weights @ np.stack([self.rows.hit, self.rows.size], axis=1)
        return np.divide(table, total, out=np.full(table.shape, np.nan), where=total > 0)


METRICS = (
    Metric(COVERAGE, "coverage", "share of samples whose set holds the truth", lambda w: w.means[:, 0], scale=SHARE),
    Metric(SET_SIZE, "set size", "outcomes in a set, mean", lambda w: w.means[:, 1], lower_is_better=True, scale=LOG),
    Metric(
        INTERVAL_WIDTH, "interval width", "in the target's unit, mean",
        lambda w: w.means[:, 1], lower_is_better=True, scale=LOG, on_a_scale=True,
    ),
)  # fmt: skip
SET_METRICS = tuple(metric.name for metric in METRICS)
"""Only the fusion has them: they rank no method."""
