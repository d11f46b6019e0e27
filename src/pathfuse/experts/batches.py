"""Bags from disk to packed batches: one part of the cohort at a time, with a bounded memory of what
was read.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float

from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Packed
from pathfuse.features.folder import FeatureFolder
from pathfuse.types import Bag, Index


@dataclass(frozen=True)
class FeatureScale:
    """Mean and standard deviation of every feature."""

    mean: Float[np.ndarray, " dim"]
    sd: Float[np.ndarray, " dim"]
    clip: float | None = None
    """Standard deviations beyond which a value is cut."""

    def apply(self, bag: Bag) -> Bag:
        """Standardised features, float32."""
        scaled = np.asarray((bag - self.mean) / self.sd, dtype=np.float32)
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)


class Tiles(NamedTuple):
    """What one unit gives to a batch."""

    bag: Bag
    clusters: Index | None = None
    """Of each tile within the unit, where the reader draws from clusters."""


class BagReader:
    """Reads units' bags, and keeps the last ones up to a number of megabytes.

    Args:
        folder: Features of one encoder or of several.
        cache_mb: Room for what is kept.
        scale: Standardises; None: features as they are.
        masks: Leave NaN where an encoder lacks a tile; otherwise 0 stands there, the mean of
            standardised features.
    """

    draws = 1
    """How often a unit is read for one prediction."""

    def __init__(
        self,
        folder: FeatureFolder,
        cache_mb: int,
        scale: FeatureScale | None = None,
        masks: bool = False,
    ) -> None:
        self.folder, self.room, self.scale = folder, cache_mb * 2**20, scale
        self.fill = len(folder.views) > 1 and not masks
        self.kept: OrderedDict[tuple[str, ...], Bag] = OrderedDict()
        self.held = 0
        """Bytes that are kept."""

    def preparing_flops(self, unit: Unit) -> int:
        """Operations before a unit can be read."""
        return 0

    def drawing(self, draw: int) -> Self:
        """The reader of one of the ``draws``."""
        return self

    def take(
        self, unit: Unit, max_tiles: int | None = None, rng: np.random.Generator | None = None
    ) -> Tiles:
        """What a batch gets of a unit: ``read`` here."""
        return Tiles(self.read(unit, max_tiles, rng))

    def sizes(self, unit: Unit) -> list[int]:
        """Tiles of each slide of a unit."""
        return [self.folder.slides[name].n_tiles for name in unit.slides]

    def read(
        self, unit: Unit, max_tiles: int | None = None, rng: np.random.Generator | None = None
    ) -> Bag:
        """All tiles of a unit, or as many as are allowed: drawn without replacement, or evenly
        spaced without a generator.
        """
        n = sum(self.sizes(unit))
        if max_tiles is None or n <= max_tiles:
            return self._whole(unit)
        if rng is None:
            return self.rows(unit, evenly(n, max_tiles))
        return self.rows(unit, np.sort(rng.choice(n, max_tiles, replace=False)))

    def rows(self, unit: Unit, rows: Index) -> Bag:
        """Some tiles of a unit, ascending."""
        if unit.slides in self.kept:
            return self.kept[unit.slides][rows]
        parts, start = [], 0
        for name, size in zip(unit.slides, self.sizes(unit), strict=True):
            inside = rows[(rows >= start) & (rows < start + size)] - start
            if len(inside):
                parts.append(self.folder.read(name, inside))
            start += size
        return self._scaled(np.concatenate(parts))

    def _whole(self, unit: Unit) -> Bag:
        if unit.slides in self.kept:
            self.kept.move_to_end(unit.slides)
            return self.kept[unit.slides]
        bag = self._scaled(np.concatenate([self.folder.read(name) for name in unit.slides]))
        if bag.nbytes <= self.room:
            self.kept[unit.slides] = bag
            self.held += bag.nbytes
            while self.held > self.room:
                self.held -= self.kept.popitem(last=False)[1].nbytes
        return bag

    def _scaled(self, bag: Bag) -> Bag:
        scaled = bag if self.scale is None else self.scale.apply(bag)
        return np.nan_to_num(scaled, copy=False, nan=0.0) if self.fill else scaled


def evenly(n: int, most: int) -> Index:
    """Int, (tile,): at most ``most`` of n tiles, evenly spaced, ascending."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


@dataclass(frozen=True)
class Batch:
    """Some units, packed."""

    packed: Packed
    units: tuple[Unit, ...]

    @property
    def samples(self) -> np.ndarray:
        """Row of the samples table of each unit."""
        return np.array([unit.sample for unit in self.units])


def pack(read: Sequence[Tiles], units: Sequence[Unit], device: str) -> Batch:
    """Puts bags one after the other."""
    index = torch.repeat_interleave(
        torch.arange(len(read)), torch.tensor([len(one.bag) for one in read])
    )
    features = torch.from_numpy(np.concatenate([one.bag for one in read]))
    found = [one.clusters for one in read if one.clusters is not None]
    clusters = torch.from_numpy(np.concatenate(found)).to(device) if found else None
    return Batch(Packed(features.to(device), index.to(device), len(read), clusters), tuple(units))


def batches(
    reader: BagReader,
    units: Sequence[Unit],
    size: int,
    device: str,
    rng: np.random.Generator | None = None,
    max_tiles: int | None = None,
) -> Iterator[Batch]:
    """Packed batches of all units; shuffled and with tiles drawn if there is a generator.

    Args:
        reader: Where bags come from.
        units: What to read.
        size: Units per batch.
        device: Where tensors go.
        rng: Shuffles units and draws tiles; None: in order, tiles evenly spaced.
        max_tiles: Tiles per unit; None: all.
    """
    order = np.arange(len(units)) if rng is None else rng.permutation(len(units))
    for start in range(0, len(units), size):
        chosen = [units[i] for i in order[start : start + size]]
        yield pack([reader.take(unit, max_tiles, rng) for unit in chosen], chosen, device)


def fit_scale(folder: FeatureFolder, units: Sequence[Unit]) -> FeatureScale:
    """Mean and standard deviation over the tiles of some units, one bag at a time.

    A constant feature has 1.

    A tile that an encoder lacks has no part in that encoder's numbers; an encoder that has none
    keeps 0 and 1.
    """
    dim = folder.dim
    n, total, square, shift = np.zeros(dim), np.zeros(dim), np.zeros(dim), np.full(dim, np.nan)
    for unit in units:
        bag = np.concatenate([folder.read(name) for name in unit.slides]).astype(np.float64)
        there = ~np.isnan(bag)
        first = np.take_along_axis(bag, there.argmax(axis=0)[None], axis=0)[0]
        shift = np.where(np.isnan(shift), first, shift)  # keeps the squares small
        apart = np.where(there, bag - shift, 0.0)
        n += there.sum(axis=0)
        total += apart.sum(axis=0)
        square += (apart**2).sum(axis=0)
    mean = total / np.maximum(n, 1)
    sd = np.sqrt(np.maximum(square / np.maximum(n, 1) - mean**2, 0.0))
    return FeatureScale(mean + np.nan_to_num(shift), np.where(sd > 1e-8, sd, 1.0))
