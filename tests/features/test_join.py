"""Encoders at different magnifications are joined by coordinates, end to end."""

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("h5py")

import h5py

from pathfuse.experts.parts import ExpertSetup, prepare
from pathfuse.experts.recipe import TrainingRecipe

FINE = np.array([[256 * x, 256 * y] for y in range(4) for x in range(4)])
"""Tiles at 20x: corners in pixels of level 0."""
COARSE = np.array([[512 * x, 512 * y] for y in range(2) for x in range(2)])
"""The same tissue at 10x: tiles of 256 px there, 512 of level 0."""


def write(file, values, coords, edge):
    file.parent.mkdir(exist_ok=True)
    with h5py.File(file, "w") as out:
        out["features"] = values
        out["coords"] = coords
        out["coords"].attrs["patch_size_level0"] = edge


def test_magnifications_meet_by_coordinates(tmp_path):
    """Every fine tile has the features of the coarse tile that it lies in, in any order of rows."""
    rng, ids = np.random.default_rng(0), [f"s{k}" for k in range(8)]
    for name in ids:
        order = rng.permutation(16)
        fine, coarse = FINE[order], COARSE[::-1]
        write(tmp_path / "x20" / f"{name}.h5", fine.astype(np.float32), fine, 256)
        write(tmp_path / "x10" / f"{name}.h5", coarse.astype(np.float32), coarse, 512)
    pl.DataFrame({"sample_id": ids, "patient_id": ids, "label": ["a", "b"] * 4}).write_csv(
        tmp_path / "samples.csv"
    )
    recipe = TrainingRecipe.of("pca_ridge", folds=2)
    features = {"x10": tmp_path / "x10", "x20": tmp_path / "x20"}
    expert = ExpertSetup("e", features, tmp_path / "samples.csv", tmp_path / "out", recipe)
    prepared = prepare(expert)
    assert (prepared.cohort.left_out, prepared.cohort.warnings) == ((), ())
    for name in ids:
        values = prepared.cohort.folder.read(name)
        assert np.array_equal(values[:, 2:], FINE)
        assert np.array_equal(values[:, :2], FINE // 512 * 512)
