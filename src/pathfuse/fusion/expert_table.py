"""What the methods of every family are fitted on: a table of the experts' predictions, and views of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.types import Present

Prediction: TypeAlias = Float[np.ndarray, "sample column"]
"""What one predictor states of samples; the family knows what the columns are."""
Truth: TypeAlias = np.ndarray
"""Observed sets (sample, outcome), or values (sample, target)."""


class ExpertTable(Protocol):
    """What the experts predicted of n samples, and who scored what."""

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        ...

    @property
    def n_columns(self) -> int:
        """Number of columns of a fused prediction."""
        ...

    @property
    def scored(self) -> Present:
        """Which experts scored which samples."""
        ...

    @property
    def can_hide(self) -> bool:
        """Whether experts may be hidden from samples, and what is left is as if they had never been
        there.
        """
        ...

    def rows(self, index: np.ndarray | slice) -> Self:
        """The same experts on some of the samples."""
        ...

    def blocks(self) -> Iterator[tuple[slice, Self]]:
        """The table in parts that are quick to work on, each with its rows; perhaps one part."""
        ...

    def only(self, index: np.ndarray, shown: Bool[np.ndarray, "row expert"]) -> Self:
        """Some of the samples, with all experts hidden that are not shown."""
        ...

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Samples of several tables of the same experts, one after the other."""
        ...


E = TypeVar("E", bound=ExpertTable)


def by_blocks(
    experts: E, work: Callable[[slice, E], np.ndarray]
) -> Float[np.ndarray, "sample column"]:
    """What some work makes of a table, block by block; a row of it depends on nothing but itself.

    Args:
        experts: The table.
        work: From the rows of a block and its experts to an array with a row per sample.
    """
    result = np.empty((0, 0))
    for rows, block in experts.blocks():
        part = work(rows, block)
        if len(part) == experts.n_samples:
            return np.ascontiguousarray(part)
        if not result.size:
            result = np.empty((experts.n_samples, part.shape[1]))
        result[rows] = part
    return result


@dataclass(frozen=True)
class View(Generic[E]):
    """Some rows of the fit set, with all experts hidden but those of one group."""

    group: int
    rows: Int[np.ndarray, " row"]
    experts: E
