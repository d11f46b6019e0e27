"""Features in NumPy files: one array. Nothing that needs pickle is opened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.features.formats.arrays import no_layer
from pathfuse.features.formats.base import (
    Coords,
    Header,
    UnusableError,
    as_bag,
    as_stored,
    check_file,
    in_chunks,
    layout,
)
from pathfuse.files.npy import NEEDS_PICKLE, npy_header
from pathfuse.types import Bag, Index

SUFFIX = ".npy"


def header(path: Path, layer: int | None = None) -> Header:
    """Shape of one file.

    Raises:
        UnusableError: It is damaged, empty, or needs pickle.
    """
    if layer is not None:
        raise UnusableError(no_layer(layer, []))
    values = _array(path)
    n_tiles, dim, granularity = layout(values.shape)
    return Header(n_tiles, dim, granularity, values.dtype.name, "npy")


def read(path: Path, rows: Index | None, _layer: int | None = None) -> Bag:
    """All rows, or those asked for."""
    values, dim = _rows(path)
    return as_bag(values if rows is None else values[rows], dim)


def stored(path: Path, _layer: int | None = None) -> Bag:
    """All rows, float16 where the file has it."""
    values, dim = _rows(path)
    return as_stored(values, dim).copy()  # the file is mapped into memory


def chunks(path: Path, _layer: int | None = None) -> Iterator[Bag]:
    """All rows, a part at a time."""
    values, dim = _rows(path)
    return (as_bag(values[part], dim) for part in in_chunks(len(values), dim))


def read_coords(_path: Path, _layer: int | None = None) -> Coords | None:
    """An array says nothing of places."""
    return None


def _rows(path: Path) -> tuple[Any, int]:
    values = _array(path)
    n_tiles, dim, _ = layout(values.shape)
    return values.reshape(n_tiles, dim), dim


def _array(path: Path) -> Any:
    check_file(path)
    try:
        with path.open("rb") as file:
            npy_header(file, path.stat().st_size)
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, PermissionError) as error:
        raise UnusableError(f"it cannot be read: {error.strerror or error}") from error
    except (OSError, ValueError, EOFError) as error:
        if str(error) == NEEDS_PICKLE:
            raise UnusableError(NEEDS_PICKLE) from error
        raise UnusableError(f"it is not a complete NumPy file: {error}") from error
    if values.dtype.kind != "f":
        raise UnusableError(f"its features are {values.dtype}, not floating-point numbers")
    return values
