"""The truth of an image for counting, 255 where a pixel does not count; and masks written as PNG."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pathfuse.dense.data.items import read_classes
from pathfuse.dense.data.records import IGNORE, Item

Mask: TypeAlias = UInt8[np.ndarray, "height width"]
"""Classes 0..K-1, or 255 where a pixel does not count."""


def read_truth(item: Item, n_classes: int, ignore: int = IGNORE) -> Mask:
    """Reads the mask of an image.

    Args:
        item: It has a mask, of one channel.
        n_classes: K.
        ignore: Value of pixels that do not count; it becomes 255.

    Raises:
        InputError: There is none, it cannot be read, has several channels, or holds values outside
            the classes.
    """
    mask = read_classes(item, n_classes, ignore)
    return mask if ignore == IGNORE else np.where(mask == ignore, np.uint8(IGNORE), mask)


def write_mask(mask: Mask, path: Path) -> None:
    """Writes a PNG of 8 bits; the same mask gives the same bytes."""
    Image.fromarray(mask).save(path, format="PNG", compress_level=6)
