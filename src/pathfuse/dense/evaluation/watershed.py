"""Objects cut at their necks: the watershed of the distance to the edge.

Nothing here has a unit: an object is cut where its neck is thin by the measure of its own width,
and smoothed by the measure of the image's objects, so that the same numbers serve nuclei at 20x and
glands at 5x.

References:
    Meyer, Signal Processing 38 (1994): the watershed from markers. Soille, Morphological Image
    Analysis, 2nd ed. (2003), 6.3: peaks that stand out by some height.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from pathfuse.dense.evaluation.instances import LabelMap

Foreground: TypeAlias = Bool[np.ndarray, "height width"]
Inwardness: TypeAlias = Float[np.ndarray, "height width"]
"""Larger in the middle of an object than at its edge, in any unit."""
Window: TypeAlias = tuple[slice, slice]

NECK = 0.9
"""Two parts of an object are two objects if the way between them narrows to less than this share of
the width of the thinner part; as ``SMOOTHING`` chosen on images that no reported figure is of
(benchmarks/dense_instances.py)."""
SMOOTHING = 0.15
"""Standard deviation of the smoothing, as a share of the radius of the image's objects."""
TRUNCATE = 4
"""The smoothing ends after so many standard deviations."""
WINDOW_PX = 1024
"""Side of the parts in which an image is worked on; the result does not depend on it."""
NEIGHBOURS = np.ones((3, 3), dtype=bool)


def watershed(
    mask: Foreground, inwardness: Inwardness | None = None, *, window_px: int = WINDOW_PX
) -> LabelMap:
    """Connected pixels, cut at their necks.

    The logarithm of the smoothed inwardness has a peak in the middle of each object; a peak that
    does not stand out by ``NECK`` over the way to a higher one is part of it. From the others the
    watershed grows.

    Args:
        mask: Where there is an object.
        inwardness: As in ``instances_of``.
        window_px: Connected pixels are worked on together if they begin in one square of this side,
            which bounds memory.
    """
    found, total = np.zeros(mask.shape, dtype=np.int32), 0
    parts, n = ndimage.label(mask, structure=NEIGHBOURS)
    if not n:
        return found
    groups = _groups(ndimage.find_objects(parts), window_px)
    distance = _distance(parts, groups)
    sigma = SMOOTHING * _radius(parts, n, distance)
    depth = distance if inwardness is None else _above_zero(inwardness, mask)
    halo = math.ceil(TRUNCATE * sigma) + 1
    for group in groups:
        near = _widened(group.window, halo, mask.shape)
        heights = _smoothed(depth[near], mask[near], sigma)[_inside(group.window, near)]
        mine = group.pixels(parts[group.window])
        labels = _flooded(np.log(np.maximum(heights, 1e-6)), mine)
        found[group.window][mine] = labels[mine] + np.int32(total)
        total += int(labels.max())
    return found


def _flooded(heights: Inwardness, mine: Foreground) -> LabelMap:
    """The watershed from the peaks that stand out.

    First from all peaks, then joined: half the time of looking for the peaks first, by
    morphological reconstruction, with the same result.
    """
    from skimage.segmentation import watershed as flood

    heights = np.where(mine, heights, heights.min() - 1.0)
    tops = (ndimage.maximum_filter(heights, footprint=NEIGHBOURS) == heights) & mine
    basins = flood(-heights, ndimage.label(tops, NEIGHBOURS)[0], NEIGHBOURS, mask=mine)
    n = int(basins.max())
    peaks = np.full(n + 1, -np.inf)
    np.maximum.at(peaks, basins, heights)
    return _joined(peaks, *_passes(heights, basins))[basins]


def _passes(
    heights: Inwardness, basins: LabelMap
) -> tuple[Int[np.ndarray, "pair two"], Float[np.ndarray, " pair"]]:
    """Basins that touch, and the height of the highest way between them, from high to low."""
    width = basins.shape[1]
    numbers, levels = basins.ravel(), heights.ravel()
    found = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        inside = np.zeros(basins.shape, dtype=bool)
        inside[: len(basins) - down, max(0, -right) : width - max(0, right)] = True
        here = np.flatnonzero(inside.ravel() & (numbers > 0))
        there = here + down * width + right
        apart = (numbers[there] > 0) & (numbers[there] != numbers[here])
        found.append(np.stack([here[apart], there[apart]]))
    here, there = np.concatenate(found, axis=1)
    level = np.minimum(levels[here], levels[there])
    pairs = np.sort(np.stack([numbers[here], numbers[there]], axis=1), axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -level))
    return pairs[order], level[order]


def _joined(
    peaks: Float[np.ndarray, " basin"],
    pairs: Int[np.ndarray, "pair two"],
    levels: Float[np.ndarray, " pair"],
) -> Int[np.ndarray, " basin"]:
    """The object of each basin, 1, 2, ...; 0 of number 0.

    The way between two peaks is flooded from above. The lower one is an object of its own if it
    stands out over the way; either way, what comes later sees the two as one land with one summit.
    """
    step = -math.log(NECK)
    summit, owner = list(range(len(peaks))), list(range(len(peaks)))
    for (one, other), level in zip(pairs.tolist(), levels.tolist(), strict=True):
        high, low = _root(summit, one), _root(summit, other)
        if high == low:
            continue
        if peaks[high] < peaks[low]:
            one, other, high, low = other, one, low, high
        if peaks[low] - level < step:
            owner[_root(owner, other)] = _root(owner, one)
        summit[low] = high
    roots = np.array([_root(owner, basin) for basin in range(len(peaks))])
    return np.unique(roots, return_inverse=True)[1].astype(np.int32)


def _root(parents: list[int], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


@dataclass(frozen=True)
class _Group:
    """Connected parts that are worked on together."""

    window: Window
    """Holds all of them."""
    number: int
    of_part: Int[np.ndarray, " part"]
    """The group of each part, by its label; -1 of the background."""

    def pixels(self, parts: Int[np.ndarray, "row column"]) -> Foreground:
        """Which pixels belong to the group."""
        return self.of_part[parts] == self.number


def _groups(places: Sequence[Window], window_px: int) -> list[_Group]:
    """Parts that begin in the same square of a grid are a group."""
    corners = [(rows.start // window_px, columns.start // window_px) for rows, columns in places]
    order = {corner: number for number, corner in enumerate(sorted(set(corners)))}
    of_part = np.array([-1, *(order[corner] for corner in corners)], dtype=np.int32)
    edges = np.array([[s.start for s in own] + [s.stop for s in own] for own in places])
    groups = []
    for number in order.values():
        own = edges[of_part[1:] == number]
        (top, left), (bottom, right) = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
        window = slice(int(top), int(bottom)), slice(int(left), int(right))
        groups.append(_Group(window, number, of_part))
    return groups


def _distance(
    parts: Int[np.ndarray, "height width"], groups: Sequence[_Group]
) -> Float[np.ndarray, "height width"]:
    """Of each pixel to the nearest one outside; the edge of the image is no edge of an object."""
    found = np.zeros(parts.shape, dtype=np.float32)
    for group in groups:
        near = _widened(group.window, 1, parts.shape)
        mine = group.pixels(parts[near])
        # Where nothing is outside, there is no distance to it: all is as deep.
        deep = np.ones(mine.shape) if mine.all() else ndimage.distance_transform_edt(mine)
        found[near][mine] = deep[mine]
    return found


def _above_zero(inwardness: Inwardness, mask: Foreground) -> Inwardness:
    """Numbers that have a logarithm: where some are negative, the smallest becomes 0."""
    values = np.where(mask, inwardness, 0.0)
    return values - min(float(values.min()), 0.0) * mask


def _radius(
    parts: Int[np.ndarray, "height width"], n: int, distance: Float[np.ndarray, "height width"]
) -> float:
    """The half width of the object that a pixel of the foreground typically lies in.

    The median over pixels and not over objects, since a mask may have more specks than nuclei.
    """
    widest = np.zeros(n + 1, dtype=distance.dtype)
    np.maximum.at(widest, parts, distance)
    widest = widest[1:]
    order = np.argsort(widest, kind="stable")
    pixels = np.bincount(parts.ravel(), minlength=n + 1)[1:][order].cumsum()
    return float(widest[order][np.searchsorted(pixels, pixels[-1] / 2)])


def _smoothed(depth: Inwardness, mask: Foreground, sigma: float) -> Inwardness:
    """Means over the foreground alone, so that an edge pulls nothing down."""
    values = ndimage.gaussian_filter(np.where(mask, depth, 0.0), sigma, truncate=TRUNCATE)
    weights = ndimage.gaussian_filter(mask.astype(np.float64), sigma, truncate=TRUNCATE)
    return np.divide(values, weights, out=np.zeros_like(values), where=mask)


def _widened(window: Window, by: int, shape: tuple[int, ...]) -> Window:
    rows, columns = (
        slice(max(0, own.start - by), min(size, own.stop + by))
        for own, size in zip(window, shape, strict=True)
    )
    return rows, columns


def _inside(window: Window, wider: Window) -> Window:
    """A window as seen from a wider one."""
    rows, columns = (
        slice(own.start - other.start, own.stop - other.start)
        for own, other in zip(window, wider, strict=True)
    )
    return rows, columns
