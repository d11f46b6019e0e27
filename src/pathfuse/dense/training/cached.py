"""The output of a frozen encoder, computed once: a float16 file that is read through memory
mapping.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pathfuse.dense.memory import enough_memory
from pathfuse.dense.network.net import SegmentationNet
from pathfuse.dense.network.tiles import autocast
from pathfuse.dense.training.samples import Squares
from pathfuse.errors import InputError


class CachedTokens:
    """All tokens of the squares of one part of a split, (image, prefix + h * w, dim)."""

    def __init__(self, file: Path, values: np.ndarray) -> None:
        self.file, self.values = file, values

    @staticmethod
    def make(
        file: Path,
        net: SegmentationNet,
        squares: Squares,
        batch: int,
        device: torch.device,
        precision: torch.dtype,
    ) -> "CachedTokens":
        """Computes them in the order of the items.

        Args:
            file: Where to, ending in .npy; overwritten.
            net: Whose encoder stays as it is; on the device.
            squares: Without anything random.
            batch: Images at a time.
            device: Where the network is.
            precision: Of its inner work.

        Raises:
            InputError: An image cannot be read, memory runs out, or a value is beyond float16.
        """
        n = len(squares.items)
        plan = [list(range(first, min(first + batch, n))) for first in range(0, n, batch)]
        values: Any = None
        for part in squares.batches(plan):
            with enough_memory(batch, squares.recipe.size_px, "size_px"), torch.inference_mode():
                with autocast(device, precision):
                    tokens = net.encode(as_input(part.images, device))
                half = tokens.half()
            if not bool(half.isfinite().all()):
                raise InputError("tokens of this encoder are beyond float16; train with cache off")
            if values is None:
                shape = (n, *half.shape[1:])
                values = np.lib.format.open_memmap(file, "w+", dtype=np.float16, shape=shape)
            values[part.rows] = half.cpu().numpy()
        values.flush()
        return CachedTokens(file, np.load(file, mmap_mode="r"))

    def of(self, rows: Sequence[int], device: torch.device) -> Tensor:
        """Float32, (image, prefix + h * w, dim), of some items."""
        return torch.from_numpy(np.array(self.values[list(rows)])).to(device).float()


def as_input(images: Tensor, device: torch.device) -> Tensor:
    """uint8 (b, H, W, 3) as Float (b, 3, H, W) in [0, 1] on a device."""
    return images.to(device).movedim(-1, 1).float() / 255


class FromTokens(nn.Module):
    """A network that takes kept tokens instead of images where there are any.

    A module of its own, since processes that share gradients call one ``forward``.
    """

    def __init__(self, net: SegmentationNet, size_px: int) -> None:
        super().__init__()
        self.net, self.size_px = net, size_px

    def forward(self, images: Tensor | None, tokens: Tensor | None = None) -> Tensor:
        """Logits (b, K, H, W) of images (b, 3, H, W), or of tokens (b, prefix + h * w, dim) of
        squares.
        """
        return (
            self.net(images)
            if tokens is None
            else self.net.decode(tokens, (self.size_px, self.size_px))
        )
