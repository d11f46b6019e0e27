"""Where tiles lie, as files write it: two columns or more, with or without names."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from pathfuse.features.formats.base import UnusableError
from pathfuse.features.formats.writer import number, text

NAMES = ("columns", "column_names", "names", "fields")
"""Attributes that may name the columns."""
X = ("x", "coord_x", "loc_x", "x_coord")
Y = ("y", "coord_y", "loc_y", "y_coord")
ORIGIN = (("openslide.bounds-x", "openslide.bounds-y"), ("bounds_x", "bounds_y"))
"""Attributes that say where the part of a slide begins that QuPath shows."""


class Columns(NamedTuple):
    """Which columns are x and y."""

    x: int
    y: int
    note: str | None
    """What is to be said of the choice."""


def columns_of(n: int, attributes: Mapping[str, Any]) -> Columns:
    """X and y of coordinates with ``n`` columns.

    Examples:
        >>> columns_of(2, {})
        Columns(x=0, y=1, note=None)
        >>> columns_of(3, {"columns": ["level", "x", "y"]})[:2]
        (1, 2)
    """
    if n == 2:
        return Columns(0, 1, None)
    stated = next((attributes[key] for key in NAMES if key in attributes), ())
    names = [(text(name) or "").lower() for name in _listed(stated)]
    x, y = (next((i for i, name in enumerate(names) if name in axis), None) for axis in (X, Y))
    if x is not None and y is not None and len(names) == n:
        return Columns(x, y, f"its coords have {n} columns; '{names[x]}' and '{names[y]}' are read")
    return Columns(0, 1, f"its coords have {n} columns; the first two are taken for x and y")


def check_places(shape: tuple[int, ...] | None, dtype: Any, n_tiles: int) -> int:
    """How many columns coordinates have.

    Raises:
        UnusableError: They are no numbers, or not one place per tile.
    """
    if shape is None or np.dtype(dtype).kind not in "fiu":
        raise UnusableError(f"its coords are {dtype}, not numbers")
    shape = (1, 2) if shape == (2,) else shape  # some writers squeeze a single tile's
    if len(shape) == 3 and 1 in shape[:2]:
        shape = (shape[0] * shape[1], shape[2])
    if len(shape) != 2 or shape[1] < 2:
        raise UnusableError(f"its coords have the shape {shape}, not (tiles, 2)")
    if shape[0] != n_tiles:
        raise UnusableError(f"it has {shape[0]} coords, but the features of {n_tiles} tiles")
    return shape[1]


def as_xy(values: Any, attributes: Mapping[str, Any]) -> Float64[np.ndarray, "tile 2"]:
    """X and y of every tile."""
    found = np.asarray(values, dtype=np.float64)
    found = found.reshape(-1, found.shape[-1])
    columns = columns_of(found.shape[1], attributes)
    return found[:, [columns.x, columns.y]]


def origin_of(*attributes: Mapping[str, Any]) -> tuple[float, float] | None:
    """Where, in level-0 pixels, the part of a slide begins that QuPath shows; None if not stated."""
    for place in attributes:
        for keys in ORIGIN:
            x, y = (_coordinate(place.get(key)) for key in keys)
            if x is not None and y is not None:
                return x, y
    return None


def _coordinate(value: Any) -> float | None:
    """A number of at least 0."""
    return 0.0 if text(value) in ("0", "0.0") else number(value)


def _listed(names: Any) -> Sequence[Any]:
    """Names as a list: an array of them, or one text with commas."""
    if isinstance(names, (bytes, str)):
        return (text(names) or "").strip("[]").replace('"', "").replace(" ", "").split(",")
    return list(names) if np.ndim(names) == 1 else []
