"""Nuclei in MATLAB files: cpm15, cpm17, kumar (also Aperio XML), CoNSeP and Lizard."""

import math
import re
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from pathfuse.dense.data.cards import find_dataset
from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import (
    IMG,
    PairLayout,
    find_pairs,
    list_files,
    tcga_patient,
    train_or_test,
)
from pathfuse.dense.data.image_headers import MOST_PX, whole_image
from pathfuse.dense.data.records import Split
from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special
from pathfuse.files.tables import read_table

FLAT = PairLayout(
    (
        (rf"images?/(?P<name>[^/]+){IMG}", r"labels?/(?P<name>[^/]+)\.mat"),
        (rf"(?P<name>[^/]+){IMG}", r"(?P<name>[^/]+)\.mat"),
    ),
    "Images/*.png with Labels/*.mat of the same name",
)
PARTED = PairLayout(
    (
        (
            rf"(?P<part>train|test)[^/]*/images?/(?P<name>[^/]+){IMG}",
            r"(?P<part>train|test)[^/]*/labels?/(?P<name>[^/]+)\.mat",
        ),
    ),
    "train/Images/*.png with train/Labels/*.mat of the same name, and the same in test",
)
KUMAR = PairLayout(
    (
        (rf"(?P<name>TCGA-[^/]+){IMG}", r"(?P<name>TCGA-[^/]+)\.mat"),
        (rf"(?P<name>TCGA-[^/]+){IMG}", r"(?P<name>TCGA-[^/]+)\.xml"),
    ),
    "TCGA-*.tif with TCGA-*.mat or TCGA-*.xml",
)
LIZARD = PairLayout(
    (
        (rf"lizard_images\d?/(?P<name>[^/]+){IMG}", r"labels?/(?P<name>[^/]+)\.mat"),
        (rf"(?P<name>[^/]+){IMG}", r"(?P<name>[^/]+)\.mat"),
    ),
    "Lizard_Images1|2/*.png with Labels/*.mat of the same name",
)
KUMAR_TRAIN = frozenset(
    f"TCGA-{code}"
    for code in (
        *("18-5592", "21-5784", "38-6178", "50-5931", "A7-A13E", "AR-A1AK", "AR-A1AS", "B0-5711"),
        *("E2-A14V", "G9-6348", "G9-6356", "G9-6362", "G9-6363", "HE-7128", "HE-7129", "HE-7130"),
    )
)
"""Patients to train on in the split published with HoVer-Net; the 14 others test."""
LIZARD_PARTS = {"1": "train", "2": "val", "3": "test"}
"""By the fold in info.csv."""
CONSEP_MERGED = np.array([0, 1, 2, 3, 3, 4, 4, 4], dtype=np.uint8)
"""Type to class: other, inflammatory, epithelial (healthy, malignant), spindle (fibroblast, muscle,
endothelial)."""

DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    NotImplementedError,
    MatReadError,
    LookupError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What scipy raises over a damaged file."""


def convert(variant: str, source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts nuclei given as matrices of instances; images stay where they are.

    Raises:
        InputError: As in ``Converter``.
    """
    layouts = {"cpm15": FLAT, "kumar": KUMAR, "lizard": LIZARD}
    pairs, notes = find_pairs(source, layouts.get(variant, PARTED), find_dataset(variant).name)
    folds = _lizard_folds(source) if variant == "lizard" else {}
    if variant == "lizard" and not folds:
        notes.append("info.csv was not found, so the official folds are unknown.")
    samples = []
    for pair in pairs:
        name = pair.image.stem
        patient = tcga_patient(name)
        part = folds.get(name.lower()) if folds else train_or_test(pair.found)
        if variant == "kumar":
            part = "train" if patient in KUMAR_TRAIN else "test"
        label = partial(_label, variant, pair.mask, pair.image)
        samples.append(
            Sample(name, pair.mask, pair.image, label, patient if patient != name else None, part)
        )
    return write_samples(variant, samples, out, seed=seed, force=force, notes=notes)


def _label(variant: str, path: Path, image: Path) -> Label:
    if path.suffix.lower() == ".xml":
        return _from_xml(path, image)
    content = read_mat(path)
    instances = _field(content, "inst_map", path).astype(np.int64)
    if variant == "lizard":
        return Label(_classes_of(instances, content, path), instances)
    if variant.startswith("consep"):
        types = _field(content, "type_map", path).astype(np.int64)
        if types.min() < 0 or types.max() > 7:
            raise InputError(f"the file {path} has the type {int(types.max())}: CoNSeP has 1 to 7")
        return Label(
            CONSEP_MERGED[types] if variant == "consep" else types.astype(np.uint8), instances
        )
    return Label((instances > 0).astype(np.uint8), instances)


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file up to version 7.

    Raises:
        InputError: It cannot be read.
    """
    refuse_special(path, "the file")
    try:
        for name, shape, _kind in whosmat(path):
            if math.prod(shape) > MOST_PX:
                sides = " x ".join(f"{side:,}" for side in shape)
                raise InputError(
                    f"the file {path} has the variable {name} of {sides} numbers; at most "
                    f"{MOST_PX // 10**6} million are read"
                )
        content: dict[str, Any] = loadmat(path)
    except InputError:  # our own sentence
        raise
    except DAMAGE as error:
        raise InputError(f"the file {path} cannot be read as a MATLAB file: {error}") from error
    return content


def _field(content: dict[str, Any], name: str, path: Path) -> np.ndarray:
    if name not in content:
        known = ", ".join(key for key in content if not key.startswith("__"))
        raise InputError(f"the file {path} has no variable {name}: it has {known or 'none'}")
    return np.asarray(content[name])


def _classes_of(
    instances: Int[np.ndarray, "row column"], content: dict[str, Any], path: Path
) -> UInt8[np.ndarray, "row column"]:
    """Class of each nucleus by the lists ``id`` and ``class``; a nucleus in neither does not count."""
    numbers = _field(content, "id", path).ravel().astype(np.int64)
    classes = _field(content, "class", path).ravel().astype(np.int64)
    if len(numbers) != len(classes):
        raise InputError(f"the file {path} has {len(numbers)} ids and {len(classes)} classes")
    table = np.full(
        int(max(instances.max(initial=0), numbers.max(initial=0))) + 1, 255, dtype=np.int64
    )
    table[numbers] = classes
    table[0] = 0
    return table[instances].astype(np.uint8)


def _lizard_folds(source: Path) -> dict[str, str]:
    path = next(
        (path for below, path in list_files(source) if below.lower().endswith("info.csv")), None
    )
    if path is None:
        return {}
    frame = read_table(path).frame
    columns = {name.strip().lower(): name for name in frame.columns}
    if not {"filename", "split"} <= set(columns):
        raise InputError(f"{path} must have the columns Filename and Split")
    rows = frame.select(columns["filename"], columns["split"]).iter_rows()
    folds = {
        Path(str(name)).stem.lower(): LIZARD_PARTS.get(str(fold).strip()) for name, fold in rows
    }
    return {name: part for name, part in folds.items() if part}


def _from_xml(path: Path, image: Path) -> Label:
    """Outlines of Aperio ImageScope, one region per nucleus; a later one lies on top."""
    text = path.read_text(encoding="utf-8", errors="replace")
    with whole_image(image, "image") as opened:
        canvas = Image.new("I", opened.size, 0)
    draw = ImageDraw.Draw(canvas)
    n = 0
    for region in re.findall(r"<Region\b.*?</Region>", text, re.DOTALL):
        corners = [
            (float(x[1]), float(y[1]))
            for vertex in re.findall(r"<Vertex\b[^>]*>", region)
            if (x := re.search(r'\bX="([^"]+)"', vertex))
            and (y := re.search(r'\bY="([^"]+)"', vertex))
        ]
        if len(corners) > 2:
            n += 1
            draw.polygon(corners, fill=n)
    if not n:
        raise InputError(f"the file {path} has no outline: looked for Region with Vertex X and Y")
    instances = np.array(canvas).astype(np.int64)
    return Label((instances > 0).astype(np.uint8), instances)
