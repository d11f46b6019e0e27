"""Features in PyTorch files: a tensor, a list of one tensor per tile, a dict, or a model's layers.

Nothing that needs pickle is opened.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats.arrays import (
    KEYS,
    Array,
    Choice,
    choose,
    last_layer,
    no_layer,
)
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
from pathfuse.features.formats.clam import FOLDERS
from pathfuse.features.formats.places import as_xy, check_places, columns_of
from pathfuse.features.formats.tensors import FLOATS, INTEGERS, check_stored, plain
from pathfuse.files.npy import npz_headers
from pathfuse.files.special import special_kind
from pathfuse.types import Bag, Index

SUFFIX = ".pt"


INDEX = ".index.npz"
"""slideflow's places of the tiles, next to the ``.pt`` file."""
MOST_PLACES_BYTES = 2**28
"""Of that index: two numbers for each of 16 million tiles."""
DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)
"""What torch raises over a damaged file, besides pickle's error."""
DAMAGED_INDEX = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    zipfile.BadZipFile,
    RuntimeError,  # of an archive with a password
    zlib.error,
)
MOST_LAYERS = 64
"""A longer list of arrays (1, dimensions) may as well be tiles."""


class _Content(NamedTuple):
    """What a file holds."""

    features: Any
    coords: Any = None
    """Of a dict that has some."""
    choice: Choice = Choice("")


def header(path: Path, layer: int | None = None) -> Header:
    """Shape of one file.

    Raises:
        UnusableError: It is damaged, empty, or needs pickle.
    """
    content = _content(path, layer)
    tensor = content.features
    n_tiles, dim, granularity = layout(tuple(tensor.shape))
    dtype = str(tensor.dtype).removeprefix("torch.")
    places = None if granularity == "slide" else _places(path, content)
    notes = [content.choice.note]
    if places is not None:
        notes.append(columns_of(check_places(places.shape, places.dtype, n_tiles), {}).note)
    written_by = "slideflow" if index_of(path) is not None else "pt"
    return Header(
        n_tiles,
        dim,
        granularity or (None if places is None else "tile"),
        dtype,
        "clam" if path.parent.name in FOLDERS else written_by,
        content.choice.encoder,
        has_coords=places is not None,
        notes=tuple(note for note in notes if note is not None),
    )


def read(path: Path, rows: Index | None, layer: int | None = None) -> Bag:
    """All rows, or those asked for."""
    tensor = _content(path, layer).features
    n_tiles, dim, _ = layout(tuple(tensor.shape))
    flat = tensor.reshape(n_tiles, dim)
    return _numbers(flat if rows is None else flat[np.asarray(rows, dtype=np.int64)], dim)


def stored(path: Path, layer: int | None = None) -> Bag:
    """All rows, float16 where the file has it."""
    tensor = _content(path, layer).features
    _, dim, _ = layout(tuple(tensor.shape))
    if str(tensor.dtype) == "torch.float16":
        return as_stored(tensor.numpy(), dim).copy()  # the file may be mapped into memory
    return _numbers(tensor, dim)


def chunks(path: Path, layer: int | None = None) -> Iterator[Bag]:
    """All rows, a part at a time."""
    tensor = _content(path, layer).features
    n_tiles, dim, _ = layout(tuple(tensor.shape))
    flat = tensor.reshape(n_tiles, dim)
    return (_numbers(flat[part], dim) for part in in_chunks(n_tiles, dim))


def read_coords(path: Path, layer: int | None = None) -> Coords | None:
    """Where the tiles lie: ``coords`` of a dict, or slideflow's index, in pixels of level 0."""
    places = _places(path, _content(path, layer))
    return None if places is None else Coords(as_xy(places, {}), "px", None)


def index_of(path: Path) -> Path | None:
    """Slideflow's places of the tiles of a file; None if there are none."""
    index = path.with_name(path.name[: -len(path.suffix)] + INDEX)
    return index if index.is_file() or special_kind(index) else None


def _places(path: Path, content: _Content) -> Any:
    """Coordinates of the tiles, any number of columns; None if they are not known."""
    if content.coords is not None:
        return plain(content.coords, "coords", (*FLOATS, *INTEGERS)).double().numpy()
    index = index_of(path)
    if index is None:
        return None
    check_file(index)
    try:
        if sum(one.n_bytes for one in npz_headers(index).values()) > MOST_PLACES_BYTES:
            raise UnusableError(f"its coordinates {index.name} are larger than those of any slide")
        with np.load(index, allow_pickle=False) as found:
            return found["arr_0" if "arr_0" in found.files else found.files[0]]
    except DAMAGED_INDEX as error:
        raise UnusableError(f"its coordinates {index.name} cannot be read") from error


def _numbers(tensor: Any, dim: int) -> Bag:
    return as_bag(tensor.float().numpy(), dim)  # numpy has no bfloat16


def _content(path: Path, layer: int | None = None) -> _Content:
    """The file's tensor: by itself, of a dict, of a list of layers, or a list of rows, stacked."""
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path} needs PyTorch, which is not installed: pip install 'pathfuse[torch]'"
        ) from error
    loaded = _load(path, torch)
    if isinstance(loaded, dict):
        found = _of_dict(loaded, layer, torch)
    elif isinstance(loaded, (list, tuple)) and all(isinstance(a, torch.Tensor) for a in loaded):
        found = _of_list(loaded, layer, torch)
    else:
        found = _Content(loaded)
        if layer is not None:
            raise UnusableError(no_layer(layer, []))
    content = found.features
    if not isinstance(content, torch.Tensor):
        raise UnusableError(
            f"it holds a {type(content).__name__}, neither a tensor nor a list or dict of tensors"
        )
    content = plain(content, "features")
    layout(tuple(content.shape))
    return found._replace(features=content)


def _of_dict(loaded: dict[Any, Any], layer: int | None, torch: Any) -> _Content:
    tensors = {str(key): one for key, one in loaded.items() if isinstance(one, torch.Tensor)}
    arrays = {
        key: Array(() if one.is_nested else tuple(one.shape), one.is_floating_point())
        for key, one in tensors.items()  # a nested one has several shapes
    }
    choice = choose(arrays, layer)
    if choice is None:
        there = ", ".join(map(str, loaded)) or "nothing"
        raise UnusableError(
            f"its dict has no tensor {', '.join(KEYS[:-1])} or {KEYS[-1]}; it holds {there}"
        )
    places = tensors.get("coords")
    return _Content(tensors[choice.key], places, choice)


def _of_list(loaded: Sequence[Any], layer: int | None, torch: Any) -> _Content:
    """Rows, one per tile, or the layers of a model."""
    if not loaded:
        raise UnusableError("the bag is empty: its list holds no tensor")
    rows = [plain(row, "features") for row in loaded]
    shapes = {tuple(row.shape) for row in rows}
    (shape, *others) = shapes
    if not others and len(shape) > 1 and len(loaded) <= MOST_LAYERS:
        wanted = len(loaded) - 1 if layer is None else layer
        if not 0 <= wanted < len(loaded):
            raise UnusableError(no_layer(wanted, list(range(len(loaded)))))
        said = None if layer is not None or len(loaded) == 1 else last_layer(wanted)
        number = None if len(loaded) == 1 else wanted
        return _Content(rows[wanted], choice=Choice("", said, number))
    if others or len(shape) != 1:
        raise UnusableError(
            f"its list holds tensors of the shapes {sorted(shapes)}, not one (dimensions,) per tile"
        )
    if layer is not None:
        raise UnusableError(no_layer(layer, []))
    check_stored(rows, "features")
    return _Content(torch.stack(rows))


def _load(path: Path, torch: Any) -> Any:
    refused = (
        torch.serialization.pickle.UnpicklingError
    )  # our code imports no pickle, not even for its error
    check_file(path)
    try:
        zipped = zipfile.is_zipfile(path)
        with path.open("rb") as file:
            start = file.read(1)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (FileNotFoundError, PermissionError) as error:
        raise UnusableError(f"it cannot be read: {error.strerror or error}") from error
    except (refused, *DAMAGE) as error:
        if isinstance(error, refused) and (zipped or start == b"\x80"):
            raise UnusableError(
                "it needs pickle, which can run code, and is not opened: save a plain tensor"
            ) from error
        raise UnusableError(
            "it is not a complete PyTorch file: cut off, damaged, or of another kind"
        ) from error
