"""An untrained head of a recipe."""

import torch
from torch import nn

from pathfuse.experts.heads.base import Head
from pathfuse.experts.heads.registry import load
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.base import TargetKind


def make_head(
    recipe: TrainingRecipe, inputs: Inputs, n_names: int, way: TargetKind | None = None
) -> Head:
    """An untrained head; torch's global generator sets its weights.

    Args:
        recipe: Names the head.
        inputs: Lengths of the feature vectors.
        n_names: How many classes, labels, bins or targets there are.
        way: The way of being trained; None: an output for each of them.

    Raises:
        ValueError: The head is linear and has no network.
    """
    place = recipe.facts.network
    if place is None:
        raise ValueError(f"the head '{recipe.head}' has no network")
    network: type[Head] = load(place)
    if way is None:
        return network(inputs, n_names, recipe)
    head = network(inputs, way.n_outputs(n_names), recipe)
    if recipe.class_weights or recipe.balanced_sampling:
        head.offset = torch.zeros(way.n_outputs(n_names))
    if way.n_shared(n_names):
        head.shared = nn.Parameter(torch.zeros(way.n_shared(n_names)))
    return head
