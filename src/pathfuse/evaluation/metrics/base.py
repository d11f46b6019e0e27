"""A metric: everything that tables, tests, rank and report ask of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

from pathfuse.evaluation.scales import PLAIN, Scale

RowWeights = Float[np.ndarray, "resample sample"]
Values = Float[np.ndarray, " resample"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    A metric of the same name may have another function for another kind of outcome: the NLL of
    classes and that of continuous targets. Its words are the same.
    """

    name: str
    """In ``metrics.csv`` and on the command line."""
    label: str
    """As a reader knows it."""
    meaning: str
    """What it says, in a few words."""
    function: Callable[[Any], Values]
    """Its value on every resample of weighted rows; NaN where a resample does not define it."""
    undefined: str = "is undefined: {classes}"
    """Why it has no value, in words that may name the ``{rows}`` and the ``{classes}`` there are, or
    ``{one_call}``: that all predictions, or all rows, are of one class."""
    undefined_at_site: str = "undefined here"
    """The same of the rows of one site, in fewer words."""
    lower_is_better: bool = False
    scale: Scale = PLAIN
    """Where its interval is symmetric."""
    highest: float = float("inf")
    """No value lies above it, and no interval reaches further."""
    no_interval: str = ""
    """Why it has no interval; empty if it has one."""
    principal: bool = False
    """Whether it stands for what it measures: non-inferiority and single sites are evaluated by it."""
    brief: bool = True
    """Whether the terminal's table, which is narrow, has room for it."""
    chance: float | None = None
    """Of a measure of discrimination what knowing nothing reaches."""
    on_a_scale: bool = False
    """Whether its unit depends on what is predicted, so that it cannot be averaged over studies."""

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is: a difference times this is a gain."""
        return -1.0 if self.lower_is_better else 1.0

    @property
    def better(self) -> str:
        """Which direction is better."""
        return "lower" if self.lower_is_better else "higher"


ANY = Metric("", "", "", lambda _: np.zeros(0), undefined="is undefined")
"""What is to be known where nothing is: a plain scale, and an interval."""


def ratio(top: Values, bottom: Values) -> Values:
    """Top by bottom; NaN where the bottom is 0."""
    return np.divide(top, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)


Means = Float[np.ndarray, "column resample"]


class ScoresOfMeans(ABC):
    """Scores of one predictor's rows that depend on resamples through weighted means alone."""

    @classmethod
    @abstractmethod
    def together(cls, scores: Sequence[Self]) -> "ValuesOfMeans":
        """Several predictors of the same rows, which share what is the same for all."""

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every metric of every resample; NaN where a resample does not define it.

        Args:
            weights: Float, (resample, sample), non-negative.
        """
        return self.together([self]).values(weights)[0]


class ValuesOfMeans(ABC):
    """What turns row weights into the metrics of several predictors of the same rows, by one
    product of matrices.
    """

    @cached_property
    @abstractmethod
    def columns(self) -> Float[np.ndarray, "column sample"]:
        """What means are taken of."""

    @abstractmethod
    def of_means(self, means: Means) -> list[dict[str, Values]]:
        """Every metric of every resample, per predictor, from the weighted means of ``columns``."""

    def values(self, weights: RowWeights) -> list[dict[str, Values]]:
        """Every metric of every resample, per predictor; see ``ScoresOfMeans.values``."""
        sums = self._with_ones @ weights.T
        means, total = sums[:-1], sums[-1]
        means /= np.maximum(total, 1e-300)
        return self.of_means(means)

    @cached_property
    def _with_ones(self) -> Float[np.ndarray, "column sample"]:
        """The columns, and one that adds up the weights."""
        return np.vstack([self.columns, np.ones(self.columns.shape[1])])


class OfSections(ABC):
    """Scores that can look inside sections."""

    @abstractmethod
    def within(self, sections: Int[np.ndarray, " sample"]) -> Self:
        """The same scores, with those metrics that are computed inside each section."""
