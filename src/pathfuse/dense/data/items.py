"""The pixels of one image of a data set with its mask, checked against each other."""

import numpy as np
from jaxtyping import UInt8

from pathfuse.dense.data.images import (
    check_same_size,
    check_values,
    open_image,
    read_image,
    read_instances,
    read_mask,
)
from pathfuse.dense.data.records import Item, Split


def read_item(
    item: Item, split: Split
) -> tuple[UInt8[np.ndarray, "row column 3"], UInt8[np.ndarray, "row column"] | None]:
    """One image, RGB from 0 to 255, and its mask if it has one: class numbers or ``split.ignore``.

    Raises:
        InputError: A file cannot be read, sizes differ, or the mask has values outside the classes.
    """
    image = read_image(item.image)
    if item.mask is None:
        return image, None
    mask = read_mask(item.mask)
    check_same_size(item.mask, mask.shape, item.image, image.shape)
    check_values(mask, split.n_classes, split.ignore, str(item.mask))
    return image, mask


def check_item(item: Item, split: Split) -> None:
    """Opens all files of an image, so that nothing is found wrong after hours of training.

    Raises:
        InputError: As ``read_item``.
    """
    with open_image(item.image) as image:
        if item.mask is None:
            return
        mask = read_mask(item.mask)
        check_same_size(item.mask, mask.shape, item.image, image.shape)
    check_values(mask, split.n_classes, split.ignore, str(item.mask))
    if item.instances is not None:
        check_same_size(item.instances, read_instances(item.instances).shape, item.mask, mask.shape)
