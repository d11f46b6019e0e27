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
from pathfuse.dense.data.mask_values import as_classes
from pathfuse.dense.data.records import IGNORE, Item, Split
from pathfuse.errors import InputError


def read_classes(
    item: Item, n_classes: int, ignore: int = IGNORE
) -> UInt8[np.ndarray, "row column"]:
    """The mask of an image in numbers of classes, whatever values the file holds.

    Every reader of a data set's masks goes through here, so that ``mask_values`` hold everywhere.

    Args:
        item: The image; it has a mask.
        n_classes: K.
        ignore: What pixels that do not count have.

    Raises:
        InputError: It has no mask, the mask cannot be read, or holds values outside the classes.
    """
    if item.mask is None:
        raise InputError(f"image '{item.image_id}' has no mask")
    stored = read_mask(item.mask, named=bool(item.mask_values))
    mask = as_classes(stored, item.mask_values, str(item.mask))
    check_values(mask, n_classes, ignore, str(item.mask))
    return mask


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
    mask = read_classes(item, split.n_classes, split.ignore)
    check_same_size(item.mask, mask.shape, item.image, image.shape)
    return image, mask


def check_item(item: Item, split: Split) -> None:
    """Opens all files of an image, so that nothing is found wrong after hours of training.

    Raises:
        InputError: As ``read_item``.
    """
    with open_image(item.image) as image:
        if item.mask is None:
            return
        mask = read_classes(item, split.n_classes, split.ignore)
        check_same_size(item.mask, mask.shape, item.image, image.shape)
    if item.instances is not None:
        check_same_size(item.instances, read_instances(item.instances).shape, item.mask, mask.shape)
