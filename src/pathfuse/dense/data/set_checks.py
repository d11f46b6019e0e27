"""What only all files of a data set together show: masks of 0 and 255, palettes that differ, and
the same image in two parts.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import numpy as np

from pathfuse.dense.data.image_checks import Palette, palette_of
from pathfuse.dense.data.image_headers import whole_image
from pathfuse.dense.data.images import read_image, read_mask, value_counts
from pathfuse.dense.data.records import PARTS, Item, Split
from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest

GLANCE = 2**16
"""Bytes from the middle of files of one size that are compared before the whole files are."""


def check_set(split: Split, source: Path) -> Split:
    """Checks the files of a data set against each other; only what must be read is read.

    Raises:
        InputError: The masks of a part hold nothing but 0 and the ignored value, or have palettes
            of their own each; or an image is in two parts.
    """
    for part in PARTS:
        items = [item for item in getattr(split, part) if item.mask is not None]
        _check_palettes([item.mask for item in items if item.mask is not None])
        _check_foreground(items, part, split, source)
    twins = twins_of(split)
    if twins:
        (first, second), more = twins[0], len(twins) - 1
        raise InputError(
            f"{source}: the images {first[1].image} ({first[0]}) and {second[1].image} ({second[0]}) are the same, "
            "byte for byte"
            + (f", and so are {more} more" if more else "")
            + ": a score would be too good; keep one of them"
        )
    return split


def _check_foreground(items: Iterable[Item], part: str, split: Split, source: Path) -> None:
    """Looks at masks until one shows a class other than 0: nearly always the first.

    255 for nuclei would otherwise be taken for what does not count, and everything that counts for
    background, which every model finds.
    """
    ignored = counted = False
    for item in items:
        if item.mask_values:
            return  # what they stand for is said
        assert item.mask is not None  # noqa: S101 - the caller's
        counts = value_counts(read_mask(item.mask))
        ignored = ignored or bool(counts[split.ignore])
        counted = counted or bool(counts[0])
        counts[[0, split.ignore]] = 0
        if counts.any():
            return
    if ignored and counted:  # else nothing counts, which the evaluation says
        names, value = split.class_names, split.ignore
        raise InputError(
            f"{source}: the masks of {part} hold only 0 and {value}, and {value} means that a pixel does not count: if "
            f'it is a class, write "mask_values": {{"0": "{names[0]}", "{value}": "{names[1]}"}} into the split file '
            f'(for a folder without one the same object into mask_values.json); if not, write "{value}": "ignore" there'
        )


def _check_palettes(masks: list[Path]) -> None:
    """Refuses palettes that were made for each mask by itself."""
    first = _palette(masks[0]) if masks else None
    if first is None:
        return
    for mask in masks[1:]:
        other = _palette(mask)
        n = 0 if other is None else min(len(first), len(other))
        if other is None or n == 0:
            continue
        differ = np.flatnonzero((first[:n] != other[:n]).any(axis=1))
        if len(differ):
            k = differ[0]
            raise InputError(
                f"the masks {masks[0]} and {mask} have palettes of their own, as reducing the colours of each gives "
                f"them, in which numbers mean nothing: {k} is {tuple(first[k].tolist())} in one and "
                f"{tuple(other[k].tolist())} in the other. Write the numbers of classes as grey images"
            )


def _palette(mask: Path) -> Palette | None:
    try:
        with whole_image(mask, "mask") as image:
            return palette_of(image)
    except InputError:
        return None  # whoever reads the pixels says so


Place = tuple[str, Item]
"""The part of an image, and the image."""


def twins_of(split: Split) -> list[tuple[Place, Place]]:
    """Every image of which a later part has a copy, byte for byte, with that copy.

    Blank images, of one colour, are equal without being the same tissue, and are left out.
    """
    places = [(part, item) for part in PARTS for item in getattr(split, part)]
    found = []
    for group in _alike(places, [_size, _glance, file_digest]):
        if not _is_blank(group[0][1].image):
            found += [(place, group[-1]) for place in group if place[0] != group[-1][0]]
    return found


def _alike(places: list[Place], looks: list[Callable[[Path], Hashable]]) -> list[list[Place]]:
    """Groups of images in several parts that look the same in every way, the cheapest first."""
    if not looks:
        return [places]
    groups: dict[Hashable, list[Place]] = defaultdict(list)
    for place in places:
        groups[looks[0](place[1].image)].append(place)
    several = [group for group in groups.values() if len({part for part, _ in group}) > 1]
    return [alike for group in several for alike in _alike(group, looks[1:])]


def _size(path: Path) -> int:
    return path.stat().st_size


def _glance(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size // 2 - GLANCE // 2))
        return hashlib.sha256(file.read(GLANCE)).digest()


def _is_blank(path: Path) -> bool:
    pixels = read_image(path)
    return bool((pixels == pixels[:1, :1]).all())
