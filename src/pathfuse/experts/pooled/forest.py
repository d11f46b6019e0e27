"""A forest of extremely randomised trees on pooled features, sharpened on units that trees left out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from pathfuse.experts.pooled.base import PooledFit, PooledModel, PooledUnits, held_out_error
from pathfuse.experts.pooled.probe import loss_of
from pathfuse.experts.pooled.trees import Trees, check_trees, grown_trees, mean_leaves
from pathfuse.experts.targets.base import Raw, TargetKind
from pathfuse.experts.targets.linear import Table

if TYPE_CHECKING:
    from pathfuse.experts.recipe import ForestRecipe

SHARES: tuple[str | float, ...] = ("sqrt", 0.2)
"""Columns that a split looks at: the square root of their number, or a fifth. Units that trees left
out choose."""
LOG_RANGE = (-2.0, 2.0)
"""Of the logarithm of the sharpness."""
COMPONENTS = 32
"""Principal directions of the targets that trees predict where there are more targets."""


class _Grown(NamedTuple):
    """A forest and how far its left-out units lie from the base rate."""

    trees: Trees
    away: Raw
    """``link(rate) - link(base)``, NaN of a unit that every tree saw."""
    sharpness: float
    loss: float
    columns: float
    """``SHARES`` as a number, 0 for the square root."""


class PooledForest(PooledModel):
    """Extremely randomised trees, each on a bootstrap of patients.

    Leaves hold the means of what ``TargetKind.counts`` counts: sums and cases, for example events
    of a time bin and who was at risk in it. Over T trees, with r the rate of all units and one more
    tree's weight for it::

        rate = (T sums + r) / (T cases + 1)
        outputs = link(r) + s (link(rate) - link(r))

    The sharpness s minimises the loss of units under the trees that left their patient out: by
    itself a mean of trees is too unsure.

    References:
        Geurts, Ernst, Wehenkel (2006). Extremely randomized trees. Machine Learning 63.
    """

    def fit(self, units: PooledUnits, recipe: "ForestRecipe") -> PooledFit:  # type: ignore[override]
        """See ``PooledModel``."""
        sums, cases = units.way.counts(*units.truth)
        base = sums.sum(axis=0) / np.maximum(cases.sum(axis=0), 1e-12)
        basis = _directions(sums, cases, base)
        columns = (sums - base * cases) @ basis if basis.size else np.hstack([sums, cases])
        grown = [_grow(units, columns, share, base, basis, recipe) for share in SHARES]
        best = min(grown, key=lambda one: one.loss)
        weights = {
            **best.trees,
            "base": base,
            "directions": basis,
            "sharpness": np.array(best.sharpness),
        }
        error = held_out_error(units, units.way.link(base) + best.sharpness * best.away)
        return PooledFit(weights, best.columns, error)

    def predict(self, table: Table, weights: Mapping[str, np.ndarray], way: TargetKind) -> Raw:
        """See ``PooledModel``."""
        base, n_trees = weights["base"], len(weights["starts"])
        means = mean_leaves(table, weights)
        away = _away(way, means, np.full(len(table), n_trees), base, weights["directions"])
        return np.asarray(way.link(base) + weights["sharpness"] * away)

    def check(self, weights: Mapping[str, np.ndarray], width: int, n_outputs: int) -> None:
        """See ``PooledModel``."""
        check_trees(weights, width)
        if weights["sharpness"].size != 1:
            raise ValueError("'sharpness' is no number")
        if weights["directions"].shape[1:] not in ((0,), weights["base"].shape):
            raise ValueError("'directions' does not fit 'base'")


def _directions(
    sums: np.ndarray, cases: np.ndarray, base: np.ndarray
) -> Float[np.ndarray, "output component"]:
    """Principal directions of many numeric targets; empty where every output has its own column."""
    if sums.shape[1] <= COMPONENTS:
        return np.zeros((0, 0))
    _, _, directions = np.linalg.svd(sums - base * cases, full_matrices=False)
    return np.asarray(directions[:COMPONENTS].T)


def _grow(
    units: PooledUnits,
    columns: np.ndarray,
    share: str | float,
    base: np.ndarray,
    basis: np.ndarray,
    recipe: "ForestRecipe",
) -> _Grown:
    trees, means, seen_by = grown_trees(
        units.table, columns, units.groups, share, recipe.leaf, recipe.trees, units.seed
    )
    away = _away(units.way, means, seen_by, base, basis)
    known = np.flatnonzero(seen_by > 0)
    size = share if isinstance(share, float) else 0.0
    if not len(known):
        return _Grown(trees, away, 1.0, 0.0, size)
    start = units.way.link(base)

    def loss(log_sharpness: float) -> float:
        outputs = start + np.exp(log_sharpness) * away[known]
        return float(loss_of(outputs, units.targets, units.rows[known]).mean())

    found = minimize_scalar(loss, bounds=LOG_RANGE, method="bounded")
    return _Grown(trees, away, float(np.exp(found.x)), float(found.fun), size)


def _away(
    way: TargetKind, means: np.ndarray, n_trees: np.ndarray, base: np.ndarray, basis: np.ndarray
) -> Raw:
    """``link(rate) - link(base)`` of units from the means of their leaves."""
    if basis.size:
        return np.asarray(means @ basis.T)
    sums, cases = np.split(means, 2, axis=1)
    trees = n_trees[:, None]
    return np.asarray(way.link((trees * sums + base) / (trees * cases + 1)) - way.link(base))
