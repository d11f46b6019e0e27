"""A metric: everything that tables, tests, rank and report ask of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

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
    """Why it has no value, in words that may name the ``{rows}`` and the ``{classes}`` there are."""
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
