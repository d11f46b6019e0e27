"""Bags from disk to packed batches: one part of the cohort at a time, with a bounded memory of what was read."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pathfuse.bags.folder import FeatureFolder
from pathfuse.experts.cohort import Unit
from pathfuse.types import Bag


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of every feature."""

    mean: Float[np.ndarray, " dim"]
    sd: Float[np.ndarray, " dim"]
    clip: float | None = None
    """Standard deviations beyond which a value is cut."""

    def apply(self, bag: Bag) -> Bag:
        """Standardised features, float32."""
        scaled = np.asarray((bag - self.mean) / self.sd, dtype=np.float32)
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)


class BagReader:
    """Reads units' bags, and keeps the last ones up to a number of megabytes."""

    def __init__(self, folder: FeatureFolder, cache_mb: int, scale: Scale | None = None) -> None:
        self.folder, self.room, self.scale = folder, cache_mb * 2**20, scale
        self.kept: OrderedDict[tuple[str, ...], Bag] = OrderedDict()
        self.held = 0
        """Bytes that are kept."""

    def sizes(self, unit: Unit) -> list[int]:
        """Tiles of each slide of a unit."""
        return [self.folder.slides[name].n_tiles for name in unit.slides]

    def read(self, unit: Unit, max_tiles: int | None = None, rng: np.random.Generator | None = None) -> Bag:
        """All tiles of a unit, or as many as are allowed, drawn without replacement."""
        n = sum(self.sizes(unit))
        if max_tiles is None or rng is None or n <= max_tiles:
            return self._whole(unit)
        rows = np.sort(rng.choice(n, max_tiles, replace=False))
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
        return bag if self.scale is None else self.scale.apply(bag)


@dataclass(frozen=True)
class Batch:
    """Some units, packed."""

    features: Tensor
    """Float32, (tile, dim)."""
    index: Tensor
    """Int64, (tile,), the unit of each tile."""
    units: tuple[Unit, ...]

    @property
    def samples(self) -> np.ndarray:
        """Row of the samples table of each unit."""
        return np.array([unit.sample for unit in self.units])


def pack(bags: Sequence[Bag], units: Sequence[Unit], device: str) -> Batch:
    """Puts bags one after the other."""
    index = torch.repeat_interleave(torch.arange(len(bags)), torch.tensor([len(bag) for bag in bags]))
    features = torch.from_numpy(np.concatenate(bags))
    return Batch(features.to(device), index.to(device), tuple(units))


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
        rng: Shuffles units and draws tiles; None: in order, all tiles.
        max_tiles: Tiles per unit, with a generator.
    """
    order = np.arange(len(units)) if rng is None else rng.permutation(len(units))
    for start in range(0, len(units), size):
        chosen = [units[i] for i in order[start : start + size]]
        yield pack([reader.read(unit, max_tiles, rng) for unit in chosen], chosen, device)


def fit_scale(reader: BagReader, units: Sequence[Unit]) -> Scale:
    """Mean and standard deviation over the tiles of some units, one bag at a time; a constant feature has 1."""
    n, total, square = 0, np.zeros(reader.folder.dim), np.zeros(reader.folder.dim)
    shift: np.ndarray | None = None
    for unit in units:
        bag = reader.read(unit).astype(np.float64)
        shift = bag[0] if shift is None else shift  # keeps the squares small
        n += len(bag)
        total += (bag - shift).sum(axis=0)
        square += ((bag - shift) ** 2).sum(axis=0)
    mean = total / n
    sd = np.sqrt(np.maximum(square / n - mean**2, 0.0))
    return Scale(mean + (0.0 if shift is None else shift), np.where(sd > 1e-8, sd, 1.0))
