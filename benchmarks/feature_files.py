"""Bags of public and made-up data as feature files, as a user's encoder would leave them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import polars as pl

from pathfuse.experts.cohort import Unit
from pathfuse.experts.targets.table import Targets
from pathfuse.features.folder import FeatureFolder, open_folder

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
"""Public data next to the repository; not part of it."""


@dataclass(frozen=True)
class Bags:
    """A two-class set of bags on disk."""

    folder: FeatureFolder
    units: list[Unit]
    """Sorted by sample; a bag is one slide."""
    label: np.ndarray
    """0 or 1, (sample,)."""
    targets: Targets

    def some(self, rows: np.ndarray) -> list[Unit]:
        """The units of some samples."""
        return [self.units[row] for row in rows]


def mil_set(name: str, place: Path) -> Bags:
    """One of the classic sets, written as CLAM writes bags."""
    with np.load(SHARED / "mil_benchmarks" / f"{name}.npz") as data:
        features, bag, label = data["X"], data["bag"], data["bag_label"].astype(np.int64)
    return write_bags([features[bag == i] for i in range(len(label))], label, place / name)


def write_vectors(ids: Sequence[str], vectors: np.ndarray, place: Path) -> Path:
    """A table of vectors: ``sample_id`` and one column per dimension, named after the file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    columns = {f"{place.stem}_{k:04d}": vectors[:, k] for k in range(vectors.shape[1])}
    pl.DataFrame({"sample_id": list(ids)} | columns).write_parquet(place)
    return place


def write_bags(bags: Sequence[np.ndarray], label: np.ndarray, place: Path) -> Bags:
    """One HDF5 file with ``features`` and ``coords`` per bag."""
    place.mkdir(parents=True)
    for i, bag in enumerate(bags):
        with h5py.File(place / f"{i:05d}.h5", "w") as file:
            file["features"] = bag.astype(np.float32)
            file["coords"] = 256 * np.stack(
                [np.arange(len(bag)), np.zeros(len(bag), dtype=np.int64)], axis=1
            )
    folder = open_folder(place)
    units = [Unit(row, (slide,)) for row, slide in enumerate(folder.slides)]
    known = np.ones((len(label), 1), dtype=bool)
    return Bags(folder, units, label, Targets("multiclass", ("0", "1"), np.eye(2)[label], known))
