"""Which tiles of several encoders show the same piece of a slide: by coordinates, never by the
order of rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from jaxtyping import Float, Float64, Int

from pathfuse.features.formats.base import Coords, MixedUnitsError, UnusableError
from pathfuse.types import Index

TOLERANCE = 0.5
"""Pixels or micrometres by which corners, edges and tile sizes may differ and still be the same:
rounding."""
FEW = 10
"""Fewer tiles than that may lie apart by chance: their spacing says nothing of their size."""
ABSENT = -1
"""In an index: the encoder has no such tile."""

Corners = Float64[np.ndarray, "tile 2"]


@dataclass(frozen=True)
class Match:
    """The rows of one slide in a bank, and the tile of each encoder that belongs to each."""

    index: Mapping[str, Index]
    """Encoder to int32, (row,): which tile of its file; ``ABSENT``: none."""
    on_grid: tuple[str, ...] = ()
    """Encoders whose tiles the rows are; a row lies where the first of them that has it says."""
    tile_size: float | None = None
    """Edge of a row's tile; None if no file says."""
    unit: str = "px"
    """Of ``tile_size``, and of the corners that ``where`` is given."""
    unused: Mapping[str, int] = field(default_factory=dict)
    """Encoder on another grid to the number of its tiles that belong to no row."""

    @property
    def n_rows(self) -> int:
        """Rows of the slide."""
        return len(next(iter(self.index.values())))

    def only(self, rows: Index) -> "Match":
        """Some of the rows."""
        index = {name: one[rows] for name, one in self.index.items()}
        return replace(self, index=index)

    def where(self, corners: Mapping[str, Corners]) -> Corners:
        """Upper left corners of the rows, from those in the files of the encoders ``on_grid``."""
        xy = np.full((self.n_rows, 2), np.nan)
        for name in reversed(self.on_grid):
            there = self.index[name] != ABSENT
            xy[there] = corners[name][self.index[name][there]]
        return xy


def in_pixels(coords: Coords, um_per_px: float) -> Coords:
    """Coordinates in pixels of level 0, whatever they were in."""
    if coords.unit == "px":
        return coords
    size = None if coords.tile_size is None else coords.tile_size / um_per_px
    return Coords(coords.xy / um_per_px, "px", size)


def reading_order(xy: Corners) -> Index:
    """Row numbers by y, then x."""
    return np.lexsort(np.asarray(xy).T)


def single(name: str, n_tiles: int, coords: Coords | None) -> Match:
    """The rows where one encoder alone has the slide: its tiles, in reading order if there are
    coordinates.
    """
    if coords is None:
        return Match({name: np.arange(n_tiles, dtype=np.int32)})
    return Match(
        {name: reading_order(coords.xy).astype(np.int32)}, (name,), coords.tile_size, coords.unit
    )


def match(slide: str, coords: Mapping[str, Coords], overlap: float) -> Match:
    """Joins the tiles of several encoders.

    The finest grid (smallest tile; of equals the first by name) is the anchor. An encoder is on the
    same grid if its tiles have that size (to ``TOLERANCE``) and, of the rows that one of them
    covers to ``overlap`` or more, at least half find one at their very place. The rows are the
    union of the tiles on that grid, joined where their corners agree to ``TOLERANCE``. Of an
    encoder on another grid every row gets the tile that covers the largest share of it, if that is
    ``overlap`` or more; of equal shares the one whose centre is nearest. Rows are in reading order
    (y, then x), so the order of the tiles in the files changes nothing.

    Args:
        slide: Its name, for messages.
        coords: Encoder to its tiles, two encoders or more.
        overlap: Share of a row's area, in (0, 1].

    Raises:
        UnusableError: Units differ, an encoder has two tiles in one place or a coordinate that is
            not a number, or an encoder shares no tile with any other.
    """
    names = sorted(coords)
    _check_units(coords)
    for name in names:
        _check_places(name, coords[name].xy)
    sizes = tile_sizes(coords)
    order = {name: reading_order(coords[name].xy) for name in names}
    tiles = {name: coords[name].xy[order[name]] for name in names}
    anchor = min(names, key=lambda name: (sizes[name], name))
    xy, index = _union(anchor, tiles, sizes, overlap)
    on_grid = tuple(index)
    for name in names:
        if name not in index:
            index[name] = partners(xy, sizes[anchor], tiles[name], sizes[name], overlap)[0]
    _check_shared(slide, anchor, coords, sizes, tiles, index, overlap)
    final = reading_order(xy)
    rows = {
        name: np.where(index[name] == ABSENT, ABSENT, order[name][index[name]])[final].astype(
            np.int32
        )
        for name in names
    }
    unused = {
        name: len(tiles[name]) - len(np.setdiff1d(rows[name], ABSENT))
        for name in names
        if name not in on_grid
    }
    stated = (coords[name].tile_size for name in on_grid)
    size = next((size for size in stated if size is not None), None)
    return Match(rows, on_grid, size, coords[anchor].unit, unused)


def _union(
    anchor: str, tiles: Mapping[str, Corners], sizes: Mapping[str, float], overlap: float
) -> tuple[Corners, dict[str, Index]]:
    """Corners of all tiles on the anchor's grid, and their number in every encoder on it, in the
    order they joined.
    """
    xy, index = tiles[anchor], {anchor: np.arange(len(tiles[anchor]))}
    waiting = [
        name
        for name in sorted(tiles)
        if name != anchor and abs(sizes[name] - sizes[anchor]) <= TOLERANCE
    ]
    joined = True
    while joined:  # who shares no tile with the anchor may share some with one that joined
        joined = False
        for name in list(waiting):
            found = _twins(xy, tiles[name])
            if found is None:
                found, _ = partners(xy, sizes[anchor], tiles[name], sizes[name], overlap)
            exact = (found != ABSENT) & (np.abs(xy - tiles[name][found]).max(axis=1) <= TOLERANCE)
            if not exact.any() or 2 * exact.sum() < (found != ABSENT).sum():
                continue
            more = np.setdiff1d(np.arange(len(tiles[name])), found[exact])
            xy = np.concatenate([xy, tiles[name][more]])
            index = {
                other: np.concatenate([one, np.full(len(more), ABSENT)])
                for other, one in index.items()
            }
            index[name] = np.concatenate([np.where(exact, found, ABSENT), more])
            waiting.remove(name)
            joined = True
    return xy, index


def _twins(xy: Corners, other: Corners) -> Int[np.ndarray, " row"] | None:
    """Of every tile the other grid's at its very place.

    None where that might not be all there is to find.

    A short cut of ``partners``: it finds the same where most tiles agree to the last digit, and is
    much faster.
    """
    places, other_places = (one[:, 0] + 1j * one[:, 1] for one in (xy, other))
    _, rows, tiles = np.intersect1d(places, other_places, assume_unique=True, return_indices=True)
    found = np.full(len(xy), ABSENT)
    found[rows] = tiles
    whole = len(rows) == len(xy) or all(
        (one == np.round(one)).all() for one in (xy, other)
    )  # no rounding to forgive
    return found if whole and 2 * len(rows) >= len(xy) else None


def partners(
    xy: Corners, size: float, other: Corners, other_size: float, overlap: float
) -> tuple[Int[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    """Of every tile the one of another grid that covers the largest share of its area.

    Args:
        xy: Upper left corners.
        size: Edge of these tiles.
        other: Upper left corners of the other grid's tiles, in reading order: it decides between
            equals.
        other_size: Their edge, not smaller than ``size``.
        overlap: The least share that counts, in (0, 1].

    Returns:
        Number of the other tile, ``ABSENT`` if none covers enough, and the share (0 then). An edge
        that is covered but for ``TOLERANCE`` counts as covered.
    """
    centre, other_centre = xy + size / 2, other + other_size / 2
    reach = (
        (size + other_size) / 2 - overlap * size + TOLERANCE
    )  # beyond it no edge is covered enough
    from scipy.spatial import cKDTree  # one encoder alone needs none

    near = cKDTree(other_centre).query_ball_point(centre, reach, p=np.inf)
    row = np.repeat(np.arange(len(xy)), [len(one) for one in near])
    candidate = np.fromiter(chain.from_iterable(near), dtype=np.int64, count=len(row))
    apart = np.abs(centre[row] - other_centre[candidate])
    covered = np.clip((size + other_size) / 2 - apart, 0, size)
    covered = np.where(size - covered <= TOLERANCE, size, covered)
    share = np.round(np.prod(covered / size, axis=1), 9)
    distance = np.round(np.square(apart).sum(axis=1), 6)
    best = np.lexsort((candidate, distance, -share, row))
    best = best[np.unique(row[best], return_index=True)[1]]
    best = best[share[best] >= round(overlap, 9)]
    found, shares = np.full(len(xy), ABSENT), np.zeros(len(xy))
    found[row[best]], shares[row[best]] = candidate[best], share[best]
    return found, shares


def tile_sizes(coords: Mapping[str, Coords]) -> dict[str, float]:
    """Edges of every encoder's tiles.

    Where the files do not say (CLAM's mostly do not): as that of the first encoder by name with a
    stated size and the same spacing, or else the spacing itself. Tiles too few or too scattered to
    have a ``spacing`` are taken to be as
    small as the smallest of the others, or 1 if nothing is known: then only corners that agree are
    joined.

    Args:
        coords: Encoder to its tiles.
    """
    stated = {
        name: one.tile_size for name, one in sorted(coords.items()) if one.tile_size is not None
    }
    if len(stated) == len(coords):
        return stated
    apart = {name: spacing(one.xy) for name, one in coords.items()}
    sizes = dict(stated)
    for name in sorted(set(coords) - set(stated)):
        own = apart[name]
        if own is not None:
            alike = (
                size
                for other, size in stated.items()
                if (gap := apart[other]) and abs(gap - own) <= TOLERANCE
            )
            sizes[name] = next(alike, own)
    smallest = min(sizes.values(), default=1.0)
    return {name: sizes.get(name, smallest) for name in coords}


def spacing(xy: Corners) -> float | None:
    """The distance that at least half of the tiles have to their nearest neighbour.

    None of less than ``FEW`` tiles.

    Distances are along the axis where two tiles are further apart.

    Examples:
        >>> spacing(np.array([[512.0 * (k % 5), 512.0 * (k // 5)] for k in range(15)])), spacing(np.zeros((1, 2)))
        (512.0, None)
    """
    if len(xy) < FEW:
        return None
    from scipy.spatial import cKDTree

    nearest = np.asarray(cKDTree(xy).query(xy, k=2, p=np.inf)[0])[:, 1]
    rounded = np.round(nearest)
    values, counts = np.unique(rounded, return_counts=True)
    most = nearest[rounded == values[counts.argmax()]]
    return float(np.median(most)) if 2 * len(most) >= len(nearest) else None


def _check_places(name: str, xy: Corners) -> None:
    if not np.isfinite(xy).all():
        row = int(np.argmin(np.isfinite(xy).all(axis=1)))
        raise UnusableError(
            f"the encoder '{name}' has no number as coordinate of tile {row} (counted from 0)"
        )
    places = np.round(xy)[reading_order(np.round(xy))]
    same = (places[1:] == places[:-1]).all(axis=1)
    if same.any():
        raise UnusableError(f"the encoder '{name}' has two tiles at {_place(places[1:][same][0])}")


def _check_units(coords: Mapping[str, Coords]) -> None:
    first, *others = sorted(coords)
    other = next((name for name in others if coords[name].unit != coords[first].unit), None)
    if other is not None:
        raise MixedUnitsError(
            f"the encoder '{first}' says in {coords[first].unit} where its tiles lie, but '{other}' in "
            f"{coords[other].unit}, and the size of a pixel is not known; give um_per_px"
        )


def _check_shared(
    slide: str,
    anchor: str,
    coords: Mapping[str, Coords],
    sizes: Mapping[str, float],
    tiles: Mapping[str, Corners],
    index: Mapping[str, Index],
    overlap: float,
) -> None:
    """Every encoder must have a tile of a row that another one has too: else coordinates are wrong
    somewhere.
    """
    having = np.sum([one != ABSENT for one in index.values()], axis=0)
    lone = next(
        (name for name in sorted(index) if not (having[index[name] != ABSENT] > 1).any()), None
    )
    if lone is None:
        return
    one, other = sorted(
        (lone, anchor if lone != anchor else next(name for name in sorted(index) if name != lone))
    )
    stated = [
        f"the first of '{name}' lies at {_place(tiles[name][0])} and is {sizes[name]:g} {coords[name].unit} wide"
        for name in (one, other)
    ]
    raise UnusableError(
        f"the encoders '{one}' and '{other}' share no tile of slide '{slide}' (at least {overlap:g} of its area): "
        f"{stated[0]}, {stated[1]}"
    )


def _place(xy: Float[np.ndarray, " 2"]) -> str:
    return f"({xy[0]:.10g}, {xy[1]:.10g})"
