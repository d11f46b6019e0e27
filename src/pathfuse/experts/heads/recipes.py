"""Recipes of heads that have choices of their own. Read without torch, so not in the heads' files."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pathfuse.experts.recipe import Count, TrainingRecipe

EXACT_TILES = 4096
"""Tiles of a bag that exact attention predicts from unless the recipe says otherwise."""


class AbmilRecipe(TrainingRecipe):
    """Attention pooling (Ilse, Tomczak and Welling 2018)."""

    gated: bool = True
    """Whether the hidden layer of the attention is multiplied by a sigmoid gate (equation 9); false:
    plain attention (equation 8)."""


class ClamRecipe(TrainingRecipe):
    """CLAM (Lu et al. 2021): the loss of the bag and that of its most and least attended tiles.

    The loss of the tiles acts where a sample has one class. For several labels, survival and
    numbers it is off, and training minimises the loss of the endpoint alone.
    """

    bag_weight: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of the bag's loss; the rest is that of the tiles. 1 turns the latter off."""
    instances: Count = 8
    """Most attended tiles, and as many least attended ones, that the loss looks at; at most half of
    a bag each."""
    subtyping: bool = False
    """Whether the most attended tiles count as negative for all other classes: right where classes
    exclude each other in every tile (subtypes of a tumour), wrong where not (normal tissue next to
    tumour)."""
    instance_loss: Literal["cross_entropy", "smooth_svm"] = "cross_entropy"
    """Of a tile; ``smooth_svm`` is the smooth top-1 loss of Berrada, Zisserman and Kumar (2018) with
    temperature 1 and margin 1."""


class TransMilRecipe(TrainingRecipe):
    """TransMIL (Shao et al. 2021)."""

    attention_kind: Literal["nystrom", "exact"] = "nystrom"
    """``nystrom``: as published, with positions from the order of the tiles; time and memory grow
    with the tiles. ``exact``: every tile attends to every other, without positions; time grows with
    the square of the tiles."""

    @model_validator(mode="before")
    @classmethod
    def _capped(cls, content: Any) -> Any:
        """Exact attention predicts from ``EXACT_TILES`` tiles unless told otherwise."""
        if isinstance(content, dict) and content.get("attention_kind") == "exact":
            given = content.get("max_tiles_predict")
            return content | {"max_tiles_predict": EXACT_TILES if given is None else given}
        return content
