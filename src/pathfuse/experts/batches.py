"""Bags from disk to packed batches: one part of the cohort at a time, with a bounded memory of what
was read.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float

from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Packed
from pathfuse.experts.pooled.statistics import sd_of_varying
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.held import check_held
from pathfuse.features.slide_moments import slide_moments
from pathfuse.types import Bag, Index

Item = TypeVar("Item")
PREFETCHED, ALONE = 2**18, 2**27
"""Numbers in a batch from which on the next one is read in a thread, and in a unit above which it is
not: 512 MB.
"""
BLOCK = 2**17
"""Numbers that are standardised at a time: what a processor's cache holds as float32."""


@dataclass(frozen=True)
class FeatureScale:
    """Mean and standard deviation of every feature."""

    mean: Float[np.ndarray, " dim"]
    sd: Float[np.ndarray, " dim"]
    clip: float | None = None
    """Standard deviations beyond which a value is cut."""

    def apply(self, bag: Bag) -> Bag:
        """Standardised features, float32."""
        scaled = np.empty(bag.shape, dtype=np.float32)
        self.write(bag, scaled)
        return scaled

    def write(self, bag: Bag, out: Bag) -> None:
        """Standardised features of tiles into float32 rows, computed in float32.

        The mean is taken off in two parts where float32 cannot hold it well enough: a feature of
        1000 with a spread of 0.1 would otherwise be off by 0.0003 standard deviations.
        """
        mean, rest, sd = self._parts()
        step = max(1, BLOCK // max(bag.shape[1], 1))
        for start in range(0, len(bag), step):
            part = out[start : start + step]
            np.subtract(bag[start : start + step], mean, out=part, dtype=np.float32)
            if rest is not None:
                part -= rest
            part /= sd
            if self.clip is not None:
                np.clip(part, -self.clip, self.clip, out=part)

    def write_on_device(self, features: Float[torch.Tensor, "tile dim"]) -> None:
        """Standardises float32 rows where they lie, as ``write`` does."""
        mean, rest, sd = (
            None if part is None else torch.from_numpy(part).to(features.device)
            for part in self._parts()
        )
        features -= mean
        if rest is not None:
            features -= rest
        features /= sd
        if self.clip is not None:
            features.clamp_(-self.clip, self.clip)

    def _parts(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Float32, (dim,) each: mean, what float32 leaves out of it where that counts, and standard
        deviation.
        """
        mean, sd = self.mean.astype(np.float32), self.sd.astype(np.float32)
        rest = (self.mean - mean).astype(np.float32)
        coarse = bool((np.abs(rest) > 1e-6 * self.sd).any())
        return mean, rest if coarse else None, sd


class Tiles(NamedTuple):
    """What one unit gives to a batch."""

    bag: Bag
    """As it is stored: not standardised, float16 or float32."""
    clusters: Index | None = None
    """Of each tile within the unit, where the reader draws from clusters."""


class BagReader:
    """Reads units' bags, and keeps the first ones up to a number of megabytes, as they are stored.

    What is kept stays: in an epoch every unit is read once, in a new order, so that a reader which
    dropped the oldest for the newest would find next to nothing of what it holds.

    Args:
        folder: Features of one encoder or of several.
        cache_mb: Room for what is kept.
        scale: Standardises, on the way to a batch; None: features as they are.
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
        self.kept: dict[tuple[str, ...], Bag] = {}
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
        """What a batch gets of a unit: all tiles, or as many as are allowed: drawn without
        replacement, or evenly spaced without a generator.
        """
        return Tiles(self._some(unit, max_tiles, rng))

    def sizes(self, unit: Unit) -> list[int]:
        """Tiles of each slide of a unit."""
        return [self.folder.slides[name].n_tiles for name in unit.slides]

    def count(self, unit: Unit, max_tiles: int | None = None) -> int:
        """How many tiles ``take`` gives; at most, where they are drawn from clusters."""
        n = sum(self.sizes(unit))
        return n if max_tiles is None else min(n, max_tiles)

    def read(
        self, unit: Unit, max_tiles: int | None = None, rng: np.random.Generator | None = None
    ) -> Bag:
        """What ``take`` gives, standardised, float32."""
        bag = self.take(unit, max_tiles, rng).bag
        scaled = np.empty(bag.shape, dtype=np.float32)
        self.write(bag, scaled)
        return scaled

    def write(self, bag: Bag, out: Bag) -> None:
        """Standardises tiles into the float32 rows of a batch."""
        if self.scale is None:
            out[...] = bag
        else:
            self.scale.write(bag, out)
        if self.fill:
            np.nan_to_num(out, copy=False, nan=0.0)

    def write_on_device(self, features: Float[torch.Tensor, "tile dim"]) -> None:
        """Standardises the float32 rows of a batch where they lie."""
        if self.scale is not None:
            self.scale.write_on_device(features)
        if self.fill:
            features.nan_to_num_(nan=0.0)

    def rows(self, unit: Unit, rows: Index) -> Bag:
        """Some tiles of a unit, ascending, as they are stored.

        The whole unit is read and kept if there is room for it: other tiles of it are wanted in the
        next epoch.
        """
        if self._fits(unit):
            return self._whole(unit)[rows]
        parts, start = [], 0
        for name, size in zip(unit.slides, self.sizes(unit), strict=True):
            inside = rows[(rows >= start) & (rows < start + size)] - start
            if len(inside):
                parts.append(self.folder.read(name, inside))
            start += size
        return np.concatenate(parts)

    def _some(self, unit: Unit, max_tiles: int | None, rng: np.random.Generator | None) -> Bag:
        n = sum(self.sizes(unit))
        if max_tiles is None or n <= max_tiles:
            return self._whole(unit)
        if rng is None:
            return self.rows(unit, evenly(n, max_tiles))
        return self.rows(unit, np.sort(rng.choice(n, max_tiles, replace=False)))

    def _fits(self, unit: Unit) -> bool:
        """Whether a unit is kept, or can be."""
        width = max(
            np.dtype(_kept_as(self.folder.slides[name].dtype)).itemsize for name in unit.slides
        )
        size = sum(self.sizes(unit)) * self.folder.dim * width
        return unit.slides in self.kept or size <= self.room - self.held

    def _whole(self, unit: Unit) -> Bag:
        if unit.slides in self.kept:
            return self.kept[unit.slides]
        parts = [self.folder.stored(name) for name in unit.slides]
        bag = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if self.held + bag.nbytes <= self.room:
            self.kept[unit.slides] = bag
            self.held += bag.nbytes
        return bag


def evenly(n: int, most: int) -> Index:
    """Int, (tile,): at most ``most`` of n tiles, evenly spaced, ascending."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


def _kept_as(dtype: str) -> str:
    """What features that are stored in some dtype are kept in."""
    return "float16" if dtype == "float16" else "float32"


@dataclass(frozen=True)
class Batch:
    """Some units, packed."""

    packed: Packed
    units: tuple[Unit, ...]
    of: int
    """Units in the optimiser's step that the batch is a part of."""
    ends: bool = True
    """Whether the step ends with this batch."""

    @property
    def samples(self) -> np.ndarray:
        """Row of the samples table of each unit."""
        return np.array([unit.sample for unit in self.units])


def pack(
    reader: BagReader, read: Sequence[Tiles], units: Sequence[Unit], device: str, step: "Step"
) -> Batch:
    """Puts bags one after the other, standardised."""
    sizes, bags = [len(one.bag) for one in read], [one.bag for one in read]
    features = (
        _packed_on_gpu(reader, bags, device)
        if device.startswith("cuda")
        else _packed(reader, bags).to(device)
    )
    index = torch.repeat_interleave(torch.arange(len(read)), torch.tensor(sizes))
    found = [one.clusters for one in read if one.clusters is not None]
    clusters = torch.from_numpy(np.concatenate(found)).to(device) if found else None
    packed = Packed(features, index.to(device), len(read), clusters)
    return Batch(packed, tuple(units), step.of, step.ends)


def _packed(reader: BagReader, bags: Sequence[Bag]) -> Float[torch.Tensor, "tile dim"]:
    """Bags one after the other, standardised bag by bag while a processor's cache holds them."""
    features = torch.empty(sum(len(bag) for bag in bags), reader.folder.dim)
    start, rows = 0, features.numpy()
    for bag in bags:
        reader.write(bag, rows[start : start + len(bag)])
        start += len(bag)
    return features


def _packed_on_gpu(
    reader: BagReader, bags: Sequence[Bag], device: str
) -> Float[torch.Tensor, "tile dim"]:
    """Bags one after the other, copied as they are stored and standardised there: half as many bytes
    travel, and no core has to keep up with a GPU.
    """
    kept = np.result_type(*(bag.dtype for bag in bags))
    stored = torch.empty(
        sum(len(bag) for bag in bags),
        reader.folder.dim,
        dtype=torch.float16 if kept == np.float16 else torch.float32,
        pin_memory=True,
    )
    np.concatenate(bags, out=stored.numpy(), casting="same_kind")
    features = stored.to(device, non_blocking=True).float()
    reader.write_on_device(features)
    return features


class Step(NamedTuple):
    """Units that are packed together."""

    units: list[Unit]
    of: int
    ends: bool


def steps(
    reader: BagReader,
    units: Sequence[Unit],
    size: int,
    max_tiles: int | None,
    batch_tiles: int | None,
) -> Iterator[Step]:
    """Cuts units into steps of ``size``, and a step into parts of at most ``batch_tiles`` tiles.

    A unit with more tiles than that is a part of its own.
    """
    for start in range(0, len(units), size):
        chosen, part, tiles = units[start : start + size], list[Unit](), 0
        for unit in chosen:
            n = reader.count(unit, max_tiles)
            if part and batch_tiles is not None and tiles + n > batch_tiles:
                yield Step(part, len(chosen), False)
                part, tiles = [], 0
            part.append(unit)
            tiles += n
        yield Step(part, len(chosen), True)


def batches(
    reader: BagReader,
    units: Sequence[Unit],
    size: int,
    device: str,
    rng: np.random.Generator | None = None,
    max_tiles: int | None = None,
    batch_tiles: int | None = None,
    prefetch: bool = True,
    chance: Float[np.ndarray, " unit"] | None = None,
) -> Iterator[Batch]:
    """Packed batches of all units; shuffled and with tiles drawn if there is a generator.

    Args:
        reader: Where bags come from.
        units: What to read.
        size: Units per step of the optimiser.
        device: Where tensors go.
        rng: Shuffles units and draws tiles; None: in order, tiles evenly spaced.
        max_tiles: Tiles per unit; None: all.
        batch_tiles: Tiles per batch; a step with more comes as several batches.
        prefetch: Read the next batch in a thread while one is used; the batches are the same.
        chance: Of each unit at every draw: as many are drawn as there are, some of them several
            times and others not at all; None: each once. Needs a generator.

    Raises:
        InputError: A unit has more tiles than can be held.
    """
    for unit in units:  # before the first is read
        n = reader.count(unit, max_tiles)
        check_held(n, reader.folder.dim, f"the slide or patient of '{unit.slides[0]}'")
    order: Index = np.arange(len(units))
    if rng is not None:
        n = len(units)
        order = rng.permutation(n) if chance is None else rng.choice(n, n, p=chance)
    cut = steps(reader, [units[i] for i in order], size, max_tiles, batch_tiles)
    packed = (
        pack(
            reader,
            [reader.take(unit, max_tiles, rng) for unit in step.units],
            step.units,
            device,
            step,
        )
        for step in cut
    )
    return ahead(packed) if prefetch and _worth_it(reader, units, size, max_tiles) else packed


def _worth_it(reader: BagReader, units: Sequence[Unit], size: int, max_tiles: int | None) -> bool:
    """Whether a batch is so large that reading it takes longer than handing it from thread to
    thread, and no unit so large that two of them should not be in memory.
    """
    counts = [reader.count(unit, max_tiles) for unit in units]
    usual = sum(counts) * min(1.0, size / max(len(units), 1))
    dim = reader.folder.dim
    return usual * dim >= PREFETCHED and max(counts) * dim <= ALONE


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield cast("Item", item)


def fit_scale(folder: FeatureFolder, units: Sequence[Unit]) -> FeatureScale:
    """Mean and standard deviation over the tiles of some units.

    A constant feature has 1.

    A tile that an encoder lacks has no part in that encoder's numbers; an encoder that has none
    keeps 0 and 1.
    """
    found = slide_moments(folder, [name for unit in units for name in unit.slides])
    whole = found.joined([range(len(found.n))])
    mean, sd = np.nan_to_num(whole.mean[0]), np.nan_to_num(whole.sd[0])
    return FeatureScale(mean, sd_of_varying(mean, sd))
