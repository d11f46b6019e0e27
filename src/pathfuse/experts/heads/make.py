"""An untrained head of a recipe."""

from pathfuse.experts.heads.base import Head
from pathfuse.experts.heads.registry import load
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


def make_head(recipe: TrainingRecipe, inputs: Inputs, n_outputs: int) -> Head:
    """An untrained head; torch's global generator sets its weights.

    Raises:
        ValueError: The head is linear and has no network.
    """
    place = recipe.facts.network
    if place is None:
        raise ValueError(f"the head '{recipe.head}' has no network")
    network: type[Head] = load(place)
    return network(inputs, n_outputs, recipe)
