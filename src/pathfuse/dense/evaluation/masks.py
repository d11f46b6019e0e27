"""The truth of an image for counting, 255 where a pixel does not count; and masks written as PNG."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pathfuse.dense.data import images
from pathfuse.dense.data.records import IGNORE

Mask: TypeAlias = UInt8[np.ndarray, "height width"]
"""Classes 0..K-1, or 255 where a pixel does not count."""


def read_truth(path: Path, n_classes: int, ignore: int = IGNORE) -> Mask:
    """Reads a mask of classes.

    Args:
        path: An image of one channel.
        n_classes: K.
        ignore: Value of pixels that do not count; it becomes 255.

    Raises:
        InputError: It cannot be read, has several channels, or holds values outside the classes.
    """
    mask = images.read_mask(path)
    images.check_values(mask, n_classes, ignore, str(path))
    return mask if ignore == IGNORE else np.where(mask == ignore, np.uint8(IGNORE), mask)


def write_mask(mask: Mask, path: Path) -> None:
    """Writes a PNG of 8 bits; the same mask gives the same bytes."""
    Image.fromarray(mask).save(path, format="PNG", compress_level=6)
