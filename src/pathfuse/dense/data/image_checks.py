"""What a file says of its pixels that would change or empty their meaning without a word: turned
images, more than 8 bits, palettes made by quantising.
"""

import struct
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import ExifTags, Image

from pathfuse.dense.data.records import IGNORE
from pathfuse.errors import InputError

Palette = UInt8[np.ndarray, "index 3"]
"""Colour of each index, RGB."""

NEAR = 8
"""Colours that differ by less than this in every channel are no two colours that somebody chose."""
MAP_COLOURS, MAP_STEP = 64, 16
"""A palette of at least so many colours, each within so much of the next in every channel, is a map
of colours (grey, jet, viridis): its numbers are what they were. Reduced colours jump."""
BITS_PER_SAMPLE = 258
"""TIFF's tag."""


def refuse_turned(image: Image.Image, what: str, path: Path) -> None:
    """Refuses an image that is to be turned before it is looked at (EXIF, TIFF).

    Programs disagree on whether they do so: image and mask would differ in silence.

    Args:
        image: TIFF: before its pixels are loaded, since Pillow turns them; others: after.
        what: Image or mask.
        path: The file.

    Raises:
        InputError: It is to be turned or mirrored.
    """
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return  # of data about the image that cannot be read nobody turns it
    if turned not in (0, 1, None):
        raise InputError(
            f"the {what} {path} says that it is stored turned or mirrored (orientation {turned}), which some programs "
            "heed and others do not, so that an image and its mask may not fit: store it upright, without this tag "
            "(such as by ImageMagick: mogrify -auto-orient)"
        )


def refuse_pages(image: Image.Image, what: str, path: Path) -> None:
    """Refuses a TIFF of several pages of one size, of which only the first would be read.

    Pages of other sizes are the same image, smaller.

    Raises:
        InputError: The second page has the size of the first.
    """
    n_pages = getattr(image, "n_frames", 1)
    if n_pages < 2:
        return
    size = image.size
    image.seek(1)
    same = image.size == size
    image.seek(0)
    if same:
        raise InputError(
            f"the {what} {path} has {n_pages} pages of one size, of which only the first would be read: write one "
            "image a file (of a mask with a page for each class: one page of class numbers)"
        )


def refuse_deep(image: Image.Image, path: Path) -> None:
    """Refuses more than 8 bits per channel, of which Pillow would keep the upper ones.

    Raises:
        InputError: It has more.
    """
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(BITS_PER_SAMPLE, ()), default=8)
    for tile in getattr(image, "tile", ()):
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if args and isinstance(args[0], str) and ";16" in args[0]:
            bits = 16
    if bits > 8:
        raise InputError(
            f"the image {path} has more than 8 bits per channel ({bits}), and it is not known which of its numbers are "
            "black and white: convert it to RGB of 8 bits"
        )


def palette_of(image: Image.Image) -> Palette | None:
    """The colours of a palette image; None if it has no palette."""
    colours = image.getpalette("RGB") if image.mode == "P" else None
    return None if colours is None else np.array(colours, dtype=np.uint8).reshape(-1, 3)


def refuse_quantised(palette: Palette, used: Bool[np.ndarray, " value"], path: Path) -> None:
    """Refuses indices that the reduction of colours numbered: they are no classes.

    A palette that somebody made for classes has colours that one can tell apart, and if it has
    black, that is the first (the background); one of greys becomes brighter. Reducing the colours
    of a picture of a mask orders them by chance: Pillow gives white the index 0 and black 1.

    Args:
        palette: Of a mask.
        used: Which of the values 0 to 255 the mask holds.
        path: The mask.

    Raises:
        InputError: The palette is not made for classes.
    """
    indices = np.flatnonzero(used[: min(IGNORE, len(palette))])
    colours = palette[indices].astype(np.int64)
    reason = None if _is_map(palette, indices) else _odd(indices, colours)
    if reason is not None:
        raise InputError(
            f"the mask {path} has a palette that looks like colours that were reduced (quantised), in which numbers "
            f'mean nothing: {reason}. Write the numbers of classes as a grey image, or name them by "mask_values" in '
            "the split file"
        )


def _is_map(palette: Palette, used: Int[np.ndarray, " used"]) -> bool:
    """Whether the colours follow the numbers; of the greys 0, 1, 2, ... a few suffice."""
    if (palette[used] == used[:, None]).all():
        return True
    steps = np.abs(np.diff(palette.astype(np.int64), axis=0))
    return len(palette) >= MAP_COLOURS and bool((steps < MAP_STEP).all() and steps.any())


def _odd(indices: Int[np.ndarray, " used"], colours: Int[np.ndarray, "used 3"]) -> str | None:
    apart = np.abs(colours[:, None] - colours).max(axis=2)
    first, second = np.nonzero((apart > 0) & (apart < NEAR))
    if len(first):
        a, b = first[0], second[0]
        return (
            f"{_named(indices, colours, a)} and {_named(indices, colours, b)} are nearly the same"
        )
    black = np.flatnonzero((colours == 0).all(axis=1))
    if len(black) and black[0] > 0:
        return f"{_named(indices, colours, 0)} comes before {_named(indices, colours, black[0])}"
    grey = (colours == colours[:, :1]).all()
    steps = np.diff(colours[:, 0])
    if grey and (steps < 0).any():
        a = int(np.flatnonzero(steps < 0)[0])
        return f"{_named(indices, colours, a)} comes before {_named(indices, colours, a + 1)}"
    return None


def _named(indices: Int[np.ndarray, " used"], colours: Int[np.ndarray, "used 3"], at: int) -> str:
    return f"{indices[at]} ({', '.join(str(one) for one in colours[at])})"
