"""Image and mask files as arrays, and what can be wrong with them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from pathfuse.errors import InputError

if TYPE_CHECKING:
    from pathfuse.dense.data.records import Item, Split

Image.MAX_IMAGE_PIXELS = (
    None  # regions of slides are larger than Pillow takes for an attack, and they are the user's own
)

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
"""Of images; masks must be lossless."""
LOSSY = (".jpg", ".jpeg")
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Pillow's modes that can be shown as RGB without a choice of window."""


def read_image(path: Path) -> UInt8[np.ndarray, "row column 3"]:
    """RGB, 0 to 255; grey and palette images become RGB, transparency is dropped.

    Raises:
        InputError: The file is missing, no image, cut off, or has more than 8 bits per channel.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in EIGHT_BIT:
                raise InputError(
                    f"the image {path} has more than 8 bits per channel (mode {image.mode}): convert it to RGB"
                )
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable("image", path, error) from error


def read_mask(path: Path) -> UInt8[np.ndarray, "row column"]:
    """Class numbers as stored; a palette image gives its indices.

    Raises:
        InputError: The file is missing, no image, cut off, lossy, has several channels, or values above 255.
    """
    if path.suffix.lower() in LOSSY:
        raise InputError(f"the mask {path} is a JPEG, which blurs class numbers: write masks as PNG")
    values = read_instances(path)
    if values.min(initial=0) < 0 or values.max(initial=0) > 255:
        worst = int(values.max() if values.max() > 255 else values.min())
        n_px = int(((values < 0) | (values > 255)).sum())
        raise InputError(f"the mask {path} has values outside 0 to 255 in {n_px:,} pixels, such as {worst}")
    return values.astype(np.uint8)


def read_instances(path: Path) -> Int32[np.ndarray, "row column"]:
    """Numbers of instances, 0 where there is none.

    Raises:
        InputError: The file is missing, no image, cut off, or has several channels.
    """
    try:
        with Image.open(path) as image:
            values = np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable("mask", path, error) from error
    if values.ndim != 2:
        raise InputError(f"the mask {path} has {values.shape[2]} channels: a mask has one, of class numbers")
    if values.dtype.kind == "f":
        raise InputError(f"the mask {path} holds fractions: a mask holds class numbers")
    return values.astype(np.int32)


def read_item(
    item: "Item", split: "Split"
) -> tuple[UInt8[np.ndarray, "row column 3"], UInt8[np.ndarray, "row column"] | None]:
    """One image, RGB from 0 to 255, and its mask if it has one: class numbers or ``split.ignore``.

    Raises:
        InputError: A file cannot be read, sizes differ, or the mask has values outside the classes.
    """
    image = read_image(item.image)
    if item.mask is None:
        return image, None
    mask = read_mask(item.mask)
    if mask.shape != image.shape[:2]:
        raise InputError(
            f"the mask {item.mask} is {_size(mask)} pixels, its image {item.image} is {_size(image)} (width x height)"
        )
    check_values(mask, split.n_classes, split.ignore, str(item.mask))
    return image, mask


def check_values(mask: UInt8[np.ndarray, "row column"], n_classes: int, ignore: int, source: str) -> None:
    """Refuses values that are neither a class nor ``ignore``.

    Raises:
        InputError: With the source, the most frequent such value, and its pixels.
    """
    counts = np.bincount(mask.ravel(), minlength=256)
    counts[:n_classes] = 0
    counts[ignore] = 0
    if not counts.any():
        return
    worst, others = int(counts.argmax()), int((counts > 0).sum()) - 1
    also = f" ({others} other values are wrong, too)" if others else ""
    raise InputError(
        f"the mask {source} has the value {worst} in {counts[worst]:,} pixels{also}: "
        f"with {n_classes} classes it may hold 0 to {n_classes - 1}, and {ignore} where pixels do not count"
    )


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"


def _unreadable(what: str, path: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    if isinstance(error, FileNotFoundError):
        return InputError(f"the {what} {path} does not exist")
    return InputError(f"the {what} {path} cannot be read: it is damaged or no image file")
