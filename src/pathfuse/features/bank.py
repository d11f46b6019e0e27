"""Several encoders' features of the same slides and tiles, side by side, read like the features of
one encoder.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pathfuse.features.folder import FeatureFolder
from pathfuse.features.formats.base import Coords, Header, Store, in_chunks
from pathfuse.features.grid import ABSENT, Match, in_pixels
from pathfuse.features.moments import Moments, moments_of
from pathfuse.features.slide_moments import slide_moments
from pathfuse.types import Bag, Index

Incomplete = Literal["mask", "drop"]
SHOWN = 5
"""Names that a note lists."""


@dataclass(frozen=True)
class Masked:
    """Rows of a slide whose columns of one encoder are NaN."""

    encoder: str
    slide: str
    n_tiles: int
    """So many rows; 1 for a vector of the whole slide."""
    of: int
    """Rows of the slide."""
    reason: str


@dataclass(frozen=True)
class Dropped:
    """Tiles of a slide that are in some encoder's files, but in no row of the bank."""

    slide: str
    n_tiles: int
    of: int
    """Tiles that there were."""
    reason: str


@dataclass(frozen=True)
class FeatureBank(FeatureFolder):
    """The features of several encoders; NaN where an encoder has no such tile or slide.

    Its columns are the encoders' one after the other, in the order of their names; ``encoder`` is
    None.
    """

    encoders: dict[str, FeatureFolder]
    """Sorted by name."""
    overlap: float
    """The least share of a tile's area that a tile of another grid must cover."""
    um_per_px: float | None
    """Size of a pixel of level 0, where files in pixels meet files in micrometres."""
    incomplete: Incomplete
    masked: tuple[Masked, ...]
    """Sorted by slide, then encoder; empty with ``drop``."""
    dropped: tuple[Dropped, ...]
    """Sorted by slide."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What there is to know of each encoder's features."""
        return tuple(sentence for one in self.encoders.values() for sentence in one.warnings)

    @property
    def views(self) -> dict[str, int]:
        """Encoder to its dimensions, in the order of the columns."""
        return {name: folder.dim for name, folder in self.encoders.items()}

    def gaps(self) -> dict[str, tuple[int, list[str]]]:
        """What is masked and dropped, sorted by reason: how many slides or tiles, and all slides
        that it is about.

        Slides that are left out as a whole are in ``broken``.
        """
        found: dict[str, tuple[int, list[str]]] = {}
        for gap in self.masked:
            n, slides = found.get(f"{gap.reason} (masked)", (0, []))
            found[f"{gap.reason} (masked)"] = (
                n + (1 if gap.n_tiles == gap.of else gap.n_tiles),
                [*slides, gap.slide],
            )
        for loss in self.dropped:
            n, slides = found.get(loss.reason, (0, []))
            found[loss.reason] = (n + loss.n_tiles, [*slides, loss.slide])
        return dict(sorted(found.items()))

    def notes(self) -> list[dict[str, Any]]:
        """``gaps`` as lines: ``reason``, ``n`` (slides or tiles), ``first`` (slides)."""
        return [
            {"reason": why, "n": n, "first": slides[:SHOWN]}
            for why, (n, slides) in self.gaps().items()
        ]

    def sha256(self) -> str:
        """A fingerprint: of the encoders' names and files (see ``FeatureFolder``) and how they are
        joined.
        """
        how = f"{self.overlap!r}\0{self.um_per_px!r}\0{self.incomplete}"
        content = [how, *(f"{name}\0{folder.sha256()}" for name, folder in self.encoders.items())]
        return hashlib.sha256("\n".join(content).encode()).hexdigest()


class BankStore(Store):
    """Reads every encoder's tiles into their columns."""

    def __init__(
        self,
        encoders: Mapping[str, FeatureFolder],
        matches: Mapping[str, Match],
        um_per_px: float | None = None,
    ) -> None:
        self.encoders, self.matches, self.um_per_px = encoders, matches, um_per_px
        ends = np.cumsum([folder.dim for folder in encoders.values()]).tolist()
        starts = [0, *ends[:-1]]
        self.columns = {
            name: slice(a, b) for name, a, b in zip(encoders, starts, ends, strict=True)
        }
        self.dim = int(ends[-1])
        self.found: dict[str, Moments] = {}
        self.paths = {
            name: tuple(
                path
                for encoder in encoders
                if encoder in one.index
                for path in self._files(encoder, name)
            )
            for name, one in matches.items()
        }

    def _files(self, encoder: str, name: str) -> tuple[Path, ...]:
        return self.encoders[encoder].store.paths[name]

    def header(self, name: str) -> Header:
        """See ``Store``."""
        one = self.matches[name]
        having = [self.encoders[encoder] for encoder in one.index]
        dtype = "+".join(sorted({folder.slides[name].dtype for folder in having}))
        written_by = "+".join(sorted({folder.format for folder in having}))
        return Header(
            one.n_rows,
            self.dim,
            having[0].granularity,
            dtype,
            written_by,
            has_coords=bool(one.on_grid),
        )

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """See ``Store``; NaN where an encoder has no such tile. Of HDF5 only these tiles are read."""
        one = self.matches[name]
        values = np.full(
            (one.n_rows if rows is None else len(rows), self.dim), np.nan, dtype=np.float32
        )
        for encoder, index in one.index.items():
            wanted = index if rows is None else index[rows]
            there = wanted != ABSENT
            if there.any():
                values[there, self.columns[encoder]] = self.encoders[encoder].read(
                    name, wanted[there]
                )
        return values

    def stored(self, name: str) -> Bag:
        """See ``Store``; float16 if all encoders that have the slide have that."""
        one = self.matches[name]
        bags = {encoder: self.encoders[encoder].stored(name) for encoder in one.index}
        small = all(bag.dtype == np.float16 for bag in bags.values())
        dtype = np.float16 if small else np.float32
        values = np.full((one.n_rows, self.dim), np.nan, dtype=dtype)
        for encoder, index in one.index.items():
            there = index != ABSENT
            values[there, self.columns[encoder]] = bags[encoder][index[there]]
        return values

    def moments(self, name: str) -> Moments:
        """See ``Store``; what is known of an encoder is used where its tiles are all there once.

        Kept once found: the parts of an expert want the same slides.
        """
        if name not in self.found:
            self.found[name] = self._moments(name)
        return self.found[name]

    def _moments(self, name: str) -> Moments:
        one = self.matches[name]
        low, mean, high = (np.full((1, self.dim), np.nan) for _ in range(3))
        n, square = np.zeros((1, self.dim), dtype=np.int64), np.zeros((1, self.dim))
        found = Moments(n, low, mean, high, square)
        for encoder, index in one.index.items():
            folder, taken = self.encoders[encoder], np.sort(index[index != ABSENT])
            if not taken.size:
                continue
            whole = np.array_equal(taken, np.arange(folder.slides[name].n_tiles))
            own = slide_moments(folder, [name]) if whole else moments_of([folder.read(name, taken)])
            for part, value in zip(found, own, strict=True):
                part[:, self.columns[encoder]] = value
        return found

    def chunks(self, name: str) -> Iterator[Bag]:
        """See ``Store``."""
        rows = np.arange(self.matches[name].n_rows)
        return (self.read(name, rows[part]) for part in in_chunks(len(rows), self.dim))

    def coords(self, name: str) -> Coords | None:
        """See ``Store``."""
        one = self.matches[name]
        found = ((encoder, self.encoders[encoder].coords(name)) for encoder in one.on_grid)
        known = {encoder: coords for encoder, coords in found if coords is not None}
        if not known:
            return None
        if one.unit == "px" and self.um_per_px is not None:
            known = {
                encoder: in_pixels(coords, self.um_per_px) for encoder, coords in known.items()
            }
        return Coords(
            one.where({encoder: coords.xy for encoder, coords in known.items()}),
            one.unit,
            one.tile_size,
        )

    def files(self) -> set[Path]:
        """See ``Store``."""
        return {path for folder in self.encoders.values() for path in folder.store.files()}
