"""A fitted model on units: its outputs, its attention, and how much they vary between draws."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pathfuse.experts.cohort import Unit
from pathfuse.experts.fitted import Fitted
from pathfuse.experts.predicted import Predicted
from pathfuse.experts.recipe import FuseCPathRecipe, TrainingRecipe
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.widen import widen

if TYPE_CHECKING:
    from pathfuse.experts.batches import BagReader, FeatureScale

CLUSTERS = "clusters"
"""Folder of an expert's work where labels are kept."""


def make_reader(
    folder: FeatureFolder,
    recipe: TrainingRecipe,
    cache_mb: int,
    scale: "FeatureScale | None" = None,
    place: Path | None = None,
) -> "BagReader":
    """The reader that a recipe's head wants.

    Args:
        folder: Features.
        recipe: Says whether tiles are drawn from clusters.
        cache_mb: Room for what is kept between epochs.
        scale: Standardises.
        place: Folder of clusters that are known already, or to keep them in.
    """
    from pathfuse.experts.batches import BagReader

    if isinstance(recipe, FuseCPathRecipe):
        from pathfuse.experts.clusters import ClusteredReader, Clusters

        return ClusteredReader(folder, cache_mb, scale, Clusters(folder, recipe, place))
    return BagReader(folder, cache_mb, scale, recipe.facts.masks)


def apply(
    fitted: Fitted,
    folder: FeatureFolder,
    units: Sequence[Unit],
    *,
    keep_attention: bool = False,
    clusters: Path | None = None,
) -> Predicted:
    """Outputs of some units.

    Args:
        fitted: The model.
        folder: Features of the encoders that it was fitted on; one that is absent counts as missing
            everywhere.
        units: What to read.
        keep_attention: Give the attention of the tiles too, if the head has any.
        clusters: Folder of clusters that are known already.
    """
    from pathfuse.experts.batches import FeatureScale

    recipe, scales = fitted.recipe, fitted.scales
    if not units:
        n, way = len(fitted.names), fitted.way
        return Predicted(np.zeros((0, way.n_outputs(n) + way.n_shared(n))))
    folder = widen(folder, fitted.inputs.views)
    linear = recipe.facts.linear
    scaled = "feature_mean" in scales and not linear
    scale = (
        FeatureScale(scales["feature_mean"], scales["feature_sd"], recipe.clip) if scaled else None
    )
    reader = make_reader(folder, recipe, 0, scale, clusters)
    predicted = (
        _linear(fitted, reader, units)
        if linear
        else _network(fitted, reader, units, keep_attention)
    )
    return replace(predicted, outputs=fitted.way.in_own_unit(predicted.outputs, fitted.scales))


def _linear(fitted: Fitted, reader: "BagReader", units: Sequence[Unit]) -> Predicted:
    from pathfuse.experts.linear_probe import pooled, standardised

    table = standardised(
        pooled(reader, units), fitted.scales["feature_mean"], fitted.scales["feature_sd"]
    )
    return Predicted(table @ fitted.weights["coefficients"] + fitted.weights["intercepts"])


def _network(
    fitted: Fitted, reader: "BagReader", units: Sequence[Unit], keep_attention: bool
) -> Predicted:
    import torch

    from pathfuse.experts.heads.make import make_head
    from pathfuse.experts.predicting import predict

    with torch.random.fork_rng(devices=[]):
        head = make_head(fitted.recipe, fitted.inputs, len(fitted.names), fitted.way)
    head.load_state_dict({name: torch.from_numpy(value) for name, value in fitted.weights.items()})
    return predict(head, reader, units, fitted.recipe, keep_attention)
