"""The physical scale of images: how many micrometres a pixel has, in the file and as a network sees
it.
"""

from collections.abc import Sequence
from math import exp, isfinite, log, sqrt
from statistics import median
from typing import Any

from pathfuse.dense.data.images import image_size
from pathfuse.dense.data.records import Item
from pathfuse.errors import InputError

LEAST_UM, MOST_UM = 0.01, 100.0
"""Micrometres per pixel beyond which a number is taken for a slip; 40x is about 0.25, 20x 0.5."""
FAR = 1.5
"""Factor between the scale of images and that of an encoder's training from which on it is said."""


def read_mpp(value: Any, where: str) -> float | None:
    """Micrometres per pixel as a file gives them; None if it gives none.

    Raises:
        InputError: It is no number, or one that no microscope has.

    Examples:
        >>> read_mpp(0.25, "the split file")
        0.25
    """
    if value is None:
        return None
    number = float(value) if isinstance(value, int | float) else float("nan")
    if isinstance(value, bool) or not isfinite(number) or not LEAST_UM <= number <= MOST_UM:
        raise InputError(
            f'{where} has "mpp" {value!r}: it must be the micrometres of a pixel, {LEAST_UM:g} to {MOST_UM:g} '
            "(0.25 at 40x, 0.5 at 20x)"
        )
    return number


def scale_warnings(
    items: Sequence[Item],
    *,
    encoder: str,
    trained_um: Sequence[float],
    size_px: int,
    resized: bool,
) -> list[str]:
    """Says where a network sees images at another scale than its encoder was trained at.

    Args:
        items: Images; those of unknown scale are passed over.
        encoder: Its name.
        trained_um: Micrometres per pixel that it was trained at; empty if unknown.
        size_px: Side of the square that the network sees.
        resized: Whether the whole image becomes that square; else it is seen at its own scale.

    Returns:
        One sentence, or none: the scales are within a factor of ``FAR``, or not known.

    Raises:
        InputError: An image cannot be read.
    """
    known = [(item, item.mpp_um) for item in items if item.mpp_um is not None]
    if not known or not trained_um:
        return []
    sides = [
        sqrt(height * width) for height, width in (image_size(item.image) for item, _ in known)
    ]
    own_um, side = median(mpp_um for _, mpp_um in known), median(sides)
    shrunk = [s / size_px if resized else 1.0 for s in sides]
    seen_um = median(mpp_um * by for (_, mpp_um), by in zip(known, shrunk, strict=True))
    nearest = min(trained_um, key=lambda one: abs(log(seen_um / one)))
    factor = exp(abs(log(seen_um / nearest)))
    if factor <= FAR:
        return []
    finest = ", ".join(f"{one:g}" for one in sorted(trained_um))
    if resized:
        how = f"images of {own_um:.3g}, resized from about {side:,.0f} to {size_px:,} pixels"
        advice = f"size_px={round(side * own_um / nearest)} would keep the scale"
    else:
        how, advice = "the images' own scale", "resample the images to keep the scale"
    said = f"the network sees {seen_um:.3g} micrometres per pixel ({how}), but {encoder} was trained at {finest}"
    return [f"{said}: a factor of {factor:.1f}; {advice}"]
