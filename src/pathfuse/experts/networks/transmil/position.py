"""The square that TransMIL lays a bag's tiles on, and the positions that convolutions on it give."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZES = (7, 5, 3)
CHANNELS = 64
"""Channels that are convolved at once when no gradient is kept."""


def squared(tiles: Tensor) -> Tensor:
    """Tiles in their order, followed by the first ones once more up to the next square number.

    Args:
        tiles: Float, (tile, width); one or more.
    """
    side = math.isqrt(len(tiles) - 1) + 1
    return torch.cat([tiles, tiles[: side * side - len(tiles)]])


class Positions(nn.Module):
    """PPEG: the tokens laid row by row on a square, plus depthwise convolutions of it with kernels
    of 7, 5 and 3.

    The sum of the convolutions is computed as one with the sum of the kernels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, width, size, padding=size // 2, groups=width) for size in SIZES
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """From (side * side, width) to the same. Without gradients ``tokens`` is overwritten."""
        n, width = tokens.shape
        side = math.isqrt(n)
        kernel = sum(
            functional.pad(one.weight, [(SIZES[0] - size) // 2] * 4)
            for one, size in zip(self.convolutions, SIZES, strict=True)
        )
        bias = sum(one.bias for one in self.convolutions)
        step = width if torch.is_grad_enabled() else CHANNELS
        parts = []
        for start in range(0, width, step):
            channels = slice(start, start + step)
            grid = tokens[:, channels].T.unflatten(1, (side, side))
            moved = functional.conv2d(
                grid[None],
                kernel[channels],
                bias[channels],
                padding=SIZES[0] // 2,
                groups=len(grid),
            )
            added = moved[0].flatten(1).T
            if torch.is_grad_enabled():
                parts.append(added)
            else:
                tokens[:, channels] += added
        return tokens + torch.cat(parts, dim=1) if parts else tokens
