"""A fitted model on units: its outputs, its attention, and how much they vary between draws."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pathfuse.experts.cohort import Unit
from pathfuse.experts.fitted import Fitted
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.predicted import Predicted
from pathfuse.experts.recipe import FuseCPathRecipe, TrainingRecipe
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.widen import widen

if TYPE_CHECKING:
    from pathfuse.experts.batches import BagReader, FeatureScale
    from pathfuse.experts.pooled.base import PooledModel

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
    pooled = recipe.facts.pooled
    scaled = "feature_mean" in scales and not pooled
    scale = (
        FeatureScale(scales["feature_mean"], scales["feature_sd"], recipe.clip) if scaled else None
    )
    reader = make_reader(folder, recipe, 0, scale, clusters)
    found = (
        [_pooled(fitted, reader, units)]
        if pooled
        else _networks(fitted, reader, units, keep_attention)
    )
    own = [
        replace(one, outputs=fitted.way.in_own_unit(one.outputs, fitted.scales)) for one in found
    ]
    return own[0] if len(own) == 1 else _averaged(fitted, own)


def _pooled(fitted: Fitted, reader: "BagReader", units: Sequence[Unit]) -> Predicted:
    from pathfuse.experts.pooled.make import make_model
    from pathfuse.experts.pooled.statistics import Standard, pooled

    model, scales = make_model(fitted.recipe.facts), fitted.scales
    table = pooled(reader.folder, units, statistics_of(model, fitted.inputs))
    standard = Standard(scales["feature_mean"], scales["feature_sd"], fitted.recipe.clip)
    return Predicted(model.predict(standard.apply(table), fitted.weights, fitted.way))


def statistics_of(model: "PooledModel", inputs: Inputs) -> tuple[str, ...]:
    """What a model wants to know of a bag; of one vector alone its mean is all there is."""
    return ("mean",) if inputs.single else model.statistics


def _networks(
    fitted: Fitted, reader: "BagReader", units: Sequence[Unit], keep_attention: bool
) -> list[Predicted]:
    """What each network of a part predicts."""
    import torch

    from pathfuse.experts.heads.make import make_head
    from pathfuse.experts.predicting import predict

    found = []
    for weights in fitted.networks:
        with torch.random.fork_rng(devices=[]):
            head = make_head(fitted.recipe, fitted.inputs, len(fitted.names), fitted.way)
        head.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        found.append(predict(head, reader, units, fitted.recipe, keep_attention, fitted.way))
    return found


def _averaged(fitted: Fitted, found: Sequence[Predicted]) -> Predicted:
    """The mean distribution of several networks, and their mean attention."""
    outputs = fitted.way.mean_of([one.outputs for one in found])
    shown = [one.attention for one in found if one.attention is not None]
    attention = [np.mean(tiles, axis=0) for tiles in zip(*shown, strict=True)] if shown else None
    drawn = [one.spread for one in found if one.spread is not None]
    return Predicted(outputs, attention, np.mean(drawn, axis=0) if drawn else None)
