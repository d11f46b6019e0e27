"""Segmenting images of any size in overlapping tiles, with memory that the height of an image does
not change.

Overlaps are blended with Gaussian weights, images smaller than a tile are padded by reflection, and
tiles go through the network in batches of fixed size (docs/design/densebench.md, section 7, defect
11).
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
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

    Memory: the tiles of two batches and what the network makes of one, and on the device K x tile_px x
        width float32 logits.

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
    """Rows above the next row of tiles are finished; the rest is carried on.

    Sums of logits stay on the device: only finished rows come back.
    """
    rows, columns = (
        plan.sums(starts, size).to(device)
        for starts, size in ((plan.tops, plan.height), (plan.lefts, plan.width))
    )
    square = torch.outer(plan.weight, plan.weight).to(device)
    ends = dict(zip(plan.tops, [*plan.tops[1:], plan.height], strict=True))
    open_rows: Tensor | None = None
    for top, of_row in groupby(_read_ahead(reader, plan), key=lambda one: one[0]):
        for _, lefts, tiles in of_row:
            with enough_memory(plan.batch, plan.tile, plan.size_name):
                logits = forward(net, torch.from_numpy(tiles), device, precision)
                if open_rows is None:
                    open_rows = torch.zeros(
                        logits.shape[1], plan.tile, len(columns), device=logits.device
                    )
            for left, own in zip(lefts, logits, strict=True):
                open_rows[:, :, left : left + plan.tile].addcmul_(own, square)
        assert open_rows is not None  # noqa: S101 - every row has a tile
        done = min(ends[top], plan.height) - top
        finished = open_rows[:, :done, : plan.width] / columns[: plan.width]
        finished /= rows[top : top + done, None]
        yield Band(top, finished.cpu().numpy())
        del finished
        kept = open_rows[:, done:].clone() if done < plan.tile else open_rows[:, :0]
        open_rows[:, : kept.shape[1]] = kept
        open_rows[:, kept.shape[1] :] = 0


def _read_ahead(
    reader: WindowReader, plan: _Plan
) -> Iterator[tuple[int, list[int], UInt8[np.ndarray, "tile side side 3"]]]:
    """Top, left sides and pixels of every batch; one thread reads the next while one is worked on."""

    def read(top: int, lefts: list[int]) -> UInt8[np.ndarray, "tile side side 3"]:
        return np.stack([_tile(reader, plan, top, left) for left in lefts])

    batches = (
        (top, plan.lefts[first : first + plan.batch])
        for top in plan.tops
        for first in range(0, len(plan.lefts), plan.batch)
    )
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[tuple[int, list[int], Future[UInt8[np.ndarray, "tile side side 3"]]]] = (
            deque()
        )
        for top, lefts in batches:
            waiting.append((top, lefts, thread.submit(read, top, lefts)))
            if len(waiting) > 1:
                first_top, first_lefts, tiles = waiting.popleft()
                yield first_top, first_lefts, tiles.result()
        for top, lefts, tiles in waiting:
            yield top, lefts, tiles.result()


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
