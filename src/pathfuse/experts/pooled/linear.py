"""Linear models on pooled features: ``linear_probe``, ``pooled_linear`` and ``pca_ridge``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.experts.pooled.base import PooledFit, PooledModel, PooledUnits, check_shapes
from pathfuse.experts.pooled.probe import fit_probe, fit_reduced, held_out_error
from pathfuse.experts.targets.base import Raw, TargetKind
from pathfuse.experts.targets.linear import Table

if TYPE_CHECKING:
    from pathfuse.experts.recipe import TrainingRecipe


class PooledLinear(PooledModel):
    """Logistic or ridge regression, ``outputs = table @ coefficients + intercepts``.

    C is the one with the lowest held-out loss in inner cross-validation by patient.
    """

    tolerance: ClassVar[float] = 0.0
    """Standard errors that a stronger penalty may be worse by and still be chosen."""

    def fit(self, units: PooledUnits, recipe: "TrainingRecipe") -> PooledFit:
        """See ``PooledModel``."""
        given = units.table, units.rows, units.targets, units.groups, units.seed
        coefficients, intercepts, chosen = fit_probe(*given, tolerance=self.tolerance)
        error = held_out_error(*given, chosen, None) if units.way.scaled else None
        return PooledFit({"coefficients": coefficients, "intercepts": intercepts}, chosen, error)

    def predict(self, table: Table, weights: Mapping[str, np.ndarray], way: TargetKind) -> Raw:
        """See ``PooledModel``."""
        return np.stack([row @ weights["coefficients"] for row in table]) + weights["intercepts"]

    def check(self, weights: Mapping[str, np.ndarray], width: int, n_outputs: int) -> None:
        """See ``PooledModel``."""
        check_shapes(weights, {"coefficients": (width, n_outputs), "intercepts": (n_outputs,)})


class LinearProbe(PooledLinear):
    """The same on the mean alone, and with the strongest penalty within one standard error."""

    statistics: ClassVar[tuple[str, ...]] = ("mean",)
    tolerance: ClassVar[float] = 1.0


class PcaRidge(LinearProbe):
    """The linear probe on principal components: the reference of every fusion of features."""

    def fit(self, units: PooledUnits, recipe: "TrainingRecipe") -> PooledFit:
        """See ``PooledModel``."""
        components = recipe.components  # type: ignore[attr-defined]  # of PcaRidgeRecipe
        given = units.table, units.rows, units.targets, units.groups, units.seed
        coefficients, intercepts, chosen = fit_reduced(*given, components)
        error = held_out_error(*given, chosen, components) if units.way.scaled else None
        return PooledFit({"coefficients": coefficients, "intercepts": intercepts}, chosen, error)
