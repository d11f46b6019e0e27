"""Data sets on disk: ``split.json``, read and written, or a plain folder."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pathfuse.dense.data.folder import read_folder
from pathfuse.dense.data.mask_values import MaskValues, in_words, names_in, read_mask_values
from pathfuse.dense.data.records import (
    IGNORE,
    PARTS,
    Item,
    Split,
    check_split,
    default_names,
    image_ids,
    relative,
    torn_patients,
)
from pathfuse.dense.data.scale import read_mpp
from pathfuse.dense.data.set_checks import check_set
from pathfuse.errors import InputError
from pathfuse.files.json import read_json
from pathfuse.files.special import refuse_special
from pathfuse.files.write import write_json_file

KEYS = (
    "name", "num_classes", "class_names", "ignore", "mask_values", "mpp", "notes", "patients_in_two_parts", "data",
)  # fmt: skip
ROW_KEYS = ("image_id", "image_path", "mask_path", "patient_id", "instances_path", "mpp")
SPLIT = "split.json"
"""A folder with this file is read through it."""


def read_split(path: Path, *, need_train: bool = True) -> Split:
    """Reads a split file, or a folder with one, or a plain folder
    ``train|val|test/{images,masks}``.

    Args:
        path: JSON with ``num_classes`` and ``data``: lists of ``{"image_path", "mask_path"}`` for
            train, val and test, relative to the file; or a folder. ``mask_values`` may say what the
            values of masks stand for, and ``mpp`` how many micrometres a pixel has.
        need_train: Whether a data set without an image to train on is refused.

    Raises:
        InputError: Neither is there, it is not understood, a file is missing, an image is in two
            places or parts, a patient is in two parts, masks hold only 0 and 255, or there is no
            training image.
    """
    if path.is_dir() and (path / SPLIT).is_file():
        path = path / SPLIT
    if path.is_dir():
        split = read_folder(path)
    elif path.is_file():
        split = _read_json(path)
    else:
        refuse_special(path, "the data set")
        raise InputError(f"the data set {path} does not exist")
    if need_train and not split.train:
        raise InputError(f"the data set {path} has no training image")
    return check_set(split, path)


def write_split(split: Split, path: Path) -> None:
    """Writes a split file; paths become relative to it where they can.

    Raises:
        InputError: It cannot be written.
    """
    root = path.resolve().parent
    content: dict[str, Any] = {
        "name": split.name,
        "num_classes": split.n_classes,
        "class_names": list(split.class_names),
        "ignore": split.ignore,
    }
    if split.mask_values:
        content["mask_values"] = in_words(split.mask_values, split.class_names)
    scales = {item.mpp_um for item in split.items}
    if len(scales) == 1 and None not in scales:
        content["mpp"] = scales.pop()
    if split.notes:
        content["notes"] = list(split.notes)
    if torn_patients(split):
        content["patients_in_two_parts"] = True
    content["data"] = {
        part: [_row(item, root, "mpp" not in content) for item in getattr(split, part)]
        for part in PARTS
    }
    write_json_file(content, path)


def _row(item: Item, root: Path, with_scale: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image_id": item.image_id,
        "image_path": relative(item.image, root),
        "mask_path": relative(item.mask, root) if item.mask else None,
        "patient_id": item.patient_id,
    }
    if item.instances:
        row["instances_path"] = relative(item.instances, root)
    if with_scale and item.mpp_um is not None:
        row["mpp"] = item.mpp_um
    return row


def _read_json(path: Path) -> Split:
    content = read_json(path, "the split file")
    if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
        raise InputError(f'the split file {path} has no "data" with train, val and test')
    unknown = sorted(set(content["data"]) - set(PARTS))
    if unknown:
        raise InputError(
            f"the split file {path} has the part {unknown[0]!r}: parts are train, val and test"
        )
    where = f"the split file {path}"
    _check_spelling(content, KEYS, where)
    n_classes, names = _classes(content, path)
    notes = content.get("notes") or []
    if not isinstance(notes, list):
        raise InputError(f'the split file {path} has "notes" that are no list')
    ignore = content.get("ignore", IGNORE)
    if not isinstance(ignore, int) or not n_classes <= ignore <= 255:
        raise InputError(
            f'the split file {path} has "ignore" {ignore!r}: it must be {n_classes} to 255'
        )
    values: MaskValues = ()
    if content.get("mask_values") is not None:
        values = read_mask_values(content["mask_values"], names, ignore, where)
    mpp_um = read_mpp(content.get("mpp"), where)
    rows = [
        (part, row) for part in PARTS for row in _rows(content["data"].get(part) or [], part, path)
    ]
    ids = image_ids([row["image_path"].replace("\\", "/") for _, row in rows])
    items: dict[str, list[Item]] = {part: [] for part in PARTS}
    for image_id, (part, row) in zip(ids, rows, strict=True):
        own = read_mpp(row.get("mpp"), f"{where}: image {row['image_path']!r}")
        item = _item(row, image_id, path.parent)
        items[part].append(replace(item, mask_values=values, mpp_um=own or mpp_um))
    split = Split(
        name=str(content.get("name") or path.resolve().parent.name),
        n_classes=n_classes,
        class_names=names,
        ignore=ignore,
        train=tuple(items["train"]),
        val=tuple(items["val"]),
        test=tuple(items["test"]),
        notes=tuple(str(note) for note in notes),
    )
    return check_split(split, path, torn_allowed=bool(content.get("patients_in_two_parts")))


def _classes(content: Mapping[str, Any], path: Path) -> tuple[int, tuple[str, ...]]:
    n_classes = content.get("num_classes")
    if not isinstance(n_classes, int) or isinstance(n_classes, bool) or not 2 <= n_classes <= 255:
        raise InputError(
            f'the split file {path} has "num_classes" {n_classes!r}: it must be 2 to 255'
        )
    names = (
        content.get("class_names")
        or names_in(content.get("mask_values"), n_classes)
        or default_names(n_classes)
    )
    if (
        not isinstance(names, list | tuple)
        or len(names) != n_classes
        or len({str(n) for n in names}) != n_classes
    ):
        raise InputError(f'the split file {path} must have {n_classes} different "class_names"')
    wrong = next((name for name in names if name in (None, "", "all")), 0)
    if wrong != 0:
        raise InputError(
            f'the split file {path} has the class name {wrong!r}: names are not empty, and not "all"'
        )
    return n_classes, tuple(str(name) for name in names)


def _rows(rows: Any, part: str, path: Path) -> Iterator[dict[str, Any]]:
    if not isinstance(rows, list):
        raise InputError(f"the split file {path}: {part} is not a list")
    for i, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not isinstance(row.get("image_path"), str):
            raise InputError(f'the split file {path}: entry {i} of {part} has no "image_path"')
        _check_spelling(row, ROW_KEYS, f"the split file {path}: entry {i} of {part}")
        yield row


def _check_spelling(found: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Further keys are no harm; one that is nearly a known one would be lost without a word."""
    for key in found:
        meant = [] if key in known else get_close_matches(str(key), known, n=1, cutoff=0.8)
        if meant:
            raise InputError(
                f'{where} has "{key}", which means nothing: did you mean "{meant[0]}"?'
            )


def _item(row: Mapping[str, Any], image_id: str, root: Path) -> Item:
    image_id = image_id if row.get("image_id") in (None, "") else str(row["image_id"])
    patient = row.get("patient_id")
    mask, instances = row.get("mask_path"), row.get("instances_path")
    return Item(
        image_id=image_id,
        image=_below(root, row["image_path"]),
        mask=_below(root, mask) if mask else None,
        patient_id=str(patient) if patient not in (None, "") else image_id,
        instances=_below(root, instances) if instances else None,
    )


def _below(root: Path, path: Any) -> Path:
    return Path(os.path.normpath(root.absolute() / str(path)))
