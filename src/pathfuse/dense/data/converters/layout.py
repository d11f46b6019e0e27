"""Finding images and their masks under a folder whose exact layout is not certain."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathfuse.errors import InputError

IMG = r"\.(?:png|tif|tiff|bmp|jpg|jpeg)"
"""Suffixes of images."""
MSK = r"\.(?:png|tif|tiff|bmp)"
"""Suffixes of masks."""


@dataclass(frozen=True)
class ImagePair:
    """One image and the file of its truth."""

    image: Path
    mask: Path
    found: dict[str, str]
    """What the named groups of the patterns matched; together they tell pairs apart."""


@dataclass(frozen=True)
class PairLayout:
    """How a data set may lie on disk."""

    patterns: tuple[tuple[str, str], ...]
    """Pairs of regular expressions for image and mask, on the path below the source, forward
    slashes, any case; the same named groups in both make a pair. The pattern that finds most pairs
    is used."""
    looked_for: str
    """The same for a person."""


def find_pairs(source: Path, layout: PairLayout, name: str) -> tuple[list[ImagePair], list[str]]:
    """All pairs of a layout, sorted, and sentences on images without a mask.

    Raises:
        InputError: The folder does not exist or has no pair.
    """
    files = list_files(source)
    best: list[ImagePair] = []
    alone = same = 0
    for image_pattern, mask_pattern in layout.patterns:
        images, _ = _matches(files, image_pattern)
        masks, n_same = _matches(files, mask_pattern)
        pairs = [
            ImagePair(path, masks[key][0], found)
            for key, (path, found) in images.items()
            if key in masks
        ]
        if len(pairs) > len(best):
            best, alone, same = pairs, len(images) - len(pairs), n_same
    if not best:
        raise InputError(
            f"no image of {name} with its mask was found in {source}: looked for {layout.looked_for}"
        )
    notes = [f"{alone:,} images have no mask and were left out."] if alone else []
    if same:
        notes.append(f"{same:,} masks have the name of another one and were left out.")
    return sorted(best, key=lambda pair: pair.image), notes


def find_files(
    source: Path, pattern: str, name: str, looked_for: str
) -> list[tuple[Path, dict[str, str]]]:
    """All files of a pattern with its named groups, sorted.

    Raises:
        InputError: The folder does not exist or has none.
    """
    found = list(_matches(list_files(source), pattern)[0].values())
    if not found:
        raise InputError(f"{name} was not found in {source}: looked for {looked_for}")
    return sorted(found, key=lambda pair: pair[0])


def list_files(source: Path) -> list[tuple[str, Path]]:
    """Every file below a folder, with its path as seen from there.

    Raises:
        InputError: The folder does not exist.
    """
    if not source.is_dir():
        raise InputError(
            f"the folder {source} does not exist: give the folder that was downloaded and unpacked"
        )
    found = ((path.relative_to(source), path) for path in source.rglob("*"))
    kept = [
        (below.as_posix(), path)
        for below, path in found
        if not any(part.startswith(".") or part == "__MACOSX" for part in below.parts)
        and path.is_file()
    ]
    return sorted(kept)


def _matches(
    files: Sequence[tuple[str, Path]], pattern: str
) -> tuple[dict[tuple[tuple[str, str], ...], tuple[Path, dict[str, str]]], int]:
    """The first file for each value of the named groups, whatever its case, and how many others
    there are.
    """
    compiled = re.compile(rf"(?:.*/)?{pattern}", re.IGNORECASE)
    found: dict[tuple[tuple[str, str], ...], tuple[Path, dict[str, str]]] = {}
    n_same = 0
    for below, path in files:
        match = compiled.fullmatch(below)
        if match:
            groups = match.groupdict(default="")
            key = tuple(sorted((name, value.lower()) for name, value in groups.items()))
            n_same += key in found
            found.setdefault(key, (path, groups))
    return found, n_same


def tcga_patient(name: str) -> str:
    """The patient in a TCGA file name, or the name itself.

    Examples:
        >>> tcga_patient("TCGA-18-5592-01Z-00-DX1")
        'TCGA-18-5592'
    """
    match = re.match(r"TCGA-\w{2}-\w{4}", name, re.IGNORECASE)
    return match[0].upper() if match else name


PartOf = Callable[[dict[str, str]], str | None]
"""The official part from what the patterns matched."""


def train_or_test(found: dict[str, str]) -> str | None:
    """The part in the group ``part``: test, testA and valid are tested on, train is trained on."""
    part = found.get("part", "").lower()
    if part.startswith("train"):
        return "train"
    return "test" if part.startswith(("test", "val")) else None
