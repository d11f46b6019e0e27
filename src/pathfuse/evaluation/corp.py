"""CORP: calibration curve and split of the Brier score by isotonic regression, exact and without bins.

    c = isotonic regression of y on p (pool-adjacent-violators)       the recalibrated predictions
    S = mean (p - y)²        S_C = mean (c - y)²        S_R = ȳ (1 - ȳ)
    MCB = S - S_C            DSC = S_R - S_C            UNC = S_R      S = MCB - DSC + UNC
    ICI = mean |p - c|

p is the predicted probability of an outcome, y whether it happened, (sample,); means are weighted.
MCB is what Brier's reliability is, DSC its resolution. ICI takes c as the smoothed observed
frequency. MCB and ICI are above 0 even of perfect predictions, since c also follows chance.

References:
    Dimitriadis, Gneiting and Jordan (PNAS 118, 2021); Austin and Steyerberg (2019) for the ICI.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import isotonic_regression

from pathfuse.evaluation.metrics.base import RowWeights
from pathfuse.types import PerSample

MOST_POINTS = 200
"""Points of one curve in a table."""
EVEN = 41
"""Of these so many lie evenly, so that a band is drawn between the corners of the curve, too."""
FIGURES = ("brier", "reliability", "resolution", "uncertainty", "ici")
"""What ``Corp.values`` has, one column each."""


@dataclass(frozen=True)
class Corp:
    """Rows by predicted probability, those of the same probability together."""

    prob: PerSample
    happened: PerSample

    @cached_property
    def _levels(
        self,
    ) -> tuple[Float[np.ndarray, " level"], Int[np.ndarray, " sample"], Int[np.ndarray, " level"]]:
        """Distinct probabilities, ascending; rows in their order; where each begins there."""
        level, member = np.unique(self.prob, return_inverse=True)
        order = np.argsort(member, kind="stable")
        return level, order, np.searchsorted(member[order], np.arange(len(level)))

    def values(
        self, weights: RowWeights, grid: Float[np.ndarray, " point"] | None = None
    ) -> tuple[Float[np.ndarray, "resample figure"], Float[np.ndarray, "resample point"]]:
        """The ``FIGURES`` of every resample, and its curve at some probabilities.

        Args:
            weights: Float, (resample, sample), non-negative.
            grid: Predicted probabilities; None: no curve.

        Examples:
            >>> corp = Corp(np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.0, 1.0, 0.0, 1.0]))
            >>> values, curve = corp.values(np.ones((1, 4)), grid=np.array([0.4, 0.6, 0.7]))
            >>> values[0].round(3).tolist()  # c is 0, 0.5, 0.5, 1
            [0.2, 0.075, 0.125, 0.25, 0.15]
            >>> curve.round(3).tolist()
            [[0.5, 0.5, 0.75]]
        """
        total = self._sums(weights)
        return self._values(total, self._sums(weights * self.happened), grid)

    def of_other_outcomes(
        self, happened: Float[np.ndarray, "draw sample"]
    ) -> Float[np.ndarray, "draw figure"]:
        """The ``FIGURES`` if other things had happened to the same rows."""
        total = np.repeat(self._sums(np.ones((1, len(self.prob)))), len(happened), axis=0)
        return self._values(total, self._sums(happened), None)[0]

    def _sums(self, rows: RowWeights) -> Float[np.ndarray, "resample level"]:
        """Sums over the rows of each level."""
        level, order, starts = self._levels
        ordered = rows[:, order]
        return ordered if len(level) == len(order) else np.add.reduceat(ordered, starts, axis=1)

    def _values(
        self,
        total: Float[np.ndarray, "resample level"],
        hits: Float[np.ndarray, "resample level"],
        grid: Float[np.ndarray, " point"] | None,
    ) -> tuple[Float[np.ndarray, "resample figure"], Float[np.ndarray, "resample point"]]:
        points = np.empty(0) if grid is None else grid
        figures = np.full((len(total), len(FIGURES)), np.nan)
        curves = np.full((len(total), len(points)), np.nan)
        for b, (weight, hit) in enumerate(zip(total, hits, strict=True)):
            kept = np.flatnonzero(weight)
            if not len(kept):
                continue
            level, w = self._levels[0][kept], weight[kept]
            share = hit[kept] / w
            fitted = isotonic_regression(share, weights=w).x
            w /= w.sum()
            mean = w @ share
            score = w @ (level * (level - 2 * share)) + mean
            resolution, uncertainty = w @ fitted**2 - mean**2, mean * (1 - mean)
            reliability = score + resolution - uncertainty
            figures[b] = (score, reliability, resolution, uncertainty, w @ np.abs(level - fitted))
            if len(points):
                curves[b] = np.interp(points, level, fitted)
        return figures, curves

    def grid(self) -> Float[np.ndarray, " point"]:
        """At which probabilities the curve of all rows is drawn: its corners, or as many of them as
        a table holds, and some between.
        """
        level = self._levels[0]
        weight, hit = (self._sums(one[None])[0] for one in (np.ones(len(self.prob)), self.happened))
        fitted = isotonic_regression(hit / weight, weights=weight).x
        turns = np.diff(fitted) > 0
        corners = level[np.append(True, turns) | np.append(turns, True)]
        room = MOST_POINTS - EVEN
        if len(corners) > room:
            corners = corners[np.linspace(0, len(corners) - 1, room).round().astype(np.int64)]
        return np.unique(np.concatenate([corners, np.linspace(level[0], level[-1], EVEN)]))
