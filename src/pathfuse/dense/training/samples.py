"""Images as a network is trained on them: squares, each from its own random stream, whoever loads
it and when.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pathfuse.dense.data.augment import MILD, augment, item_rng, random_crop, resize
from pathfuse.dense.data.items import read_item
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.recipe import DenseRecipe

KEPT_MB = 1024
"""Decoded images kept between epochs."""
AHEAD = 2
"""Batches loaded before they are asked for."""

Square: TypeAlias = tuple[UInt8[np.ndarray, "size size 3"], UInt8[np.ndarray, "size size"]]


@dataclass(frozen=True)
class SquareBatch:
    """Some images of one step."""

    rows: list[int]
    """Their places among the items."""
    images: UInt8[Tensor, "image size size 3"]
    masks: UInt8[Tensor, "image size size"]


class Squares:
    """The images of one part of a split as squares of a recipe's size."""

    def __init__(self, items: Sequence[Item], split: Split, recipe: DenseRecipe) -> None:
        self.items, self.split, self.recipe = items, split, recipe
        self._kept: dict[int, Square] = {}
        self._kept_bytes = 0

    def plain(self, row: int) -> Square:
        """An image as nothing random has touched it: resized, or whole if the recipe crops."""
        if row in self._kept:
            return self._kept[row]
        image, mask = read_item(self.items[row], self.split)
        if mask is None:
            mask = np.full(image.shape[:2], self.split.ignore, dtype=np.uint8)
        if self.recipe.fit == "resize":
            image, mask = resize(image, mask, self.recipe.size_px)
        size = image.nbytes + mask.nbytes
        if self._kept_bytes + size <= KEPT_MB * 1e6:
            self._kept[row] = image, mask
            self._kept_bytes += size
        return image, mask

    def drawn(self, row: int, epoch: int) -> Square:
        """An image as an epoch, counted from 0, trains on it."""
        recipe = self.recipe
        rng = item_rng(recipe.seed, epoch, self.items[row].image_id)
        image, mask = self.plain(row)
        if recipe.augment or recipe.fit == "crop":
            scale = MILD.scale if recipe.augment else (1.0, 1.0)
            image, mask = random_crop(
                image, mask, recipe.size_px, rng, ignore=self.split.ignore, scale=scale
            )
        return augment(image, mask, rng) if recipe.augment else (image, mask)

    def batches(
        self, plan: Sequence[Sequence[int]], epoch: int | None = None
    ) -> Iterator[SquareBatch]:
        """Batches in the order of a plan, read ahead by the recipe's workers.

        Args:
            plan: Places of the images of each batch.
            epoch: Counted from 0; None: as nothing random has touched them, for squares only.

        Raises:
            InputError: An image or mask cannot be read, or does not fit the split.
        """

        def load(row: int) -> Square:
            return self.plain(row) if epoch is None else self.drawn(row, epoch)

        if not self.recipe.workers:
            for rows in plan:
                yield _stack(rows, [load(row) for row in rows])
            return
        with ThreadPoolExecutor(self.recipe.workers) as pool:
            waiting: deque[tuple[Sequence[int], list[Future[Square]]]] = deque()
            try:
                for rows in plan:
                    waiting.append((rows, [pool.submit(load, row) for row in rows]))
                    if len(waiting) > AHEAD:
                        yield _next(waiting)
                while waiting:
                    yield _next(waiting)
            finally:
                pool.shutdown(cancel_futures=True)


def plan_epoch(
    n: int, batch: int, seed: int, epoch: int, rank: int = 0, world: int = 1
) -> list[list[int]]:
    """The images of every step of one process, in an order drawn anew for each epoch.

    Args:
        n: Images.
        batch: Images per step and process.
        seed: Of the order.
        epoch: Counted from 0.
        rank: Of this process.
        world: Processes. Together they take the same images as one with ``world`` times the batch;
            all have equally many steps, for which some images come twice if ``n`` is not a multiple
            of ``world``.
    """
    order = np.random.default_rng([seed, epoch]).permutation(n)
    order = np.resize(order, -(-n // world) * world)
    steps = [order[first : first + batch * world] for first in range(0, len(order), batch * world)]
    return [step[rank::world].tolist() for step in steps]


def _stack(rows: Sequence[int], squares: Sequence[Square]) -> SquareBatch:
    images, masks = (torch.from_numpy(np.stack(part)) for part in zip(*squares, strict=True))
    return SquareBatch(list(rows), images, masks)


def _next(waiting: deque[tuple[Sequence[int], list[Future[Square]]]]) -> SquareBatch:
    rows, futures = waiting.popleft()
    return _stack(rows, [future.result() for future in futures])
