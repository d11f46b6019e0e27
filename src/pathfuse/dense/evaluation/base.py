"""A metric of segmentation: everything that tables, the page and the terminal ask of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.base import Metric
from pathfuse.evaluation.scales import SHARE, Scale


@dataclass(frozen=True)
class DenseMetric(Metric):
    """One metric of segmentations; all lie between 0 and 1, and in every one more is better.

    ``principal`` is the one that tables are ordered by, and ``brief`` those of the terminal.
    """

    function: Callable[[Any], Any]
    """Its value from what is counted: ``ClassCounts`` of pixels, ``Overlaps`` of instances."""
    scale: Scale = SHARE
    brief: bool = False
    on_page: bool = False
    """Whether ``leaderboard.html`` has a column of it; the others are in the tables only."""
    needs_true_pixel: bool = False
    """Of one class: undefined exactly where the class has no true pixel."""


def find(name: str, known: Sequence[DenseMetric]) -> DenseMetric:
    """The metric of a name.

    Raises:
        InputError: There is none; the message names the known ones.
    """
    found = next((metric for metric in known if metric.name == name), None)
    if found is None:
        names = ", ".join(metric.name for metric in known)
        raise InputError(f"there is no metric of segmentation '{name}'; known are {names}")
    return found
