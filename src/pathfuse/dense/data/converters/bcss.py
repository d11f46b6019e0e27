"""BCSS: 22 codes of tissue as they are (``bcss``) or merged to five classes (``bcss5``)."""

from functools import partial
from pathlib import Path

import numpy as np

from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import IMG, PairLayout, find_pairs, tcga_patient
from pathfuse.dense.data.images import read_mask
from pathfuse.dense.data.records import IGNORE, Split

LAYOUT = PairLayout(
    (
        (
            rf"(?:rgbs?|images?)[^/]*/(?P<name>TCGA-[^/]+){IMG}",
            r"masks?[^/]*/(?P<name>TCGA-[^/]+)\.png",
        ),
        (
            rf"(?:rgbs?|images?)[^/]*/(?P<name>TCGA-[^/]+?)_MPP[^/]*{IMG}",
            r"masks?[^/]*/(?P<name>TCGA-[^/]+?)_MPP[^/]*\.png",
        ),
    ),
    "rgbs_colorNormalized/TCGA-*.png with masks/TCGA-*.png",
)
TEST_HOSPITALS = ("OL", "LL", "E2", "EW", "GM", "S3")
"""TCGA's codes of the hospitals that the authors held out."""
TUMOR, STROMA, INFLAMMATORY, NECROSIS, OTHER = range(5)


def _merge() -> np.ndarray:
    table = np.arange(256)
    table[:22] = OTHER
    table[[1, 19, 20]] = TUMOR  # with angioinvasion and DCIS
    table[2] = STROMA
    table[[3, 10, 11]] = INFLAMMATORY  # lymphocytes, plasma cells, other immune cells
    table[4] = NECROSIS
    table[[0, 7]] = IGNORE  # outside of the region, and what annotators excluded
    return table.astype(np.uint8)


MERGED = _merge()
"""Code to class of ``bcss5``; codes above 21 stay, so that they are refused."""


def convert(variant: str, source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts the regions of ``bcss`` or ``bcss5``; images stay where they are.

    Raises:
        InputError: As in ``Converter``.
    """
    pairs, notes = find_pairs(source, LAYOUT, "BCSS")
    hospitals = [pair.found["name"].split("-")[1].upper() for pair in pairs]
    held_out = any(hospital in TEST_HOSPITALS for hospital in hospitals)
    samples = [
        Sample(
            name=pair.image.stem,
            source=pair.mask,
            image=pair.image,
            label=partial(_label, variant, pair.mask),
            patient=tcga_patient(pair.image.stem),
            part=("test" if hospital in TEST_HOSPITALS else "train") if held_out else None,
        )
        for pair, hospital in zip(pairs, hospitals, strict=True)
    ]
    return write_samples(variant, samples, out, seed=seed, force=force, notes=notes)


def _label(variant: str, path: Path) -> Label:
    codes = read_mask(path)
    return Label(MERGED[codes] if variant == "bcss5" else codes)
