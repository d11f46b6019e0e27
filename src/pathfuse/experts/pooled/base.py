"""What every model on pooled features answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from pathfuse.experts.targets.base import Raw, TargetKind
from pathfuse.experts.targets.linear import Table
from pathfuse.experts.targets.table import Targets
from pathfuse.types import Index

if TYPE_CHECKING:
    from pathfuse.experts.recipe import TrainingRecipe

ALL_STATISTICS = ("min", "mean", "max", "sd")
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class PooledUnits:
    """What a model is fitted on."""

    table: Table
    """Standardised."""
    rows: Index
    """Sample of each unit."""
    targets: Targets
    """Of all samples, in the scale of training."""
    groups: np.ndarray
    """Patient of each unit: whatever is chosen by holding units out holds out whole patients."""
    seed: int

    @property
    def way(self) -> TargetKind:
        """The way of being trained."""
        return self.targets.way

    @property
    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Values and what is known of them, (unit, column)."""
        return self.targets.values[self.rows], self.targets.known[self.rows]


@dataclass(frozen=True)
class PooledFit:
    """A fitted model."""

    weights: Arrays
    chosen: float
    """The setting that held-out units chose, for ``history.csv``."""
    error: Float[np.ndarray, " target"] | None = None
    """Regression: root mean squared error of units whose patient was held out, in the scale of
    training; NaN where nothing is known."""


class PooledModel(ABC):
    """A model on pooled features. Instances have no state; arrays are all that is kept."""

    statistics: ClassVar[tuple[str, ...]] = ALL_STATISTICS

    @abstractmethod
    def fit(self, units: PooledUnits, recipe: "TrainingRecipe") -> PooledFit:
        """Fits the model of one part."""

    @abstractmethod
    def predict(self, table: Table, weights: Mapping[str, np.ndarray], way: TargetKind) -> Raw:
        """Outputs of units, from their standardised statistics.

        Each unit by itself: the last digits of a product of whole tables depend on their length.
        """

    @abstractmethod
    def check(self, weights: Mapping[str, np.ndarray], width: int, n_outputs: int) -> None:
        """Refuses weights that no fit left: a damaged file.

        Args:
            weights: As they were read.
            width: Columns of the table.
            n_outputs: Columns of the outputs.

        Raises:
            ValueError: One is missing, unknown, or of another shape.
        """


def check_shapes(weights: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses arrays of other names or shapes.

    Raises:
        ValueError: There are some.
    """
    found = {name: array.shape for name, array in weights.items()}
    for name in sorted({*wanted, *found}):
        if found.get(name) != wanted.get(name):
            raise ValueError(f"'{name}' has the shape {found.get(name)}, not {wanted.get(name)}")


def held_out_error(units: PooledUnits, outputs: Raw) -> Float[np.ndarray, " target"] | None:
    """``PooledFit.error`` of outputs that were predicted without the unit's patient.

    Args:
        units: The units.
        outputs: Float, (unit, output); NaN where a unit was never held out.
    """
    if not units.way.scaled:
        return None
    values, known = units.truth
    known = known & ~np.isnan(outputs)
    square = np.where(known, outputs - values, 0.0) ** 2
    count = known.sum(axis=0)
    return np.where(count > 0, np.sqrt(square.sum(axis=0) / np.maximum(count, 1)), np.nan)
