"""A smooth model of pooled features: kernel logistic or ridge regression with Gaussian kernels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pathfuse.costs import add_flops
from pathfuse.experts.pooled.base import PooledFit, PooledModel, PooledUnits, check_shapes
from pathfuse.experts.pooled.probe import fit_probe, held_out_error
from pathfuse.experts.targets.base import Raw, TargetKind
from pathfuse.experts.targets.linear import Table

if TYPE_CHECKING:
    from pathfuse.experts.recipe import TrainingRecipe

LANDMARKS = 1000
"""Training units that serve as centres, at most; drawn when there are more."""
STRENGTHS = tuple(10.0**k for k in range(-2, 4))
"""Candidates of C; a Gaussian kernel bends little, so that they lie higher than those of features."""
SMALLEST = 1e-10
"""Directions of the kernel whose eigenvalue is below this share of the largest are dropped."""


class PooledKernel(PooledModel):
    """``outputs = k(table, landmarks) @ coefficients + intercepts``.

    The kernel is ``k(a, b) = exp(-|a - b|^2 / d)``, with d the number of columns that vary: two
    units that differ by one standard deviation in every column have 1/e. With all units as landmarks
    it is exact kernel regression; with some of them the Nystroem approximation.

    References:
        Williams, Seeger (2001). Using the Nystroem method to speed up kernel machines. NeurIPS.
    """

    def fit(self, units: PooledUnits, recipe: "TrainingRecipe") -> PooledFit:
        """See ``PooledModel``."""
        table, n = units.table, len(units.table)
        rng = np.random.default_rng(units.seed)
        chosen_rows = np.arange(n) if n <= LANDMARKS else np.sort(rng.choice(n, LANDMARKS, False))
        stored = table[chosen_rows].astype(np.float32)
        centres = stored.astype(np.float64)  # what prediction will see
        width = np.array(float(max(1, int((table.std(axis=0) > 0).sum()))))
        among = kernel(centres, centres, width)
        value, vector = np.linalg.eigh(among)
        kept = value > SMALLEST * value[-1]
        whiten = vector[:, kept] / np.sqrt(value[kept])
        add_flops(9 * len(centres) ** 3 + 2 * n * len(centres) * table.shape[1])
        features = kernel(table, centres, width) @ whiten
        given = features, units.rows, units.targets, units.groups, units.seed
        slopes, intercepts, chosen = fit_probe(*given, tolerance=0.0, strengths=STRENGTHS)
        error = held_out_error(*given, chosen, None) if units.way.scaled else None
        weights = {
            "landmarks": stored,
            "width": width,
            "coefficients": whiten @ slopes,
            "intercepts": intercepts,
        }
        return PooledFit(weights, chosen, error)

    def predict(self, table: Table, weights: Mapping[str, np.ndarray], way: TargetKind) -> Raw:
        """See ``PooledModel``."""
        landmarks, width = weights["landmarks"].astype(np.float64), weights["width"]
        outputs = [kernel(row[None], landmarks, width) @ weights["coefficients"] for row in table]
        return np.concatenate(outputs) + weights["intercepts"]

    def check(self, weights: Mapping[str, np.ndarray], width: int, n_outputs: int) -> None:
        """See ``PooledModel``."""
        n = len(weights["landmarks"])
        wanted: dict[str, tuple[int, ...]] = {
            "landmarks": (n, width),
            "coefficients": (n, n_outputs),
        }
        # a single number is stored as one of a list
        check_shapes(
            weights, {**wanted, "intercepts": (n_outputs,), "width": weights["width"].shape}
        )
        if weights["width"].size != 1 or (weights["width"] <= 0).any():
            raise ValueError("'width' is no positive number")


def kernel(one: Table, other: Table, width: np.ndarray) -> np.ndarray:
    """Gaussian kernel of rows, (row of one, row of the other)."""
    square = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
    return np.asarray(np.exp(-np.maximum(square, 0.0) / width))
