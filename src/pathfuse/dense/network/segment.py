"""A network on whole images, as its recipe has it: resized and back, or in overlapping tiles."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.dense.data.augment import resize
from pathfuse.dense.data.images import WindowReader
from pathfuse.dense.memory import enough_memory, memory_for
from pathfuse.dense.network.tiles import Band, as_reader, forward, stream_tiled
from pathfuse.dense.recipe import DenseRecipe


@dataclass(frozen=True)
class How:
    """How images go through a network."""

    fit: str
    """``resize`` or ``crop``, which stands for tiles."""
    size_px: int
    overlap: float
    batch: int
    device: torch.device
    precision: torch.dtype
    size_name: str = "size_px"
    """What the user calls the side of a tile: ``size_px`` of a recipe, or ``tile_px`` when
    predicting."""

    @staticmethod
    def of(recipe: DenseRecipe, device: torch.device, precision: torch.dtype) -> "How":
        """As in training."""
        return How(recipe.fit, recipe.size_px, recipe.tile_overlap, recipe.batch, device, precision)


def segment(
    net: nn.Module, image: UInt8[np.ndarray, "height width 3"] | WindowReader, how: How
) -> Iterator[Band]:
    """Logits at the image's own size, in bands of rows from top to bottom.

    One band if it is resized.

    Raises:
        InputError: Memory runs out.
    """
    if how.fit == "crop":
        yield from stream_tiled(
            net,
            image,
            tile_px=how.size_px,
            overlap=how.overlap,
            batch=how.batch,
            device=how.device,
            precision=how.precision,
            size_name=how.size_name,
        )
        return
    reader = as_reader(image)
    height, width = reader.shape[:2]
    square, _ = resize(
        reader.window(0, 0, height, width), np.zeros((height, width), dtype=np.uint8), how.size_px
    )
    with enough_memory(1, how.size_px, "size_px"):
        logits = forward(net.eval(), torch.from_numpy(square)[None], how.device, how.precision)
    with memory_for(
        f"the logits of an image of {width} x {height} pixels", "fit=crop, or a tile_px"
    ):
        whole = grown(logits, height, width)[0].cpu().numpy()
    yield Band(0, whole)


def grown(logits: Tensor, height: int, width: int) -> Tensor:
    """Logits (b, K, h, w) at another size."""
    if logits.shape[-2:] == (height, width):
        return logits
    return functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
