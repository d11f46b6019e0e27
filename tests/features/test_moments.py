"""Moments of slides: as numpy has them, whatever the parts, dtype and grids, and without reading
again what was read.
"""

import warnings

import h5py
import numpy as np
import pytest

from pathfuse.features.folder import open_folder
from pathfuse.features.join import open_bank
from pathfuse.features.moments import Moments, moments_of
from pathfuse.features.slide_moments import slide_moments


def check(found, bag):
    """One row of moments against all tiles at once."""
    bag = np.asarray(bag, dtype=np.float64)
    n = np.broadcast_to(found.n, found.mean.shape)
    np.testing.assert_array_equal(n[0], (~np.isnan(bag)).sum(axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any number
        np.testing.assert_allclose(found.mean[0], np.nanmean(bag, axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.sd[0], np.nanstd(bag, axis=0), rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(found.low[0], np.nanmin(bag, axis=0))
        np.testing.assert_array_equal(found.high[0], np.nanmax(bag, axis=0))


def tiles(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal([1000, 0, 5, -1], [0.1, 3, 0, 1e-3], size=(n, 4)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 300])
def test_moments_are_those_of_all_tiles(n, monkeypatch):
    monkeypatch.setattr("pathfuse.features.moments.BLOCK", 28)
    bag = tiles(n)
    check(moments_of([bag]), bag)
    check(moments_of(np.array_split(bag, min(n, 7))), bag)
    assert moments_of([bag]).n.shape == (1, 1)


def test_a_tile_that_an_encoder_lacks_has_no_part_in_its_moments(monkeypatch):
    monkeypatch.setattr("pathfuse.features.moments.BLOCK", 8)
    bag = tiles(30)
    bag[:17, 0] = np.nan
    bag[3::4, 1] = np.nan
    bag[:, 3] = np.nan
    check(moments_of([bag]), bag)


def test_slides_are_joined_to_units():
    bags = [tiles(n, seed=n) + n for n in (3, 11, 40)]
    bags[1][:, 2] = np.nan
    wide = [one._replace(n=np.broadcast_to(one.n, one.mean.shape)) for one in map(one_of, bags)]
    every = Moments.stacked(wide)
    joined = every.joined([[0, 2], [1], [2, 1, 0]])
    for row, of in enumerate(([0, 2], [1], [2, 1, 0])):
        check(joined.rows([row]), np.concatenate([bags[k] for k in of]))


def one_of(bag):
    return moments_of([bag])


def write(place, bags, dtype=np.float32, step=256):
    place.mkdir()
    for name, bag in bags.items():
        xy = step * np.stack([np.arange(len(bag)), np.zeros(len(bag))], axis=1)
        with h5py.File(place / f"{name}.h5", "w") as file:
            file["features"] = bag.astype(dtype)
            coords = file.create_dataset("coords", data=xy.astype(np.int64))
            coords.attrs["patch_size_level0"] = step
    return place


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_was_found_at_opening_is_not_read_again(tmp_path, monkeypatch, dtype):
    bags = {"a": tiles(9)[:, 1:3], "b": tiles(4, 1)[:, 1:3]}
    folder = open_folder(write(tmp_path / "one", bags, dtype))
    plain = open_folder(tmp_path / "one", check_values=False)
    assert plain.scanned is None
    np.testing.assert_array_equal(
        slide_moments(plain, ["b", "a"]).mean, slide_moments(folder, ["b", "a"]).mean
    )
    monkeypatch.setattr("pathfuse.features.formats.h5.opened", None)
    found = slide_moments(folder, ["b", "a"])
    check(found.rows([0]), bags["b"].astype(dtype).astype(np.float32))
    check(found.rows([1]), bags["a"].astype(dtype).astype(np.float32))


def test_a_bank_has_the_moments_of_its_joined_tiles(tmp_path):
    """One encoder's tiles are twice as long, so that most of them count twice, and one slide is
    missing.
    """
    fine = {"a": tiles(10), "b": tiles(4, 1)}
    coarse = {"a": tiles(4, 2)[:, :3]}
    bank = open_bank(
        {
            "fine": write(tmp_path / "fine", fine),
            "coarse": write(tmp_path / "coarse", coarse, step=512),
        },
        overlap=0.4,
    )
    found = slide_moments(bank, ["b", "a"])
    for row, name in enumerate(("b", "a")):
        check(found.rows([row]), bank.read(name))


@pytest.mark.parametrize(("dtype", "kept"), [("f2", "f2"), ("f4", "f4"), ("f8", "f4")])
def test_features_are_kept_as_they_are_stored(tmp_path, dtype, kept):
    bags = {"a": tiles(9), "b": tiles(4, 1)}
    folder = open_folder(write(tmp_path / "one", bags, dtype))
    assert folder.stored("a").dtype == kept
    np.testing.assert_array_equal(folder.stored("a").astype("f4"), folder.read("a"))
    bank = open_bank({"x": tmp_path / "one", "y": tmp_path / "one"})
    assert bank.stored("a").dtype == kept
    np.testing.assert_array_equal(bank.stored("a").astype("f4"), bank.read("a"))


def test_constant_dimensions_are_counted(tmp_path):
    bags = {"a": tiles(9), "b": tiles(4, 1)}  # the third has no spread
    assert open_folder(write(tmp_path / "one", bags)).constant == 1
    assert open_folder(tmp_path / "one", check_values=False).constant == 0
    assert open_folder(write(tmp_path / "two", {"a": tiles(1)})).constant == 0
