"""Segmenting images of any size in overlapping tiles, with memory that the height of an image does
not change.

Overlaps are blended with Gaussian weights, images smaller than a tile are padded by reflection, and
tiles go through the network in batches of fixed size (docs/design/densebench.md, section 7, defect
11).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from pathfuse.dense.data.images import WindowReader
from pathfuse.dense.memory import enough_memory
from pathfuse.errors import InputError

SPREAD = 1 / 8
"""Standard deviation of the weights as a share of the tile's side."""


@dataclass(frozen=True)
class Band:
    """Finished rows of an image."""

    top: int
    logits: Float32[np.ndarray, "klass row width"]
    """Of the rows from ``top`` on."""


class _Array:
    """An image in memory as a reader."""

    def __init__(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        self.image, self.shape = image, image.shape

    def window(
        self, top: int, left: int, height: int, width: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        return self.image[top : top + height, left : left + width]


def as_reader(image: UInt8[np.ndarray, "height width 3"] | WindowReader) -> WindowReader:
    """The image itself if windows can be read of it."""
    return _Array(image) if isinstance(image, np.ndarray) else image


def stream_tiled(
    net: nn.Module,
    image: UInt8[np.ndarray, "height width 3"] | WindowReader,
    *,
    tile_px: int,
    overlap: float = 0.25,
    batch: int = 4,
    device: str | torch.device = "cpu",
    precision: torch.dtype = torch.float32,
    size_name: str = "tile_px",
) -> Iterator[Band]:
    """Logits of an image in bands of finished rows, from top to bottom.

    Memory: the tiles of a batch and what the network makes of them, and K x tile_px x width float32
        logits.

    Args:
        net: From (b, 3, tile_px, tile_px) in [0, 1] to logits (b, K, tile_px, tile_px); it is put
            into evaluation.
        image: uint8 RGB, or a reader of windows.
        tile_px: Side of a tile.
        overlap: Share of a tile that the next one covers too, 0 to 0.75; the last tile of a row or
            column is moved back into the image.
        batch: Tiles at a time.
        device: Where the network is.
        precision: Of the network's inner work.
        size_name: What the user calls the side of a tile.

    Yields:
        Bands whose rows follow each other and together are the image.

    Raises:
        InputError: A value is not allowed, the image is empty, or memory runs out.
    """
    reader = as_reader(image)
    height, width = reader.shape[:2]
    if tile_px < 1 or batch < 1 or not 0 <= overlap <= 0.75 or height < 1 or width < 1:
        raise InputError(
            f"tiles need a side and a batch of at least 1, an overlap of 0 to 0.75 and an image that is not empty, not "
            f"{tile_px}, {batch}, {overlap} and {height} x {width} pixels"
        )
    plan = _Plan.of(height, width, tile_px, overlap, batch, size_name)
    return _bands(net.eval(), reader, plan, torch.device(device), precision)


@dataclass(frozen=True)
class _Plan:
    """Where tiles lie."""

    height: int
    width: int
    tile: int
    batch: int
    tops: list[int]
    lefts: list[int]
    size_name: str
    weight: Tensor
    """Float32, (tile,): of a row or a column; a pixel's weight is the product of its row's and its
    column's."""

    @staticmethod
    def of(
        height: int, width: int, tile: int, overlap: float, batch: int, size_name: str
    ) -> "_Plan":
        centred = (torch.arange(tile, dtype=torch.float64) - (tile - 1) / 2) / (SPREAD * tile)
        weight = torch.exp(-(centred**2) / 2).float()
        step = max(1, round(tile * (1 - overlap)))
        starts = _starts(height, tile, step), _starts(width, tile, step)
        return _Plan(height, width, tile, batch, *starts, size_name, weight)

    def sums(self, starts: list[int], size: int) -> Tensor:
        """Float32, (size,): the weights of all tiles along one side."""
        total = torch.zeros(max(size, self.tile))
        for start in starts:
            total[start : start + self.tile] += self.weight
        return total


def _starts(size: int, tile: int, step: int) -> list[int]:
    last = max(0, size - tile)
    return [*range(0, last, step), last]


def _bands(
    net: nn.Module, reader: WindowReader, plan: _Plan, device: torch.device, precision: torch.dtype
) -> Iterator[Band]:
    """Rows above the next row of tiles are finished; the rest is carried on."""
    rows, columns = plan.sums(plan.tops, plan.height), plan.sums(plan.lefts, plan.width)
    square = torch.outer(plan.weight, plan.weight)
    ends = [*plan.tops[1:], plan.height]
    open_rows: Tensor | None = None
    for top, end in zip(plan.tops, ends, strict=True):
        for left, logits in _tiles_of_row(net, reader, plan, top, device, precision):
            if open_rows is None:
                open_rows = torch.zeros(len(logits), plan.tile, len(columns))
            open_rows[:, :, left : left + plan.tile].addcmul_(logits, square)
        assert open_rows is not None  # noqa: S101 - every row has a tile
        done = min(end, plan.height) - top
        finished = open_rows[:, :done, : plan.width] / columns[: plan.width]
        finished /= rows[top : top + done, None]
        yield Band(top, finished.numpy())
        del finished
        kept = open_rows[:, done:].clone() if done < plan.tile else open_rows[:, :0]
        open_rows[:, : kept.shape[1]] = kept
        open_rows[:, kept.shape[1] :] = 0


def _tiles_of_row(
    net: nn.Module,
    reader: WindowReader,
    plan: _Plan,
    top: int,
    device: torch.device,
    precision: torch.dtype,
) -> Iterator[tuple[int, Tensor]]:
    """The left side of each tile and its logits (K, tile, tile) on the CPU."""
    for first in range(0, len(plan.lefts), plan.batch):
        lefts = plan.lefts[first : first + plan.batch]
        tiles = np.stack([_tile(reader, plan, top, left) for left in lefts])
        with enough_memory(plan.batch, plan.tile, plan.size_name):
            logits = forward(net, torch.from_numpy(tiles), device, precision).cpu()
        yield from zip(lefts, logits, strict=True)


def _tile(
    reader: WindowReader, plan: _Plan, top: int, left: int
) -> UInt8[np.ndarray, "tile tile 3"]:
    height, width = min(plan.tile, plan.height - top), min(plan.tile, plan.width - left)
    window = reader.window(top, left, height, width)
    return np.pad(window, ((0, plan.tile - height), (0, plan.tile - width), (0, 0)), mode="reflect")


def forward(
    net: nn.Module,
    images: UInt8[Tensor, "image height width 3"],
    device: torch.device,
    precision: torch.dtype,
) -> Float32[Tensor, "image klass height width"]:
    """Logits of images of one size, without gradients.

    Args:
        net: In evaluation.
        images: uint8 RGB, channels last, on any device.
        device: Where the network is.
        precision: Of the network's inner work.
    """
    inputs = images.to(device).movedim(-1, 1).float() / 255
    with torch.inference_mode(), autocast(device, precision):
        logits: Any = net(inputs)
    return logits.float()


def autocast(device: torch.device, precision: torch.dtype) -> Any:
    """A context in which torch uses that precision where it is safe."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)
