"""What training does about rare outcomes, found on the rows that are fitted and no others.

What weights or draws add to the outputs is known and taken off again, see
``TargetKind.corrected``, so that probabilities remain those of the cohort.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.targets.table import Targets
from pathfuse.types import Index


@dataclass(frozen=True)
class Emphasis:
    """What counts more in training than it occurs."""

    weights: Float[np.ndarray, "sample part"] | None = None
    """Of the losses of ``TargetKind.losses``; only rows of fitted samples mean something."""
    chance: Float[np.ndarray, " unit"] | None = None
    """Chance of each fitted unit at every draw; sums to 1."""
    offset: Float[np.ndarray, " output"] | None = None
    """What both add to the outputs."""


def emphasis_of(targets: Targets, way: TargetKind, rows: Index, recipe: TrainingRecipe) -> Emphasis:
    """What a recipe does about rare outcomes.

    Args:
        targets: The truth of all samples.
        way: The way of being trained.
        rows: Sample of each fitted unit; nothing else is looked at.
        recipe: Its options, of which ``way`` knows those that are on.
    """
    values, known = targets.values[rows], targets.known[rows]
    if recipe.class_weights:
        found = way.class_weights(values, known)
        weights = np.ones((len(targets.values), found.shape[1]))
        weights[rows] = found
        return Emphasis(weights=weights, offset=offset_of(way, values, known, found))
    if recipe.balanced_sampling:
        found = way.draw_weights(values, known)
        offset = offset_of(way, values, known, found[:, None])
        return Emphasis(chance=found / found.sum(), offset=offset)
    return Emphasis()


def offset_of(
    way: TargetKind, values: np.ndarray, known: np.ndarray, weights: np.ndarray
) -> Float[np.ndarray, " output"]:
    """Outputs of the weighted rates minus those of the rates as they are.

    Args:
        way: The way of being trained.
        values: Float, (unit, column).
        known: Bool, (unit, column).
        weights: Float, (unit, 1) or (unit, output).
    """
    sums, cases = way.counts(values, known)
    total = np.maximum(cases.sum(axis=0), 1)
    weighted = np.maximum((weights * cases).sum(axis=0), 1e-12)
    return way.link((weights * sums).sum(axis=0) / weighted) - way.link(sums.sum(axis=0) / total)
