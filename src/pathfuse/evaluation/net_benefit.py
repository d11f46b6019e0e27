"""Net benefit of acting on a probability: decision curves under row weights.

    NB(t) = TP(t) / n - FP(t) / n · t / (1 - t)

Whoever has a probability of at least t is treated; TP are the treated with the outcome and FP those
without it, of n. Who would treat at a probability of t counts a needless treatment t / (1 - t)
times as bad as a missed one. Treating all has every row at probability 1, treating none has NB 0.
Values agree with dcurves, which only the tests use.

Sources: Vickers and Elkin, Med Decis Making 26 (2006); for survival Vickers, Cronin, Elkin and
Gonen, BMC Med Inform Decis Mak 8 (2008).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_array

from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values
from pathfuse.types import PerSample

TREAT_ALL, TREAT_NONE = "treat_all", "treat_none"
"""The two policies that need no prediction."""
STEP, FEWEST, MOST = 0.01, 11, 51
"""Thresholds lie this far apart, unless that made fewer or more points than these."""
TIED = 1e-9
"""A probability this close below a threshold counts as on it: experts round theirs."""

Thresholds = Float[np.ndarray, " threshold"]
Rates = Float[np.ndarray, "method threshold resample"]


def threshold_grid(text: str) -> Thresholds:
    """The thresholds of a range such as ``0.05:0.5``, evenly spaced.

    Raises:
        InputError: These are not two numbers between 0 and 1, the lower first.

    Examples:
        >>> threshold_grid("0.1:0.3")[[0, 1, -1]].tolist()
        [0.1, 0.11, 0.3]
    """
    parts = text.split(":")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        low = high = np.nan
    if not 0 < low < high < 1:
        raise InputError(
            f"--thresholds '{text}' must be two numbers between 0 and 1, the lower first, such as 0.05:0.5"
        )
    n = int(np.clip(round((high - low) / STEP) + 1, FEWEST, MOST))
    return np.linspace(low, high, n).round(12)


def figure_at(method: str, threshold: float) -> str:
    """What the net benefit of a method at one threshold is called among the figures."""
    return f"{method} at {threshold:.12g}"


@dataclass(frozen=True)
class NetBenefit(ABC):
    """Net benefit of several methods on the same rows.

    Its figures are the net benefit of each method at each threshold (``figure_at``) and, under the
    method's name, the mean over the range of thresholds (by trapezoids).
    """

    risk: Mapping[str, PerSample]
    """By method the probability of the outcome, which it is to be of all rows."""
    thresholds: Thresholds

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Those given, and the two policies that need no prediction."""
        return (*self.risk, TREAT_ALL, TREAT_NONE)

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """See ``Scores``."""
        return tuple(
            Metric(name, "net benefit", "", lambda _: np.zeros(0))
            for method in self.methods
            for name in (method, *(figure_at(method, t) for t in self.thresholds))
        )

    @cached_property
    def level(self) -> np.ndarray:
        """Int, (method, sample), the number of thresholds that a row reaches; treating all last."""
        reached = [
            np.searchsorted(self.thresholds, one + TIED, side="right") for one in self.risk.values()
        ]
        everybody = np.full(self.n_rows, len(self.thresholds))
        return np.stack([*reached, everybody])

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every figure of every resample; NaN where nobody is drawn.

        Args:
            weights: Float, (resample, sample), non-negative.
        """
        true, false = self.treated(weights)
        total = weights.sum(axis=1)
        odds = self.thresholds / (1 - self.thresholds)
        net = np.full_like(true, np.nan)
        np.divide(true - odds[:, None] * false, total, out=net, where=total > 0)
        net = np.concatenate([net, np.zeros_like(net[:1])])
        width = self.thresholds[-1] - self.thresholds[0]
        found: dict[str, Values] = {}
        for method, curve in zip(self.methods, net, strict=True):
            found[method] = np.trapezoid(curve, self.thresholds, axis=0) / width
            at = zip(self.thresholds, curve, strict=True)
            found |= {figure_at(method, float(t)): values for t, values in at}
        return found

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def treated(self, weights: RowWeights) -> tuple[Rates, Rates]:
        """Summed weights of the treated with the outcome, and of those without it."""


@dataclass(frozen=True)
class NetBenefitOfClass(NetBenefit):
    """Of an outcome that is known of every row.

    Examples:
        >>> risk, positive = {"a": np.array([0.9, 0.4, 0.1])}, np.array([True, False, False])
        >>> one = NetBenefitOfClass(risk, np.array([0.2, 0.5]), positive)
        >>> round(float(one.values(np.ones((1, 3)))["a at 0.2"][0]), 4)  # 1/3 - 1/3 * 0.25
        0.25
    """

    positive: Bool[np.ndarray, " sample"]

    @property
    def n_rows(self) -> int:
        """See ``NetBenefit``."""
        return len(self.positive)

    @cached_property
    def _cells(self) -> csr_array:
        """Which row counts in which (method, threshold, outcome)."""
        method, row = np.nonzero(self.level)
        n = len(self.thresholds)
        cell = (method * n + self.level[method, row] - 1) * 2 + self.positive[row]
        shape = (len(self.level) * n * 2, self.n_rows)
        return csr_array((np.ones(len(row)), (cell, row)), shape=shape)

    def treated(self, weights: RowWeights) -> tuple[Rates, Rates]:
        """See ``NetBenefit``: rows are counted once, at the highest threshold that they reach."""
        counts = np.asarray(self._cells @ weights.T).reshape(
            len(self.level), len(self.thresholds), 2, len(weights)
        )
        above = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        return above[:, :, 1], above[:, :, 0]


@dataclass(frozen=True)
class NetBenefitByHorizon(NetBenefit):
    """Of an event by a horizon h, with censoring: Kaplan-Meier among the treated, as in dcurves.

        TP = (1 - S(h | treated)) n_treated        FP = S(h | treated) n_treated

    S stays what it was where nobody of the treated is followed as far as h.
    """

    time: PerSample
    event: PerSample
    horizon: float

    @property
    def n_rows(self) -> int:
        """See ``NetBenefit``."""
        return len(self.time)

    @cached_property
    def _times(self) -> Float[np.ndarray, " time"]:
        """When events happened, up to the horizon."""
        return np.unique(self.time[(self.event > 0) & (self.time <= self.horizon)])

    def treated(self, weights: RowWeights) -> tuple[Rates, Rates]:
        """See ``NetBenefit``."""
        at_risk = (self.time[:, None] >= self._times).astype(np.float64)
        dying = ((self.time[:, None] == self._times) & (self.event[:, None] > 0)).astype(np.float64)
        shape = (len(self.level), len(self.thresholds), len(weights))
        true, false = np.zeros(shape), np.zeros(shape)
        for m, level in enumerate(self.level):
            n = np.zeros(len(weights))
            risk, dead = np.zeros((2, len(weights), len(self._times)))
            alive = np.ones(len(weights))
            for g in reversed(range(len(self.thresholds))):
                new = np.flatnonzero(level == g + 1)
                if len(new):
                    drawn = weights[:, new]
                    n += drawn.sum(axis=1)
                    risk += drawn @ at_risk[new]
                    dead += drawn @ dying[new]
                    alive = (1 - dead / np.maximum(risk, 1e-300)).prod(axis=1)
                true[m, g], false[m, g] = (1 - alive) * n, alive * n
        return true, false
