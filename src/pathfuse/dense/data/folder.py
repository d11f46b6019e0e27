"""A plain folder as a data set: ``train|val|test/{images,masks}``, files paired by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pathfuse.dense.data.images import MASK_SUFFIXES, SUFFIXES, read_mask, value_counts
from pathfuse.dense.data.mask_values import MaskValues, names_in, read_mask_values
from pathfuse.dense.data.records import (
    IGNORE,
    PARTS,
    Item,
    Split,
    check_split,
    default_names,
    image_ids,
    relative,
)
from pathfuse.errors import InputError
from pathfuse.files.json import read_json
from pathfuse.files.names import CHANNEL
from pathfuse.files.special import left_out, special_kind
from pathfuse.files.tables import read_table

CLASSES = "classes.txt"
"""Optional: names of the classes, one a line, in the order of their numbers."""
PATIENTS = "patients.csv"
"""Optional: columns ``image`` (file name without suffix) and ``patient_id``."""
VALUES = "mask_values.json"
"""Optional: which class a value of the masks stands for, as ``mask_values`` in a split file."""
GAP = 10
"""Largest step between the class numbers of masks whose classes have no names; more is taken for a
mistake."""
ENDINGS = ("", "_mask", "_label", "_labels", "_anno", "_gt")
"""What a mask's name may have after its image's."""


def read_folder(folder: Path) -> Split:
    """Reads ``train|val|test/{images,masks}``; ``instances`` next to them is used if it is there.

    The number of classes is that of ``classes.txt``, else of the names in ``mask_values.json``,
    else one more than the highest value of any mask.

    Raises:
        InputError: No such folder is there, an image lacks a mask, or masks hold values that can
            be no classes.
    """
    there = [
        (part, image) for part in PARTS for image in _files(folder / part / "images", SUFFIXES)
    ]
    found = [(part, image) for part, image in there if not special_kind(image)]
    if not found:
        raise InputError(
            f"the folder {folder} has neither split.json nor images in train/images, val/images, test/images"
        )
    stems = {image.stem for _, image in found}
    patients = _patients(folder / PATIENTS, stems)
    ids = image_ids([relative(image, folder.resolve()) for _, image in found])
    masks = {part: _by_stem(folder / part / "masks") for part in PARTS}
    instances = {part: _by_stem(folder / part / "instances") for part in PARTS}
    items: dict[str, list[Item]] = {part: [] for part in PARTS}
    for image_id, (part, image) in zip(ids, found, strict=True):
        mask = _match(image.stem, masks[part], stems)
        if mask is None and (part != "test" or masks[part]):
            raise InputError(
                f"the image {image} has no mask of the same name in {folder / part / 'masks'}"
            )
        patient = patients.get(image.stem, image_id)
        items[part].append(
            Item(image_id, image, mask, patient, _match(image.stem, instances[part], stems))
        )
    masks_there = [item.mask for part in PARTS for item in items[part] if item.mask]
    names, values = _classes(folder, masks_there)
    parts = {
        part: tuple(replace(item, mask_values=values) for item in items[part]) for part in PARTS
    }
    split = Split(
        name=folder.resolve().name,
        n_classes=len(names),
        class_names=names,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        left_out=left_out(image for _, image in there),
    )
    return check_split(split, folder)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")
    )


def _by_stem(folder: Path) -> dict[str, Path]:
    return {p.stem: p for p in _files(folder, MASK_SUFFIXES)}


def _match(stem: str, masks: dict[str, Path], images: set[str]) -> Path | None:
    """The mask of an image: of its name, or of it without nnU-Net's ``_0000`` if no image has that."""
    found = next((masks[stem + ending] for ending in ENDINGS if stem + ending in masks), None)
    bare = stem.removesuffix(CHANNEL)
    return masks.get(bare) if found is None and bare not in images else found


def _patients(path: Path, images: set[str]) -> dict[str, str]:
    if not path.is_file():
        return {}
    frame = read_table(path).frame
    if not {"image", "patient_id"} <= set(frame.columns):
        raise InputError(f"{path} must have the columns image and patient_id")
    patients = {
        str(image): str(patient)
        for image, patient in frame.select("image", "patient_id").iter_rows()
    }
    unknown = next((image for image in patients if image not in images), None)
    if unknown is not None:
        raise InputError(
            f"{path}, column 'image': there is no image '{unknown}'; write file names without suffix"
        )
    return patients


def _classes(folder: Path, masks: list[Path]) -> tuple[tuple[str, ...], MaskValues]:
    """Names of the classes, and what the masks' values stand for if that is said."""
    listed = _listed(folder / CLASSES)
    if not (folder / VALUES).is_file():
        return listed or _counted(folder, masks), ()
    content = read_json(folder / VALUES, "the file of mask values")
    words = content.values() if isinstance(content, dict) else ()
    n_named = len({word for word in words if isinstance(word, str) and word != "ignore"})
    names = listed or names_in(content, n_named) or ()
    if len(names) < 2:
        raise InputError(
            f"{folder / VALUES} must name at least two classes, as in "
            '{"0": "background", "255": "nucleus"}'
        )
    return names, read_mask_values(content, names, IGNORE, str(folder / VALUES))


def _listed(file: Path) -> tuple[str, ...] | None:
    """The names in ``classes.txt``; None if there is no such file."""
    if not file.is_file():
        return None
    lines = file.read_text(encoding="utf-8").splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) < 2 or len(set(names)) < len(names) or "all" in names:
        raise InputError(f'{file} must name at least two classes, each once, and none "all"')
    return names


def _counted(folder: Path, masks: list[Path]) -> tuple[str, ...]:
    """Default names for as many classes as the masks hold."""
    if not masks:
        raise InputError(
            f"the folder {folder} has neither {CLASSES} nor a mask: the number of classes is unknown"
        )
    seen = np.zeros(256, dtype=bool)
    for mask in masks:
        seen |= value_counts(read_mask(mask)) > 0
    values = np.flatnonzero(seen[:IGNORE])
    if seen[IGNORE] and (len(values) == 0 or values.max() == 0):
        raise InputError(
            f"the masks of {folder} hold only 0 and 255, and 255 means that a pixel does not count: "
            f"write the number of the class, such as 1, in place of 255, or what 255 is into {VALUES}: "
            '{"0": "background", "255": "nucleus"}'
        )
    n_classes = max(2, int(values.max(initial=0)) + 1)
    gaps = np.diff(values, prepend=0)
    if gaps.max(initial=0) > GAP:
        before, after = values[gaps.argmax() - 1], values[gaps.argmax()]
        raise InputError(
            f"the masks of {folder} hold {after} but nothing between it and {before}: is this a class? "
            f"Name all classes in {CLASSES}, or number them 0, 1, 2, ..., or say what the values are in {VALUES}"
        )
    return default_names(n_classes)
