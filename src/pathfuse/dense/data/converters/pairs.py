"""Data sets of an image file and a mask file each: GlaS, TNBC, CRAG, RINGS, COSAS24, EBHI,
WSSS4LUAD, Janowczyk.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from pathfuse.dense.data.cards import find_dataset
from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import (
    IMG,
    MSK,
    PairLayout,
    PartOf,
    find_pairs,
    train_or_test,
)
from pathfuse.dense.data.image_headers import whole_image
from pathfuse.dense.data.records import Split
from pathfuse.errors import InputError
from pathfuse.files.tables import read_table

Pixels = Shaped[np.ndarray, "row column *channel"]
ToLabel = Callable[[Pixels, dict[str, str]], Label]

EBHI_CLASSES = ("normal", "polyp", "low-grade", "high-grade", "serrated", "adenocarcinoma")
"""How the names of EBHI's folders begin, in the order of classes from 1."""
LUAD_COLOURS = np.array([[0, 64, 128], [64, 128, 0], [243, 152, 0], [255, 255, 255]])
"""Tumour, stroma, normal and background in masks stored as RGB."""


@dataclass(frozen=True)
class PairedDataset:
    """One data set of pairs."""

    layout: PairLayout
    label: ToLabel
    part: PartOf
    patient: Callable[[dict[str, str]], str | None]
    name: Callable[[dict[str, str]], str] = lambda found: found["name"]


def _foreground(pixels: Pixels, _: dict[str, str]) -> Label:
    values = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    return Label((values > 0).astype(np.uint8))


def _instances(pixels: Pixels, found: dict[str, str]) -> Label:
    """Numbered glands; files of foreground only (one value) have no instances."""
    label = _foreground(pixels, found)
    values = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    numbered = len(np.unique(values[values > 0])) > 1
    return Label(label.mask, values.astype(np.int32) if numbered else None)


def _ebhi(pixels: Pixels, found: dict[str, str]) -> Label:
    folder = re.sub(r"[\s_]+", "-", found["kind"].lower())
    index = next(
        (k for k, start in enumerate(EBHI_CLASSES, start=1) if folder.startswith(start)), None
    )
    if index is None:
        raise InputError(
            f"EBHI has no class folder {found['kind']!r}: known are {', '.join(EBHI_CLASSES)}"
        )
    return Label((_foreground(pixels, found).mask * index).astype(np.uint8))


def _luad(pixels: Pixels, _: dict[str, str], *, background: int) -> Label:
    if pixels.ndim == 3:
        distance = np.abs(pixels[..., None, :3].astype(np.int32) - LUAD_COLOURS).sum(axis=-1)
        codes = distance.argmin(axis=-1)
    else:
        codes = pixels
    return Label(np.where(codes <= 2, codes, background).astype(np.uint8))


def _nobody(_: dict[str, str]) -> None:
    return None


def _in_name(pattern: str) -> Callable[[dict[str, str]], str | None]:
    """The patient as the group ``patient`` of a pattern at the beginning of the file's name."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def patient(found: dict[str, str]) -> str | None:
        match = compiled.match(found["name"])
        return match["patient"].upper() if match else None

    return patient


GLAS = PairedDataset(
    PairLayout(
        (
            (
                r"(?P<name>(?P<part>train|testA|testB)_\d+)\.bmp",
                r"(?P<name>(?P<part>train|testA|testB)_\d+)_anno\.bmp",
            ),
            (
                rf"(?P<part>train|testA|testB)/images/(?P<name>[^/]+){IMG}",
                rf"(?P<part>train|testA|testB)/masks/(?P<name>[^/]+){MSK}",
            ),
        ),
        "train_1.bmp with train_1_anno.bmp (Warwick QU), or train|testA|testB/images and masks",
    ),
    _instances,
    train_or_test,
    _nobody,
)
TNBC = PairedDataset(
    PairLayout(
        (
            (
                r"Slide_(?P<slide>\d+)/(?P<name>[^/]+)\.png",
                r"GT_(?P<slide>\d+)/(?P<name>[^/]+)\.png",
            ),
            (
                rf"images?/(?P<name>(?P<slide>\d+)_\d+){IMG}",
                rf"(?:masks?|labels?)/(?P<name>(?P<slide>\d+)_\d+){MSK}",
            ),
        ),
        "Slide_01/01_1.png with GT_01/01_1.png",
    ),
    _foreground,
    _nobody,
    lambda found: f"slide_{found['slide']}",
)
CRAG = PairedDataset(
    PairLayout(
        (
            (
                rf"(?P<part>train|valid|test)/images?/(?P<name>[^/]+){IMG}",
                rf"(?P<part>train|valid|test)/(?:annotations?|masks?|labels?)/(?P<name>[^/]+){MSK}",
            ),
        ),
        "train/Images and train/Annotation, and the same in valid or test",
    ),
    _instances,
    train_or_test,
    _nobody,
)
_PART = r"(?P<part>train|test)[^/]*/"
_MASK_NAME = r"(?P<name>[^/]+?)(?:_(?:mask|gt|manual|gland))?"
RINGS = PairedDataset(
    PairLayout(
        (
            (
                rf"{_PART}(?![^/]*(?:mask|manual))[^/]*(?:images?|H&E|HE|original|patch)[^/]*/(?P<name>[^/]+?){IMG}",
                rf"{_PART}(?![^/]*tumou?r)[^/]*(?:glands?|manual|masks?|GT|annotations?)[^/]*/{_MASK_NAME}{MSK}",
            ),
        ),
        "TRAIN and TEST, each with a folder of images and one whose name has mask, manual, gland or GT",
    ),
    _foreground,
    train_or_test,
    _in_name(r"(?P<patient>P\w*?\d+)(?=_)"),  # P15_D2_2_7_1
    lambda found: f"{found['part']}_{found['name']}",
)
COSAS24 = PairedDataset(
    PairLayout(
        (
            (
                rf"(?P<domain>[^/]+)/images?/(?P<name>[^/]+){IMG}",
                rf"(?P<domain>[^/]+)/masks?/(?P<name>[^/]+){MSK}",
            ),
        ),
        "one folder per organ or scanner with image and mask in it",
    ),
    _foreground,
    _nobody,
    _nobody,
    lambda found: f"{found['domain']}_{found['name']}",
)
EBHI = PairedDataset(
    PairLayout(
        (
            (
                r"(?P<kind>[^/]+)/images?/(?P<name>[^/]+)\.png",
                r"(?P<kind>[^/]+)/labels?/(?P<name>[^/]+)\.png",
            ),
        ),
        "six class folders (Normal, Polyp, Low-grade IN, ...) with image and label in each",
    ),
    _ebhi,
    _nobody,
    _in_name(r"(?:GT)*(?P<patient>\d{5,})-"),  # GT2012223-4-400-001: case, block, magnification
    lambda found: re.sub(r"\W+", "-", found["kind"]) + "_" + found["name"],
)
LUAD = PairLayout(
    (
        (
            r"(?:\d\.)?\s?(?P<part>val|test)[^/]*/img/(?P<name>[^/]+)\.png",
            r"(?:\d\.)?\s?(?P<part>val|test)[^/]*/mask/(?P<name>[^/]+)\.png",
        ),
    ),
    "2.validation and 3.testing, each with img and mask",
)


def _luad_family(background: int) -> PairedDataset:
    return PairedDataset(
        LUAD,
        partial(_luad, background=background),
        lambda found: "train" if found["part"].lower() == "val" else "test",
        _nobody,
        lambda found: f"{found['part']}_{found['name']}",
    )


JANOWCZYK = PairedDataset(
    PairLayout(
        (
            (
                r"(?P<name>(?P<patient>\d+)_(?:(?!_mask)[^/])*?)(?:_original)?\.(?:tif|tiff|png)",
                r"(?P<name>(?P<patient>\d+)_[^/]*?)_mask\.(?:png|tif|tiff)",
            ),
        ),
        "12750_500_f00003_original.tif with 12750_500_f00003_mask.png",
    ),
    _foreground,
    _nobody,
    lambda found: found["patient"],
)

FAMILIES = {
    "glas": GLAS,
    "tnbc": TNBC,
    "crag": CRAG,
    "rings": RINGS,
    "cosas24": COSAS24,
    "ebhi": EBHI,
    "wsss4luad": _luad_family(background=3),
    "wsss4luad3": _luad_family(background=255),
    "janowczyk": JANOWCZYK,
}


def convert(variant: str, source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts a data set of pairs; images stay where they are.

    Raises:
        InputError: As in ``Converter``.
    """
    family = FAMILIES[variant]
    pairs, notes = find_pairs(source, family.layout, find_dataset(variant).name)
    patients = _grades(source) if variant == "glas" else {}
    samples = [
        Sample(
            name=family.name(pair.found),
            source=pair.mask,
            image=pair.image,
            label=partial(_label, family.label, pair.mask, pair.found),
            patient=patients.get(pair.found["name"].lower()) or family.patient(pair.found),
            part=family.part(pair.found),
        )
        for pair in pairs
    ]
    return write_samples(variant, samples, out, seed=seed, force=force, notes=notes)


def _label(label: ToLabel, mask: Path, found: dict[str, str]) -> Label:
    with whole_image(mask, "mask") as image:
        # an RGB image keeps its colours, a palette image its indices
        pixels = np.array(
            image.convert("RGB") if image.mode in ("RGBA", "CMYK", "YCbCr", "PA", "LA") else image
        )
    return label(pixels, found)


def _grades(source: Path) -> dict[str, str]:
    """Patients of GlaS from the contest's Grade.csv, if it is there."""
    table = next(iter(sorted(source.rglob("Grade.csv"))), None)
    if table is None:
        return {}
    frame = read_table(table).frame
    columns = {name.strip().lower(): name for name in frame.columns}
    if not {"name", "patient id"} <= set(columns):
        return {}
    rows = frame.select(columns["name"], columns["patient id"]).iter_rows()
    return {str(name).strip().lower(): f"patient_{str(patient).strip()}" for name, patient in rows}
