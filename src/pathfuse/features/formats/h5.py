"""Features in HDF5, whoever wrote them: one dataset of features, perhaps one of coordinates."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats.base import (
    Coords,
    Header,
    UnusableError,
    as_bag,
    as_stored,
    in_chunks,
    layout,
)
from pathfuse.features.formats.clam import FOLDERS, Clam
from pathfuse.features.formats.stamp import Stamp
from pathfuse.features.formats.trident import Trident
from pathfuse.features.formats.writer import Attributes, Writer
from pathfuse.types import Bag, Index

SUFFIXES = (".h5", ".hdf5")
KEYS = ("features", "feats", "patch_embeddings")
"""What tools call their features."""
WRITERS = (Stamp(), Trident(), Clam())
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises over a damaged file."""


def header(path: Path) -> Header:
    """Shape, writer and encoder of one file.

    Raises:
        UnusableError: It is damaged, empty, without features, or its coordinates do not fit.
    """
    with _opened(path) as file:
        features = _features(file)
        n_tiles, dim, by_rank = layout(features.shape)
        coords = _dataset(file, "coords")
        attributes = _attributes(file, features, coords)
        writer = _writer(path, attributes)
        granularity = (
            by_rank or writer.granularity(attributes) or ("tile" if coords is not None else None)
        )
        # A slide's vector may come with the coordinates of all tiles behind it: those are not its
        # own.
        own = coords is not None and granularity != "slide"
        if own:
            _check_coords(coords, n_tiles)
        return Header(
            n_tiles,
            dim,
            granularity,
            features.dtype.name,
            writer.name,
            writer.encoder(attributes),
            has_coords=own,
        )


def read(path: Path, rows: Index | None) -> Bag:
    """All rows, or those asked for; of these alone the numbers are read."""
    with _opened(path) as file:
        features = _features(file)
        _, dim, granularity = layout(features.shape)
        if rows is None or granularity == "slide":
            values = as_bag(features[()], dim)
            return values if rows is None else values[rows]
        wanted, where = np.unique(
            rows, return_inverse=True
        )  # h5py wants increasing rows, each once
        return as_bag(features[wanted], dim)[where]


def stored(path: Path) -> Bag:
    """All rows, float16 where the file has it."""
    with _opened(path) as file:
        features = _features(file)
        return as_stored(features[()], layout(features.shape)[1])


def chunks(path: Path) -> Iterator[Bag]:
    """All rows, a part at a time."""
    with _opened(path) as file:
        features = _features(file)
        n_tiles, dim, granularity = layout(features.shape)
        for part in in_chunks(n_tiles, dim):
            yield as_bag(features[()] if granularity == "slide" else features[part], dim)


def read_coords(path: Path) -> Coords:
    """Where the tiles lie, in the writer's unit."""
    with _opened(path) as file:
        found = file["coords"]
        attributes = _attributes(file, _features(file), found)
        unit, size = _writer(path, attributes).tile(attributes)
        return Coords(np.asarray(found[()], dtype=np.float64).reshape(-1, 2), unit, size)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{path} needs h5py, which is not installed: pip install 'pathfuse[formats]'"
        ) from error
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except (FileNotFoundError, PermissionError) as error:
        raise UnusableError(f"it cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise UnusableError(
            "it is not a complete HDF5 file: cut off, damaged, or of another kind"
        ) from error


def _features(file: Any) -> Any:
    found = next((data for key in KEYS if (data := _dataset(file, key)) is not None), None)
    if found is None:
        there = ", ".join(sorted(file)) or "nothing"
        raise UnusableError(
            f"it has no dataset {', '.join(KEYS[:-1])} or {KEYS[-1]}; it holds {there}"
        )
    if found.shape is None:
        raise UnusableError(f"the bag is empty: '{found.name.strip('/')}' holds no array")
    layout(found.shape)
    if found.dtype.kind != "f":
        raise UnusableError(f"its features are {found.dtype}, not floating-point numbers")
    return found


def _dataset(file: Any, key: str) -> Any:
    import h5py

    return file[key] if isinstance(file.get(key), h5py.Dataset) else None


def _attributes(file: Any, features: Any, coords: Any) -> Attributes:
    return Attributes(
        dict(file.attrs), dict(features.attrs), {} if coords is None else dict(coords.attrs)
    )


def _writer(path: Path, attributes: Attributes) -> Writer:
    stated = next((writer for writer in WRITERS if writer.recognises(attributes)), None)
    return stated or (Clam() if path.parent.name in FOLDERS else Writer())


def _check_coords(coords: Any, n_tiles: int) -> None:
    if coords.shape is None or coords.dtype.kind not in "fiu":
        raise UnusableError(f"its coords are {coords.dtype}, not numbers")
    shape = (1, 2) if coords.shape == (2,) else coords.shape  # some writers squeeze a single tile's
    if len(shape) != 2 or shape[1] != 2:
        raise UnusableError(f"its coords have the shape {shape}, not (tiles, 2)")
    if shape[0] != n_tiles:
        raise UnusableError(f"it has {shape[0]} coords, but the features of {n_tiles} tiles")
