"""Features as AnnData, one file or folder per slide: ``.h5ad``, and ``.zarr`` of AnnData or of a
slide that LazySlide wrote, whose tables are AnnData.

``X`` holds the features, or else one array of ``obsm``; ``obs`` or ``obsm/spatial`` say where tiles
lie.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats import h5
from pathfuse.features.formats.arrays import Array, Choice, choose, no_layer
from pathfuse.features.formats.base import (
    Coords,
    Header,
    UnusableError,
    as_bag,
    as_stored,
    in_chunks,
    layout,
)
from pathfuse.features.formats.places import X, Y, as_xy, check_places, columns_of
from pathfuse.files.hdf5 import Hdf5Error, check_claim
from pathfuse.files.special import special_kind
from pathfuse.types import Bag, Index

SUFFIX, ZARR = ".h5ad", ".zarr"
SPATIAL = "spatial"


def header(path: Path, layer: int | None = None) -> Header:
    """Shape of one slide.

    Raises:
        UnusableError: It is damaged, empty, sparse, or without features.
    """
    if layer is not None:
        raise UnusableError(no_layer(layer, []))
    with _table(path) as table:
        features, choice = _features(table)
        n_tiles, dim, granularity = layout(features.shape)
        places = _places(table)
        notes = [choice.note]
        if places is not None:
            width = check_places(places.shape, places.dtype, n_tiles)
            notes.append(columns_of(width, {}).note)
        return Header(
            n_tiles,
            dim,
            granularity or (None if places is None else "tile"),
            np.dtype(features.dtype).name,
            "anndata",
            has_coords=places is not None,
            notes=tuple(note for note in notes if note is not None),
        )


def read(path: Path, rows: Index | None, _layer: int | None = None) -> Bag:
    """All rows, or those asked for; of these alone the numbers are read."""
    with _table(path) as table:
        features, _ = _features(table)
        dim = features.shape[1]
        if rows is None:
            return as_bag(features[...], dim)
        wanted, where = np.unique(rows, return_inverse=True)  # HDF5 wants them so
        part = features.oindex[wanted] if hasattr(features, "oindex") else features[wanted]
        return as_bag(part, dim)[where]


def stored(path: Path, _layer: int | None = None) -> Bag:
    """All rows, float16 where the file has it."""
    with _table(path) as table:
        features, _ = _features(table)
        return as_stored(features[...], features.shape[1])


def chunks(path: Path, _layer: int | None = None) -> Iterator[Bag]:
    """All rows, a part at a time."""
    with _table(path) as table:
        features, _ = _features(table)
        n_tiles, dim = features.shape
        for part in in_chunks(n_tiles, dim):
            yield as_bag(features[part], dim)


def read_coords(path: Path, _layer: int | None = None) -> Coords | None:
    """Where the tiles lie, in pixels of level 0."""
    with _table(path) as table:
        places = _places(table)
        return None if places is None else Coords(as_xy(places, {}), "px", None)


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    """The group of ``X``, ``obs`` and ``obsm``; HDF5 and zarr are asked in the same words."""
    if path.suffix.lower() == SUFFIX:
        with h5.opened(path) as file:
            yield file
        return
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            f"{path} needs zarr, which is not installed: pip install 'pathfuse[zarr]'"
        ) from error
    for inside in path.rglob("*"):
        if (kind := special_kind(inside)) is not None:
            raise UnusableError(f"{inside.relative_to(path)} in it is {kind}, not a file")
    try:
        root: Any = zarr.open_group(str(path), mode="r")
        yield _only_table(root)
    except Hdf5Error as error:
        raise UnusableError(str(error)) from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise UnusableError("it is not a complete zarr folder of AnnData or LazySlide") from error


def _only_table(root: Any) -> Any:
    """AnnData itself, or the one table of a slide that LazySlide wrote."""
    if "X" in root or "obsm" in root:
        return root
    tables = root.get("tables", {})
    names = [name for name in sorted(tables) if "X" in tables[name]]
    if len(names) > 1:
        raise UnusableError(
            f"it holds several tables, {', '.join(names)}; write the one of the encoder into a file of its own (.h5ad)"
        )
    if not names:
        raise UnusableError("it holds no table of features (X)")
    return tables[names[0]]


def _features(table: Any) -> tuple[Any, Choice]:
    """The array of features."""
    found, choice = table.get("X"), Choice("X")
    if found is not None and not hasattr(found, "shape"):
        raise UnusableError("its X is sparse, which features are not; write a dense array")
    if found is None or found.shape is None or len(found.shape) != 2 or found.shape[1] == 0:
        arrays = {
            f"obsm/{key}": Array(item.shape, np.dtype(item.dtype).kind == "f")
            for key in table.get("obsm", ())
            if hasattr(item := table["obsm"][key], "shape")
        }
        chosen = choose(arrays)
        if chosen is None:
            raise UnusableError("it has no features: neither X nor an array of obsm")
        found, choice = table[chosen.key], chosen
    layout(found.shape)
    if np.dtype(found.dtype).kind != "f":
        raise UnusableError(f"its features are {found.dtype}, not floating-point numbers")
    check_claim(found, "features")
    return found, choice


def _places(table: Any) -> Any:
    """Columns x and y of ``obs``, or ``obsm/spatial``; None if there are neither."""
    obs = table.get("obs", {})
    by_name = {str(name).lower(): str(name) for name in obs}
    columns = [next((by_name[name] for name in axis if name in by_name), None) for axis in (X, Y)]
    if all(name is not None and hasattr(obs[name], "shape") for name in columns):
        return np.stack([_whole(obs[name]) for name in columns], axis=1)
    obsm = table.get("obsm", {})
    return _whole(obsm[SPATIAL]) if SPATIAL in obsm else None


def _whole(array: Any) -> np.ndarray:
    check_claim(array, "coords")
    return np.asarray(array[...])
