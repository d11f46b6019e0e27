"""What a data set is: images with masks in three parts, and what must hold of every one."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pathfuse.dense.data.mask_values import MaskValues
from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special

PARTS = ("train", "val", "test")
IGNORE = 255
"""Value of pixels that do not count, unless a data set says otherwise."""


@dataclass(frozen=True)
class Item:
    """One image."""

    image_id: str
    """Unique in its data set; names files of its logits and matrices."""
    image: Path
    mask: Path | None
    """Class numbers; None only in the test part."""
    patient_id: str
    """The group that is never torn between train and val; the image itself where nothing is known."""
    instances: Path | None = None
    """Numbered instances (nuclei, glands) if there are any, for AJI and PQ."""
    mask_values: MaskValues = ()
    """What the values of the mask stand for, where they are not the numbers of classes."""
    mpp_um: float | None = None
    """Side of a pixel of the image, in micrometres; None if unknown."""


@dataclass(frozen=True)
class Split:
    """A data set in its three parts."""

    name: str
    n_classes: int
    class_names: tuple[str, ...]
    ignore: int = IGNORE
    """The value of pixels that do not count."""
    train: tuple[Item, ...] = ()
    val: tuple[Item, ...] = ()
    test: tuple[Item, ...] = ()
    notes: tuple[str, ...] = ()
    """What its reader or converter has to say, one sentence each."""
    left_out: tuple[str, ...] = ()
    """What stands among its images and is no file, one sentence each."""

    @property
    def items(self) -> tuple[Item, ...]:
        """All images: train, then val, then test."""
        return (*self.train, *self.val, *self.test)

    @property
    def mask_values(self) -> MaskValues:
        """Of its images, which share them."""
        return next((item.mask_values for item in self.items), ())


def torn_patients(split: Split) -> list[str]:
    """Patients with images in more than one part, sorted."""
    parts: dict[str, set[str]] = {}
    for part in PARTS:
        for item in getattr(split, part):
            parts.setdefault(item.patient_id, set()).add(part)
    return sorted(patient for patient, found in parts.items() if len(found) > 1)


def check_split(split: Split, source: Path, *, torn_allowed: bool = False) -> Split:
    """Checks what must hold of every data set, whatever its source.

    Raises:
        InputError: An id or an image is there twice, a file is missing, a training or validation
            image has no mask, or a patient is in two parts and this is not stated.
    """
    ids: set[str] = set()
    images: set[Path] = set()
    for part in PARTS:
        for item in getattr(split, part):
            if item.image_id in ids:
                raise InputError(f"{source}: the image_id {item.image_id!r} is there twice")
            if item.image in images:
                raise InputError(f"{source}: the image {item.image} is there twice")
            ids.add(item.image_id)
            images.add(item.image)
            if item.mask is None and part != "test":
                raise InputError(f"{source}: the image {item.image} in {part} has no mask")
            missing = next(
                (p for p in (item.image, item.mask, item.instances) if p and not p.is_file()), None
            )
            if missing:
                refuse_special(missing, f"{source}: the file")
                raise InputError(f"{source}: the file {missing} of {part} does not exist")
    torn = torn_patients(split)
    if torn and not torn_allowed:
        raise InputError(
            f"{source}: the patient {torn[0]!r} is in two parts"
            + (f", and so are {len(torn) - 1} more" if len(torn) > 1 else "")
            + ': a score would be too good; "patients_in_two_parts": true says that this is known'
        )
    return split


def files_of(items: Iterable[Item]) -> list[Path]:
    """Every file that images name, for outputs that must not replace them."""
    return [
        path
        for item in items
        for path in (item.image, item.mask, item.instances)
        if path is not None
    ]


def image_ids(images: Sequence[str]) -> list[str]:
    """A short id for each image: its name, or the path to it where names repeat.

    Args:
        images: Paths with forward slashes.

    Examples:
        >>> image_ids(["a/1.png", "a/2.png"])
        ['1', '2']
        >>> image_ids(["a/1.png", "b/1.png"])
        ['a_1', 'b_1']
    """
    stems = [PurePosixPath(image).stem for image in images]
    if len(set(stems)) == len(stems):
        return stems
    parts = [PurePosixPath(image).with_suffix("").parts for image in images]
    return ["_".join(p for p in whole if p not in ("..", ".", "/")) for whole in parts]


def relative(path: Path, root: Path) -> str:
    """A path as seen from a folder, with forward slashes.

    As it is if there is no way between two drives.
    """
    try:
        return Path(os.path.relpath(path.resolve(), root)).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def default_names(n_classes: int) -> tuple[str, ...]:
    """Names of classes that have none."""
    return tuple(f"class_{k}" for k in range(n_classes))
