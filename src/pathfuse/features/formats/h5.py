"""Features in HDF5, whoever wrote them: one dataset of features, perhaps one of coordinates."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats.arrays import KEYS, Array, Choice, choose
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
from pathfuse.features.formats.clam import FOLDERS, Clam
from pathfuse.features.formats.places import as_xy, check_places, columns_of, origin_of
from pathfuse.features.formats.stamp import Stamp
from pathfuse.features.formats.trident import Trident
from pathfuse.features.formats.writer import Attributes, Writer
from pathfuse.files.hdf5 import Hdf5Error, check_claim, check_reach
from pathfuse.types import Bag, Index

SUFFIXES = (".h5", ".hdf5")
WRITERS = (Stamp(), Trident(), Clam())
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises over a damaged file."""


def header(path: Path, layer: int | None = None) -> Header:
    """Shape, writer and encoder of one file.

    Raises:
        UnusableError: It is damaged, empty, without features, or its coordinates do not fit.
    """
    with opened(path) as file:
        features, choice = _features(file, layer)
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
        notes = [choice.note]
        if own:
            check_claim(coords, "coords")
            width = check_places(coords.shape, coords.dtype, n_tiles)
            notes.append(columns_of(width, attributes.coords).note)
        return Header(
            n_tiles,
            dim,
            granularity,
            features.dtype.name,
            writer.name,
            choice.encoder or writer.encoder(attributes),
            has_coords=own,
            notes=tuple(note for note in notes if note is not None),
        )


def read(path: Path, rows: Index | None, layer: int | None = None) -> Bag:
    """All rows, or those asked for; of these alone the numbers are read."""
    with opened(path) as file:
        features, _ = _features(file, layer)
        _, dim, granularity = layout(features.shape)
        if rows is None or granularity == "slide":
            values = as_bag(features[()], dim)
            return values if rows is None else values[rows]
        wanted, where = np.unique(
            rows, return_inverse=True
        )  # h5py wants increasing rows, each once
        return as_bag(_part(features, wanted), dim)[where]


def stored(path: Path, layer: int | None = None) -> Bag:
    """All rows, float16 where the file has it."""
    with opened(path) as file:
        features, _ = _features(file, layer)
        return as_stored(features[()], layout(features.shape)[1])


def chunks(path: Path, layer: int | None = None) -> Iterator[Bag]:
    """All rows, a part at a time."""
    with opened(path) as file:
        features, _ = _features(file, layer)
        n_tiles, dim, granularity = layout(features.shape)
        for part in in_chunks(n_tiles, dim):
            yield as_bag(features[()] if granularity == "slide" else _part(features, part), dim)


def read_coords(path: Path, layer: int | None = None) -> Coords:
    """Where the tiles lie, in the writer's unit."""
    with opened(path) as file:
        found = file["coords"]
        check_claim(found, "coords")
        attributes = _attributes(file, _features(file, layer)[0], found)
        unit, size = _writer(path, attributes).tile(attributes)
        origin = origin_of(attributes.coords, attributes.file)
        return Coords(as_xy(found[()], attributes.coords), unit, size, origin)


def _part(features: Any, rows: Any) -> Any:
    """Rows of an array (tiles, dimensions), (tiles, 1, dimensions) or (1, tiles, dimensions)."""
    batched = len(features.shape) == 3 and features.shape[0] == 1
    return features[0, rows] if batched else features[rows]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file, with a sentence for whatever is wrong with it.

    Raises:
        UnusableError: It is damaged, leads to other files, or claims far more than it holds.
    """
    check_file(path)
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{path} needs h5py, which is not installed: pip install 'pathfuse[formats]'"
        ) from error
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            check_reach(file, path)
            yield file
    except Hdf5Error as error:
        raise UnusableError(str(error)) from error
    except (FileNotFoundError, PermissionError) as error:
        raise UnusableError(f"it cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise UnusableError(
            "it is not a complete HDF5 file: cut off, damaged, or of another kind"
        ) from error


def _features(file: Any, layer: int | None) -> tuple[Any, Choice]:
    usual = None if layer is not None else next((key for key in KEYS if _is_array(file, key)), None)
    choice = choose(_arrays(file), layer) if usual is None else Choice(usual)
    if choice is None:
        there = ", ".join(sorted(file)) or "nothing"
        raise UnusableError(
            f"it has no dataset {', '.join(KEYS[:-1])} or {KEYS[-1]}; it holds {there}"
        )
    found = file[choice.key]
    if found.shape is None:
        raise UnusableError(f"the bag is empty: '{found.name.strip('/')}' holds no array")
    layout(found.shape)
    if found.dtype.kind != "f":
        raise UnusableError(f"its features are {found.dtype}, not floating-point numbers")
    check_claim(found, "features")
    return found, choice


def _arrays(file: Any) -> dict[str, Array]:
    """Every dataset of a file, those of its groups included, by its path."""

    def seen(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            arrays[name] = Array(item.shape or (), item.dtype.kind == "f")

    arrays: dict[str, Array] = {}
    file.visititems(seen)
    return arrays


def _is_array(file: Any, key: str) -> bool:
    return _dataset(file, key) is not None


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
