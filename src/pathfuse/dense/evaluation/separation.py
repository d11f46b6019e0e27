"""From a foreground to instances: how touching nuclei or glands of a semantic model are told apart.

Every model and fusion that gives classes of pixels gets its instances in the same way, so that AJI
and PQ compare what the models say, not what was done to it afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from pathfuse.dense.evaluation.instances import LabelMap
from pathfuse.dense.evaluation.watershed import (
    NECK,
    NEIGHBOURS,
    Foreground,
    Inwardness,
    watershed,
)
from pathfuse.errors import InputError


@dataclass(frozen=True)
class Separation:
    """One way from a foreground to instances."""

    name: str
    words: str
    """What manifests and pages say of it."""
    separate: Callable[[Foreground, Inwardness | None], LabelMap]


def _connected(mask: Foreground, _: Inwardness | None) -> LabelMap:
    return np.asarray(ndimage.label(mask, structure=NEIGHBOURS)[0], dtype=np.int32)


WATERSHED = Separation(
    "watershed",
    f"connected pixels, cut where they narrow to less than {NECK:.0%} of the thinner part's width "
    "(watershed of the distance to the edge)",
    watershed,
)
COMPONENTS = Separation(
    "components",
    "connected pixels, so that touching objects are one",
    _connected,
)
SEPARATIONS = (WATERSHED, COMPONENTS)
"""The default first."""


def instances_of(
    mask: Foreground, inwardness: Inwardness | None = None, how: Separation = WATERSHED
) -> LabelMap:
    """The instances of a foreground.

    Args:
        mask: Bool, (H, W): where there is an object.
        inwardness: Float, (H, W): larger in the middle of an object than at its edge, if a model
            gives such a map (distances, or ``inwardness_of_hover``); default: the distance to the
            nearest pixel outside the mask. What lies outside the mask is not looked at.
        how: One of ``SEPARATIONS``.

    Returns:
        Int, (H, W): 0 outside the mask, instances are 1, 2, ...

    Raises:
        InputError: The map is of another size, or not finite inside the mask.

    Examples:
        >>> rows, columns = np.ogrid[:11, :20]
        >>> discs = [np.hypot(rows - 5, columns - center) < 4.7 for center in (5, 13)]
        >>> mask = discs[0] | discs[1]
        >>> int(instances_of(mask).max()), int(instances_of(mask, how=COMPONENTS).max())
        (2, 1)
    """
    if inwardness is not None:
        if inwardness.shape != mask.shape:
            raise InputError(
                f"the mask has the shape {mask.shape} but the map of distances {inwardness.shape}"
            )
        if not np.isfinite(inwardness[mask]).all():
            raise InputError("the map of distances holds numbers that are not finite")
    return how.separate(mask, inwardness)


def find_separation(name: str) -> Separation:
    """The way of a name.

    Raises:
        InputError: There is none; the message names the known ones.
    """
    found = next((one for one in SEPARATIONS if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in SEPARATIONS)
        raise InputError(
            f"there is no way to separate instances called '{name}'; known are {names}, and choose"
        )
    return found


def inwardness_of_hover(
    horizontal: Float[np.ndarray, "height width"], vertical: Float[np.ndarray, "height width"]
) -> Inwardness:
    """How far inside its nucleus a pixel lies, from the two maps of HoVer-Net.

    The maps run from -1 to 1 across each nucleus, and jump back where the next one begins: a steep
    fall marks an edge (Graham et al., Medical Image Analysis 58, 2019).

    Args:
        horizontal: Float, (H, W): place from left to right inside the nucleus.
        vertical: The same from top to bottom.

    Returns:
        Float, (H, W), 0 to 1: 1 where no edge is near.
    """
    edges = []
    for values, axis in ((horizontal, 1), (vertical, 0)):
        fall = -ndimage.sobel(np.asarray(values, dtype=np.float64), axis=axis)
        edges.append(np.clip(fall / max(float(fall.max(initial=0.0)), 1e-12), 0.0, 1.0))
    return 1.0 - np.maximum(*edges)
