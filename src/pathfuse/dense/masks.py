"""Masks of classes: read with every check, written as PNG."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from pathfuse.dense.confusion import IGNORE
from pathfuse.errors import InputError

Mask: TypeAlias = UInt8[np.ndarray, "height width"]
"""Classes 0..K-1, or 255 where a pixel does not count."""


def read_mask(path: Path, n_classes: int, ignore: int = IGNORE) -> Mask:
    """Reads a mask of one channel, an image or ``.npy``.

    Raises:
        InputError: It cannot be read, has several channels, or holds a class outside 0..K-1.
    """
    values = _read(path)
    if values.ndim != 2 or values.dtype.kind not in "uib":
        raise InputError(
            f"the mask {path} has the shape {values.shape} of {values.dtype}; it needs one class per pixel"
        )
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high >= n_classes:  # look at single pixels only where a label is no class, or to be ignored
        wrong = np.unique(values[(values != ignore) & ((values < 0) | (values >= n_classes))])
        if len(wrong):
            raise InputError(f"the mask {path} holds the value {wrong[0]}, but the classes are 0 to {n_classes - 1}")
        if ignore != IGNORE:
            values = np.where(values == ignore, IGNORE, values)
    return values.astype(np.uint8, copy=False)


def write_mask(mask: Mask, path: Path) -> None:
    """Writes a PNG of 8 bits; the same mask gives the same bytes."""
    Image.fromarray(mask).save(path, format="PNG", compress_level=6)


def _read(path: Path) -> np.ndarray[Any, Any]:
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        largest, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # masks of whole slides are no attack
        try:
            with Image.open(path) as image:
                return np.asarray(image)
        finally:
            Image.MAX_IMAGE_PIXELS = largest
    except UnidentifiedImageError as error:
        raise InputError(f"the mask {path} is no image") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the mask {path} cannot be read: {reason}") from error
