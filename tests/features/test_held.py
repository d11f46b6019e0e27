"""More tiles than can be held are refused where all are read, and not where a part is."""

import h5py
import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.features import held
from pathfuse.features.folder import open_folder
from pathfuse.features.formats import base
from pathfuse.features.held import check_held


def test_the_limit_in_words():
    check_held(2_000_000, 1536, "s1.h5")
    with pytest.raises(
        InputError,
        match=r"^s1.h5 has 3,000,000 tiles of 1,536 numbers, 18.4 GB; at most 16 GB .*max_tiles_predict",
    ):
        check_held(3_000_000, 1536, "s1.h5")


@pytest.mark.parametrize("suffix", [".h5", ".npy", ".pt", ".h5ad"])
def test_a_part_of_a_large_slide_is_read(tmp_path, bag, monkeypatch, suffix):
    path, values = tmp_path / f"a{suffix}", bag(9)
    if suffix == ".npy":
        np.save(path, values)
    elif suffix == ".pt":
        torch = pytest.importorskip("torch")
        torch.save(torch.from_numpy(values), path)
    else:
        with h5py.File(path, "w") as file:
            file["X" if suffix == ".h5ad" else "features"] = values
    monkeypatch.setattr(held, "MOST_NUMBERS", 20)
    found = open_folder(tmp_path, strict=True)  # which looks at the values part by part
    rows = np.array([8, 0, 8, 3])
    np.testing.assert_array_equal(found.read("a", rows), values[rows])
    for read in (found.read, found.stored, lambda name: found.read(name, np.arange(6))):
        with pytest.raises(InputError, match=rf"a{suffix} has [69] tiles of 4 numbers"):
            read("a")


def test_dimensions_that_no_encoder_has(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.ones((2, 11), dtype=np.float32))
    np.save(tmp_path / "b.npy", np.ones((2, 10), dtype=np.float32))
    monkeypatch.setattr(base, "MOST_DIM", 10)
    found = open_folder(tmp_path)
    assert list(found.slides) == ["b"]
    assert found.broken[0].reason == "the features have 11 dimensions; at most 10 are read"
