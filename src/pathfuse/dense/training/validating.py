"""How often a training looks at its validation images: so that it spends a fifth of its time there
at most.

What decides is counted in pixels, not in seconds, so that the same training on another machine
validates, and chooses, after the same epochs.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pathfuse.dense.data.images import open_image
from pathfuse.dense.data.records import Split
from pathfuse.dense.recipe import DenseRecipe

SHARE = 0.2
"""Of the time that goes into validation at most."""
BACKWARD = 3
"""A pixel that is learned from, in passes of the network forward."""
OWN = 0.25
"""A pixel of an image's own size (read, compared with the mask) in the same unit."""
ALONE = 10_000
"""What an image costs because it goes through the network alone, in pixels."""


def validation_every(split: Split, recipe: DenseRecipe) -> int:
    """After how many epochs each the validation images are looked at, besides the last one.

    Args:
        split: Images whose sizes are read from their heads.
        recipe: Its ``validate_every``, where it says something; under ``parity="paper"`` every
            epoch is validated, as published.

    Raises:
        InputError: An image cannot be opened.
    """
    if recipe.validate_every is not None:
        return min(recipe.validate_every, recipe.epochs)
    if recipe.parity == "paper" or not split.val:
        return 1
    learned = BACKWARD * len(split.train) * recipe.size_px**2
    looked_at = sum(_work(item.image, recipe) for item in split.val)
    wanted = math.ceil(looked_at / learned * (1 - SHARE) / SHARE)
    return max(1, min(wanted, recipe.epochs))


def _work(image: Path, recipe: DenseRecipe) -> float:
    """What one image costs, in passes of the network over one pixel."""
    with open_image(image) as reader:
        height, width = reader.shape[:2]
    side = recipe.validate_px or max(height, width)
    height, width = min(height, side), min(width, side)
    n = 1
    if recipe.fit == "crop":
        step = max(1, round(recipe.size_px * (1 - recipe.tile_overlap)))
        for length in (height, width):
            n *= 1 + max(0, math.ceil((length - recipe.size_px) / step))
    return n * recipe.size_px**2 + OWN * height * width + ALONE


def is_validated(epoch: int, every: int, epochs: int) -> bool:
    """Whether an epoch, counted from 0, is one of them.

    Examples:
        >>> [epoch + 1 for epoch in range(10) if is_validated(epoch, 4, 10)]
        [4, 8, 10]
    """
    return (epoch + 1) % every == 0 or epoch + 1 == epochs


def once_warning(every: int, epochs: int, recipe: DenseRecipe) -> list[str]:
    """That there was no choice of an epoch, where nobody asked for that."""
    if recipe.validate_every is not None or epochs < 2 or every < epochs:
        return []
    said = (
        f"the validation images were looked at once, after the last of {epochs} epochs, since a look "
        "is much more work than an epoch; validate_every=1 looks after every one"
    )
    return [said]


def middle(
    image: UInt8[np.ndarray, "height width ..."], side: int | None
) -> UInt8[np.ndarray, "h w ..."]:
    """The middle of an image or mask, at most ``side`` pixels each way; all of it for None."""
    if side is None:
        return image
    height, width = image.shape[:2]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return image[top : top + side, left : left + side]
