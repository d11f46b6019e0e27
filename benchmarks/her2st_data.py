"""Spots of six breast cancer sections with their H&E (Andersson et al. 2021): expression, and
features of each spot.

A spot's features are those of ``descriptors`` on a square around its centre. The square is one step
of the spot grid wide (about 290 px, 200 um), so that neighbours share no pixel; it is read at half
size. Spots that the count tables lack are left out.

Expression is ``log1p`` of counts per 10,000 over all genes. The genes are fixed before anything is
trained, on sections of five other patients (A1, D1, E1, G2, H1; their images are not here): of the
200 genes with the highest share the 50 that vary most inside a section beyond their counting noise
(variance of analytic Pearson residuals, Lause et al. 2021). No spot that is trained or judged on
has a say in it.
"""

import gzip
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from PIL import Image

from benchmarks.descriptors import colour, random_encoder, texture
from benchmarks.feature_files import SHARED, write_vectors

PLACE = SHARED / "her2st" / "data"
CACHE = Path(__file__).parent / "results" / "cache" / "her2st"
SECTIONS = ("B4", "C2", "C3", "C4", "C5", "C6")
"""The first letter is the patient."""
OTHERS = ("A1", "D1", "E1", "G2", "H1")
ENCODERS = ("colour", "random_convolutions", "texture")
DEPTH, HIGHEST, GENES = 10_000, 200, 50
OVERDISPERSION = 100.0
"""Of Lause et al."""
BLOCK = 4
"""Spots along the side of a block of neighbours (0.8 mm)."""
HALF, JOBS = 2, 2


@dataclass(frozen=True)
class Spots:
    """All spots, section by section."""

    table: pl.DataFrame
    """``sample_id``, ``section``, ``patient``, ``block``, ``x``, ``y``, ``pixel_x``, ``pixel_y``."""
    expression: np.ndarray
    """(spot, gene)"""
    genes: tuple[str, ...]
    features: dict[str, Path]
    """A table of vectors by encoder."""
    dropped: dict[str, int]
    """Selected spots that the count table of a section lacks."""

    @cached_property
    def section(self) -> np.ndarray:
        """Of each spot."""
        return self.table["section"].to_numpy()

    @cached_property
    def block(self) -> np.ndarray:
        """Of each spot; a block lies in one section."""
        return self.table["block"].to_numpy()

    def samples(self, rows: np.ndarray | None = None) -> pl.DataFrame:
        """``sample_id``, ``patient_id`` (the block), ``site`` (the section) and one ``target_`` per
        gene."""
        names = {"sample_id": "sample_id", "block": "patient_id", "section": "site"}
        table = self.table.select(list(names)).rename(names)
        targets = pl.DataFrame(
            {f"target_{g}": self.expression[:, k] for k, g in enumerate(self.genes)}
        )
        whole = table.hstack(targets)
        return whole if rows is None else whole[rows]


@dataclass(frozen=True)
class Counts:
    """One section's count table."""

    row: dict[str, int]
    """Of a spot, named ``XxY``."""
    column: dict[str, int]
    """Of a gene."""
    counts: np.ndarray
    """(spot, gene)"""

    @cached_property
    def depth(self) -> np.ndarray:
        """Counts of each spot, over all genes."""
        return self.counts.sum(axis=1)

    def of(self, genes: Sequence[str]) -> np.ndarray:
        """Counts of some genes, (spot, gene)."""
        return self.counts[:, [self.column[gene] for gene in genes]]


def her2st_spots() -> Spots:
    """Reads everything; features are computed once."""
    genes = _genes()
    selected = pl.concat([_selected(section) for section in SECTIONS])
    kept, expression, dropped = [], [], {}
    for (section,), spots in selected.group_by("section", maintain_order=True):
        counted = _counts(str(section))
        kept.append(spots.filter(pl.col("spot").is_in(list(counted.row))))
        relative = np.log1p(DEPTH * counted.of(genes) / counted.depth[:, None])
        expression.append(relative[[counted.row[spot] for spot in kept[-1]["spot"]]])
        dropped[str(section)] = len(spots) - len(kept[-1])
    table = pl.concat(kept)
    return Spots(table.drop("spot"), np.concatenate(expression), genes, _features(table), dropped)


def _selected(section: str) -> pl.DataFrame:
    spots = pl.read_csv(PLACE / "ST-spotfiles" / f"{section}_selection.tsv", separator="\t")
    where = pl.format("{}x{}", "x", "y")
    return spots.filter(pl.col("selected") == 1).select(
        pl.format("{}_{}", pl.lit(section), where).alias("sample_id"),
        where.alias("spot"),
        pl.lit(section).alias("section"),
        pl.lit(section[0]).alias("patient"),
        pl.format("{}_{}_{}", pl.lit(section), pl.col("x") // BLOCK, pl.col("y") // BLOCK).alias(
            "block"
        ),
        *("x", "y", "new_x", "pixel_x", "pixel_y"),
    )


def _counts(section: str) -> Counts:
    with _open(section) as file:
        genes = file.readline().split()
        lines = [line.split("\t", 1) for line in file]
    counts = np.stack([np.fromstring(numbers, dtype=np.int64, sep="\t") for _, numbers in lines])
    row = {spot: n for n, (spot, _) in enumerate(lines)}
    return Counts(row, {gene: n for n, gene in enumerate(genes)}, counts)


def _open(section: str) -> TextIO:
    return gzip.open(PLACE / "ST-cnts" / f"{section}.tsv.gz", "rt", encoding="utf-8")


def _genes() -> tuple[str, ...]:
    others = [_counts(section) for section in OTHERS]
    common = sorted(set.intersection(*(set(table.column) for table in others), _named()))
    share = np.mean([(one.of(common) / one.depth[:, None]).mean(axis=0) for one in others], axis=0)
    high = [common[k] for k in np.argsort(-share, kind="stable")[:HIGHEST]]
    spread = np.mean([_spread(one.of(high), one.depth) for one in others], axis=0)
    return tuple(high[k] for k in np.argsort(-spread, kind="stable")[:GENES])


def _named() -> set[str]:
    """Genes that the tables of all sections have."""
    found = []
    for section in SECTIONS:
        with _open(section) as file:
            found.append(set(file.readline().split()))
    return set.intersection(*found)


def _spread(counts: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Variance of each gene's Pearson residuals under a negative binomial of common overdispersion."""
    expected = depth[:, None] * counts.sum(axis=0) / depth.sum()
    residual = (counts - expected) / np.sqrt(expected + expected**2 / OVERDISPERSION)
    return np.clip(residual, -np.sqrt(len(counts)), np.sqrt(len(counts))).var(axis=0)


def _features(table: pl.DataFrame) -> dict[str, Path]:
    """One table of vectors per encoder, computed once."""
    places = {name: CACHE / f"{name}.parquet" for name in ENCODERS}
    if not all(place.is_file() for place in places.values()):
        sections = table.partition_by("section", maintain_order=True)
        found = Parallel(n_jobs=JOBS)(delayed(_described)(spots) for spots in sections)
        for name, place in places.items():
            write_vectors(
                table["sample_id"].to_list(), np.concatenate([one[name] for one in found]), place
            )
    return places


def _described(spots: pl.DataFrame) -> dict[str, np.ndarray]:
    """The descriptors of a section's spots."""
    section = spots["section"][0]
    (path,) = (PLACE / "ST-imgs" / section[0] / section).glob("*.jpg")
    step = abs(float(np.polyfit(spots["new_x"], spots["pixel_x"], 1)[0]))
    side = HALF * round(step / HALF)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", Image.DecompressionBombWarning
        )  # a whole slide is as large as it is
        with Image.open(path) as file:
            image = file.convert("RGB")
    left = np.rint(spots.select("pixel_x", "pixel_y").to_numpy() - side / 2).astype(int).tolist()
    crops = [np.asarray(image.crop((x, y, x + side, y + side)).reduce(HALF)) for x, y in left]
    encoders = dict(zip(ENCODERS, (colour, random_encoder(), texture), strict=True))
    return {name: np.stack([encode(crop) for crop in crops]) for name, encode in encoders.items()}
