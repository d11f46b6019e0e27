"""NuCLS: nuclei as polygons or boxes in one CSV file per field of view."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pathfuse.dense.data.cards import find_dataset
from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import (
    IMG,
    PairLayout,
    find_pairs,
    list_files,
    tcga_patient,
)
from pathfuse.dense.data.image_headers import whole_image
from pathfuse.dense.data.records import IGNORE, Split
from pathfuse.errors import InputError
from pathfuse.files.tables import read_table

LAYOUT = PairLayout(
    ((rf"(?:rgbs?|images?)/(?P<name>[^/]+){IMG}", r"csv/(?P<name>[^/]+)\.csv"),),
    "rgb/*.png with csv/*.csv of the same name",
)
COLUMNS = ("super_classification", "type", "xmin", "ymin", "xmax", "ymax", "coords_x", "coords_y")
FIELD = "fov"
"""The class of the rectangle within which all nuclei are drawn."""


def convert(source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Draws polygons of super-classes.

    Boxes, unknown classes and what is outside the field do not count.

    Fold 1 of the authors' folds, which hold out hospitals, is used if ``train_test_splits`` is
    there.

    Raises:
        InputError: As in ``Converter``.
    """
    pairs, notes = find_pairs(source, LAYOUT, "NuCLS")
    parts = _fold(source)
    samples = []
    for pair in pairs:
        patient = tcga_patient(pair.image.stem)
        label = partial(_label, pair.mask, pair.image)
        samples.append(
            Sample(pair.image.stem, pair.mask, pair.image, label, patient, parts.get(patient))
        )
    if not any(sample.part == "test" for sample in samples):
        samples = [Sample(s.name, s.source, s.image, s.label, s.patient) for s in samples]
    return write_samples("nucls", samples, out, seed=seed, force=force, notes=notes)


def _fold(source: Path) -> dict[str, str]:
    parts = {}
    for below, path in list_files(source):
        for part in ("train", "test"):
            if below.lower().endswith(f"fold_1_{part}.csv"):
                frame = read_table(path).frame
                column = next((c for c in frame.columns if c.strip().lower() == "slide_name"), None)
                if column is None:
                    raise InputError(f"{path} must have the column slide_name")
                parts.update({tcga_patient(str(slide)): part for slide in frame[column]})
    return parts


def _label(path: Path, image: Path) -> Label:
    frame = read_table(path).frame
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]}")
    classes = {name.lower(): k for k, name in enumerate(find_dataset("nucls").variants["nucls"])}
    with whole_image(image, "image") as opened:
        size = opened.size
    mask, numbers = Image.new("L", size, 0), Image.new("I", size, 0)
    field = None
    rows = list(frame.select(COLUMNS).iter_rows(named=True))
    # boxes first: a polygon on top of one is certain
    for i, row in sorted(enumerate(rows, start=1), key=lambda pair: pair[1]["type"] == "polyline"):
        kind = str(row["super_classification"] or "").strip().lower()
        if kind == FIELD:
            field = _box(row, path)
        elif row["type"] == "polyline" and row["coords_x"]:
            outline = _outline(row, path)
            ImageDraw.Draw(mask).polygon(outline, fill=classes.get(kind, IGNORE))
            ImageDraw.Draw(numbers).polygon(outline, fill=i)
        else:
            ImageDraw.Draw(mask).rectangle(_box(row, path), fill=IGNORE)
    values, instances = np.array(mask), np.array(numbers).astype(np.int64)
    if field:
        inside = np.zeros(values.shape, dtype=bool)
        inside[max(0, int(field[1])) : int(field[3]), max(0, int(field[0])) : int(field[2])] = True
        values[~inside] = IGNORE
        instances[~inside] = 0
    return Label(values, instances)


def _box(row: dict[str, Any], path: Path) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax"))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} has a box without numbers in xmin, ymin, xmax, ymax") from error
    return left, top, max(left, right), max(top, bottom)


def _outline(row: dict[str, Any], path: Path) -> list[tuple[float, float]]:
    try:
        xs, ys = (
            [float(v) for v in str(row[name]).split(",")] for name in ("coords_x", "coords_y")
        )
        corners = list(zip(xs, ys, strict=True))
    except ValueError as error:
        raise InputError(
            f"{path} has an outline whose coords_x and coords_y are no lists of equal length"
        ) from error
    if len(corners) < 2:
        raise InputError(f"{path} has an outline of one point")
    return corners
