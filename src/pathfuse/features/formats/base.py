"""What every format answers: which slides there are, their shapes without their numbers, their
rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from pathfuse.features.moments import Moments, moments_of
from pathfuse.files.special import special_kind
from pathfuse.types import Bag, Index

MOST_DIM = 10**6
"""Dimensions of a feature: encoders have some thousand, all layers of all encoders together fewer than this."""
CHUNK = 2**22
"""Numbers that are held at a time when values are checked: 16 MB."""


class UnusableError(Exception):
    """A slide's features cannot be used.

    The message is the reason, to follow the file's name and a colon.
    """


class MixedUnitsError(UnusableError):
    """Encoders say in different units where the tiles of a slide lie, and nothing converts them."""


@dataclass(frozen=True)
class Coords:
    """Where a slide's tiles lie."""

    xy: Float64[np.ndarray, "tile 2"]
    """Upper left corners."""
    unit: str
    """``px`` (of level 0) or ``um`` (micrometres)."""
    tile_size: float | None
    """Edge of a tile in that unit; None if the file does not say."""
    origin: tuple[float, float] | None = None
    """Where, in level-0 pixels, the part of the slide begins that QuPath shows; None if not stated."""


@dataclass(frozen=True)
class Header:
    """What is known of a slide without reading its numbers."""

    n_tiles: int
    dim: int
    granularity: str | None
    """``tile`` or ``slide``; None for a single row, which may be either."""
    dtype: str
    format: str
    encoder: str | None = None
    has_coords: bool = False
    notes: tuple[str, ...] = ()
    """What is to be said of how the file is read, to follow a colon."""


class Store(ABC):
    """The feature files of one encoder, by slide."""

    paths: Mapping[str, tuple[Path, ...]]
    """Slide to its files; most formats have one."""
    layer: int | None = None
    """Of the layers of a model that files hold, the one that was asked for."""
    rows_are: Literal["sample", "patient"] | None = None
    """What the rows of a table of vectors are, by the name of the column that identifies them."""

    @abstractmethod
    def header(self, name: str) -> Header:
        """Shape and kind of one slide; raises ``UnusableError``."""

    @abstractmethod
    def read(self, name: str, rows: Index | None = None) -> Bag:
        """All rows or those asked for, in the order asked; raises ``UnusableError``."""

    def stored(self, name: str) -> Bag:
        """All rows in the dtype of the file where that is float16, otherwise float32; raises
        ``UnusableError``.
        """
        return self.read(name)

    @abstractmethod
    def chunks(self, name: str) -> Iterator[Bag]:
        """All rows, a part at a time; raises ``UnusableError``."""

    def moments(self, name: str) -> Moments:
        """Moments of one slide, as one row; raises ``UnusableError``."""
        return moments_of(self.chunks(name))

    def coords(self, name: str) -> Coords | None:
        """Where the tiles lie; None if the files do not say."""
        return None

    def files(self) -> set[Path]:
        """Every file that was used."""
        return {path for paths in self.paths.values() for path in paths}


def check_file(path: Path) -> None:
    """Refuses what would be waited for without end when it is opened.

    Raises:
        UnusableError: It is a named pipe, a socket or a device.
    """
    kind = special_kind(path)
    if kind is not None:
        raise UnusableError(f"it is {kind}, not a file")


def layout(shape: tuple[int, ...]) -> tuple[int, int, str | None]:
    """Rows, dimensions and granularity of an array of features.

    Examples:
        >>> layout((777, 512)), layout((777, 1, 512)), layout((768,)), layout((1, 768))
        ((777, 512, 'tile'), (777, 512, 'tile'), (1, 768, 'slide'), (1, 768, None))
        >>> layout((1, 777, 512))
        (777, 512, 'tile')
    """
    if 0 in shape:
        raise UnusableError(f"the bag is empty: its features have the shape {shape}")
    if len(shape) == 3 and 1 in shape[:2]:
        shape = (shape[0] * shape[1], shape[2])
    if len(shape) not in (1, 2):
        raise UnusableError(
            f"the features have the shape {shape}, neither (tiles, dimensions) nor (dimensions,)"
        )
    if shape[-1] > MOST_DIM:
        raise UnusableError(
            f"the features have {shape[-1]:,} dimensions; at most {MOST_DIM:,} are read"
        )
    if len(shape) == 1:
        return 1, shape[0], "slide"
    return shape[0], shape[1], "tile" if shape[0] > 1 else None


def as_bag(values: Any, dim: int) -> Bag:
    """Any floating-point array as float32 rows."""
    with np.errstate(
        over="ignore"
    ):  # what float32 cannot hold becomes infinite, and is found as such
        return np.asarray(values).reshape(-1, dim).astype(np.float32)


def as_stored(values: Any, dim: int) -> Bag:
    """Any floating-point array as rows: float16 stays, everything else is float32."""
    found = np.asarray(values)
    return found.reshape(-1, dim) if found.dtype == np.float16 else as_bag(found, dim)


def in_chunks(n_rows: int, dim: int) -> Iterator[slice]:
    """Slices that cover the rows, ``CHUNK`` numbers each."""
    step = max(1, CHUNK // dim)
    return (slice(start, start + step) for start in range(0, n_rows, step))
