"""Several encoders in one bank: joined by name and place, masked or dropped where one lacks
something, and counted."""

import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import torch

from pathfuse.errors import InputError
from pathfuse.features.bank import Masked
from pathfuse.features.folder import FeatureFolder, open_folder
from pathfuse.features.formats import h5
from pathfuse.features.formats.base import UnusableError
from pathfuse.features.inspect import describe
from pathfuse.features.join import open_bank
from pathfuse.features.opened import OpenedFeatures

GRID = np.stack(np.divmod(np.arange(6), 3)[::-1], axis=1) * 256
"""Three tiles by two, in reading order."""


def features(n: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def write(path: Path, values, xy=None, size=256, um=False) -> Path:
    """A TRIDENT file, or with ``um`` STAMP's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as content:
        data = content.create_dataset("feats" if um else "features", data=values)
        if um:
            content.attrs.update(
                {"stamp_version": "2.4.0", "unit": "um", "tile_size_um": size, "feat_type": "tile"}
            )
        else:
            data.attrs["savetodir"] = "/x"
        if xy is not None:
            coords = content.create_dataset("coords", data=xy)
            if size is not None and not um:
                coords.attrs["patch_size_level0"] = size
    return path


@pytest.fixture
def two(tmp_path) -> dict[str, Path]:
    """``uni`` of 4 dimensions and ``conch`` of 3; ``s1`` with the same six tiles, ``s2`` with two
    each, one shared."""
    paths = {"uni": tmp_path / "uni", "conch": tmp_path / "conch"}
    for seed, (name, dim) in enumerate((("uni", 4), ("conch", 3))):
        write(paths[name] / "s1.h5", features(6, dim, seed), GRID)
        write(paths[name] / "s2.h5", features(2, dim, seed + 10), GRID[seed : seed + 2])
    return paths


def test_columns_stand_side_by_side_in_the_order_of_names(two):
    bank = open_bank(two)
    assert isinstance(bank, FeatureFolder)
    assert (bank.views, bank.dim, bank.encoder, bank.granularity) == (
        {"conch": 3, "uni": 4},
        7,
        None,
        "tile",
    )
    assert (bank.source, bank.format) == (f"{two['conch']} + {two['uni']}", "trident")
    values = bank.read("s1")
    assert values.dtype == np.float32
    assert np.array_equal(values, np.hstack([features(6, 3, 1), features(6, 4, 0)]))
    slide = bank.slides["s1"]
    assert (slide.n_tiles, slide.dtype, slide.has_coords, slide.path) == (
        6,
        "float32",
        True,
        two["conch"] / "s1.h5",
    )
    coords = bank.coords("s1")
    assert np.array_equal(coords.xy, GRID)
    assert (coords.unit, coords.tile_size) == ("px", 256.0)
    assert np.array_equal(bank.read("s1", np.array([4, 0, 4])), values[[4, 0, 4]])
    assert bank.read("s1", np.array([], dtype=np.int64)).shape == (0, 7)
    assert np.array_equal(np.concatenate(list(bank.store.chunks("s1"))), values)
    assert describe(bank).n_tiles == 9


def test_a_tile_that_one_lacks_is_masked(two):
    bank = open_bank(two)
    values = bank.read("s2")
    assert np.array_equal(bank.coords("s2").xy, GRID[:3])
    uni, conch = features(2, 4, 10), features(2, 3, 11)
    gap = np.full((1, 4), np.nan, dtype=np.float32)
    assert np.array_equal(values[:, 3:], np.vstack([uni, gap]), equal_nan=True)
    assert np.array_equal(values[:, :3], np.vstack([gap[:, :3], conch]), equal_nan=True)
    assert np.array_equal(bank.read("s2", np.array([2, 0])), values[[2, 0]], equal_nan=True)
    assert bank.masked == (
        Masked("conch", "s2", 1, 3, "tile without features of encoder 'conch'"),
        Masked("uni", "s2", 1, 3, "tile without features of encoder 'uni'"),
    )
    assert bank.notes() == [
        {"reason": "tile without features of encoder 'conch' (masked)", "n": 1, "first": ["s2"]},
        {"reason": "tile without features of encoder 'uni' (masked)", "n": 1, "first": ["s2"]},
    ]
    assert (bank.broken, bank.dropped) == ((), ())


def test_or_dropped(two):
    bank = open_bank(two, incomplete="drop")
    assert np.array_equal(
        bank.read("s2"), np.hstack([features(2, 3, 11)[:1], features(2, 4, 10)[1:]])
    )
    assert np.array_equal(bank.coords("s2").xy, GRID[1:2])
    assert bank.masked == ()
    assert bank.notes() == [
        {"reason": "tile dropped: without features of encoder 'conch'", "n": 1, "first": ["s2"]},
        {"reason": "tile dropped: without features of encoder 'uni'", "n": 1, "first": ["s2"]},
    ]
    assert [(one.n_tiles, one.of) for one in bank.dropped] == [(1, 3), (1, 3)]


def test_drop_names_all_who_lack_a_tile_and_counts_it_once(two, tmp_path):
    paths = {**two, "gigapath": tmp_path / "gigapath"}
    write(paths["gigapath"] / "s1.h5", features(2, 2, 5), GRID[[0, 1]])
    write(paths["gigapath"] / "s2.h5", features(2, 2, 6), GRID[[1, 3]])
    bank = open_bank(paths, incomplete="drop")
    assert [(one["reason"], one["n"]) for one in bank.notes()] == [
        ("tile dropped: without features of encoder 'conch' and 'gigapath'", 1),
        ("tile dropped: without features of encoder 'conch' and 'uni'", 1),
        ("tile dropped: without features of encoder 'gigapath'", 4),
        ("tile dropped: without features of encoder 'gigapath' and 'uni'", 1),
    ]
    assert {name: slide.n_tiles for name, slide in bank.slides.items()} == {"s1": 2, "s2": 1}
    write(paths["gigapath"] / "s2.h5", features(2, 2, 6), GRID[[0, 2]])
    (broken,) = open_bank(paths, incomplete="drop").broken
    assert (broken.name, broken.reason) == ("s2", "no tile has features of all encoders")
    assert open_bank(paths).broken == ()


def test_neither_the_order_of_rows_nor_of_encoders_matters(two):
    before = open_bank(two)
    wanted = {name: (before.read(name), before.coords(name).xy) for name in before.slides}
    order = np.random.default_rng(0).permutation(6)
    write(two["uni"] / "s1.h5", features(6, 4, 0)[order], GRID[order])
    write(two["uni"] / "s2.h5", features(2, 4, 10)[::-1], GRID[[1, 0]])
    after = open_bank(dict(sorted(two.items())))
    assert list(after.views) == list(before.views)
    for name, (values, xy) in wanted.items():
        assert np.array_equal(after.read(name), values, equal_nan=True)
        assert np.array_equal(after.coords(name).xy, xy)
    assert after.masked == before.masked
    assert open_bank(dict(sorted(two.items(), reverse=True))).sha256() == after.sha256()


def test_a_coarser_grid_is_laid_under_the_finest(tmp_path):
    paths = {"fine": tmp_path / "fine", "coarse": tmp_path / "coarse"}
    write(paths["fine"] / "s.h5", features(6, 2, 0), GRID, 256)
    write(paths["coarse"] / "s.h5", features(2, 3, 1), np.array([[0, 0], [9984, 0]]), 512)
    bank = open_bank(paths)
    large = features(2, 3, 1)[[0, 0, 0, 0, 0, 0]]
    large[[2, 5]] = np.nan
    assert np.array_equal(bank.read("s"), np.hstack([large, features(6, 2, 0)]), equal_nan=True)
    assert bank.coords("s").tile_size == 256
    assert [(one["reason"], one["n"]) for one in bank.notes()] == [
        ("tile of encoder 'coarse' on no tile of the finest grid", 1),
        ("tile without features of encoder 'coarse' (masked)", 2),
    ]
    dropped = open_bank(paths, incomplete="drop")
    assert np.array_equal(dropped.coords("s").xy, GRID[[0, 1, 3, 4]])
    assert [(one["reason"], one["n"]) for one in dropped.notes()] == [
        ("tile dropped: without features of encoder 'coarse'", 2),
        ("tile of encoder 'coarse' on no tile of the finest grid", 1),
    ]


def test_overlap_is_the_least_share(tmp_path):
    paths = {"a": tmp_path / "a", "b": tmp_path / "b"}
    write(paths["a"] / "s.h5", features(6, 2, 0), GRID)
    write(paths["b"] / "s.h5", features(6, 2, 1), GRID + np.array([64, 0]))  # three quarters
    assert np.array_equal(
        open_bank(paths, overlap=0.75).read("s"), np.hstack([features(6, 2, 0), features(6, 2, 1)])
    )
    with pytest.raises(
        InputError, match=r"the encoders 'a' and 'b' share no tile of slide 's' \(at least 0.76"
    ):
        open_bank(paths, overlap=0.76)


def test_a_slide_that_one_lacks(two):
    write(two["uni"] / "s0.h5", features(2, 4, 7), GRID[[1, 0]])
    write(two["uni"] / "s9.h5", features(2, 4, 8))  # alone it needs no coordinates
    bank = open_bank(two)
    assert list(bank.slides) == ["s0", "s1", "s2", "s9"]
    assert np.array_equal(bank.read("s0")[:, 3:], features(2, 4, 7)[::-1])  # in reading order
    assert np.array_equal(bank.read("s9")[:, 3:], features(2, 4, 8))
    assert np.isnan(bank.read("s9")[:, :3]).all()
    assert bank.coords("s9") is None
    assert bank.notes()[0] == {
        "reason": "slide without features of encoder 'conch' (masked)", "n": 2, "first": ["s0", "s9"]
    }  # fmt: skip
    bank = open_bank(two, incomplete="drop")
    assert list(bank.slides) == ["s1", "s2"]
    assert [(one.name, one.path, one.reason) for one in bank.broken] == [
        (name, two["uni"] / f"{name}.h5", "the encoder 'conch' has no features of the slide")
        for name in ("s0", "s9")
    ]
    with pytest.raises(
        InputError, match=r"s0.h5: the encoder 'conch' has no features of the slide"
    ):
        bank.read("s0")


def test_a_slide_that_one_cannot_give(two):
    values = features(6, 3, 1)
    values[2, 1] = np.nan
    bad = write(two["conch"] / "s1.h5", values, GRID)
    why = "column 1 of tile 2 (both counted from 0) is NaN"
    bank = open_bank(two)
    assert np.array_equal(bank.read("s1")[:, 3:], features(6, 4, 0))
    assert np.isnan(bank.read("s1")[:, :3]).all()
    whole = f"slide whose features of encoder 'conch' could not be used: {why}"
    assert bank.masked[0] == Masked("conch", "s1", 6, 6, whole)
    assert bank.notes()[0] == {"reason": f"{whole} (masked)", "n": 1, "first": ["s1"]}
    (broken,) = open_bank(two, incomplete="drop").broken
    assert (broken.name, broken.path, broken.reason) == ("s1", bad, f"of encoder 'conch': {why}")
    with pytest.raises(InputError, match=re.escape(f"{bad}: {why}")):
        open_bank(two, strict=True)
    (two["uni"] / "s1.h5").write_text("<html>")
    bank = open_bank(two)
    assert [(one.name, one.path, one.reason) for one in bank.broken] == [
        ("s1", bad, f"of encoder 'conch': {why}")
    ]
    assert list(bank.slides) == ["s2"]


@pytest.mark.parametrize("kind", ["h5", "pt"])
def test_tiles_without_coordinates_are_never_joined(two, kind):
    if kind == "h5":
        write(two["uni"] / "s1.h5", features(6, 4, 0))
    else:
        (two["uni"] / "s1.h5").unlink()
        torch.save(torch.zeros(6, 4), two["uni"] / "s1.pt")
    bank = open_bank(two)
    why = "the files of encoder 'uni' do not say where its tiles lie, and tiles are never joined by their order"
    assert [(one.name, one.reason) for one in bank.broken] == [("s1", why)]
    assert list(bank.slides) == ["s2"]
    with pytest.raises(InputError, match=why):
        open_bank(two, strict=True)
    write(two["uni"] / "s2.h5", features(2, 4, 0))
    with pytest.raises(
        InputError,
        match=rf"none of the 2 slides that several encoders have can be used; the first, .*s1.*, slide 's1': {why}",
    ):
        open_bank(two)
    assert open_bank({"uni": two["uni"]}).read("s1").shape == (6, 4)


def test_slides_whose_tiles_cannot_be_joined(two):
    write(two["uni"] / "far.h5", features(2, 4, 0), GRID[:2] + 100_000)
    write(two["conch"] / "far.h5", features(2, 3, 0), GRID[:2] * 2, 512)
    write(two["uni"] / "twice.h5", features(2, 4, 0), GRID[[0, 0]])
    write(two["conch"] / "twice.h5", features(2, 3, 0), GRID[:2])
    write(two["uni"] / "um.h5", features(2, 4, 0), GRID[:2] * 0.5, 128.0, um=True)
    write(two["conch"] / "um.h5", features(2, 3, 0), GRID[:2])
    with pytest.raises(InputError) as refused:
        open_bank(two)
    assert str(refused.value).endswith(
        ": coordinates are in different units in 1 of the 5 slides that several encoders have; in the first, 'um', "
        "the encoder 'conch' says in px where its tiles lie, but 'uni' in um, and the size of a pixel is not known; "
        "give um_per_px: micrometres per pixel of level 0, such as --um-per-px 0.25 (um_per_px: 0.25 under the head "
        "in study.yaml)"
    )
    bank = open_bank(two, mixed_units="leave_out")
    assert {one.name: one.reason for one in bank.broken} == {
        "far": (
            "the encoders 'conch' and 'uni' share no tile of slide 'far' (at least 0.5 of its area): the first of "
            "'conch' lies at (0, 0) and is 512 px wide, the first of 'uni' lies at (100000, 100000) and is 256 px wide"
        ),
        "twice": "the encoder 'uni' has two tiles at (0, 0)",
        "um": (
            "the encoder 'conch' says in px where its tiles lie, but 'uni' in um, and the size of a pixel is not "
            "known; give um_per_px"
        ),
    }
    assert list(bank.slides) == ["s1", "s2"]


def test_micrometres_meet_pixels(two):
    """Rows are in pixels then, even those that lie where the file in micrometres says."""
    for name in two:
        (two[name] / "s2.h5").unlink()
    write(two["uni"] / "s1.h5", features(6, 4, 0)[::-1], GRID[::-1] * 0.5, 128.0, um=True)
    write(two["conch"] / "s1.h5", features(2, 3, 1), GRID[[0, 3]] // 256 * 512, 512)
    with pytest.raises(InputError, match=r"the size of a pixel is not known; give um_per_px"):
        open_bank(two)
    bank = open_bank(two, um_per_px=0.5)
    assert np.array_equal(bank.read("s1")[:, 3:], features(6, 4, 0))
    assert np.array_equal(bank.read("s1")[[0, 1, 3, 4], :3], features(2, 3, 1)[[0, 0, 0, 0]])
    coords = bank.coords("s1")
    assert (coords.unit, coords.tile_size) == ("px", 256.0)
    assert np.array_equal(coords.xy, GRID)
    assert bank.sha256() != open_bank(two, um_per_px=0.5001).sha256()
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"um_per_px is {wrong}, but must be a number above 0"):
            open_bank(two, um_per_px=wrong)
    coords = open_bank({"uni": two["uni"]}, um_per_px=0.5).coords("s1")
    assert (coords.unit, coords.tile_size) == ("um", 128.0)
    assert np.array_equal(coords.xy, GRID * 0.5)


def test_encoders_that_share_no_tile_at_all(two):
    for name, n in (("s1", 6), ("s2", 2)):
        write(two["uni"] / f"{name}.h5", features(n, 4, 0), GRID[:n] + 50_000)
    with pytest.raises(
        InputError,
        match=r"none of the 2 slides that several encoders have can be used.*'conch' and 'uni' share no tile of slide",
    ):
        open_bank(two)


def test_encoders_that_share_no_slide(two, tmp_path):
    (tmp_path / "uni").rename(tmp_path / "old")
    for name in ("s1", "s2"):
        write(two["uni"] / f"{name}.9.h5", features(6, 4, 0), GRID)
    sentence = r"conch \(encoder 'conch'\) and .*uni \(encoder 'uni'\) share no slide: 's1' is in one, 's1.9' in the"
    for incomplete in ("mask", "drop"):
        with pytest.raises(InputError, match=sentence):
            open_bank(two, incomplete=incomplete)


def test_strict_refuses_what_is_missing(two, tmp_path):
    with pytest.raises(
        InputError,
        match=r"conch \+ .*: tile without features of encoder 'conch' \(masked\): s2 \(1 in",
    ):
        open_bank(two, strict=True)
    with pytest.raises(InputError, match=r"tile dropped: without features of encoder 'conch'"):
        open_bank(two, strict=True, incomplete="drop")
    for name in two:
        (two[name] / "s2.h5").unlink()
    assert list(open_bank(two, strict=True).slides) == ["s1"]
    write(two["uni"] / "s3.h5", features(2, 4, 0), GRID[:2])
    with pytest.raises(
        InputError, match=r"slide without features of encoder 'conch' \(masked\): s3 \(1 in all\)"
    ):
        open_bank(two, strict=True)
    with pytest.raises(
        InputError, match=r"s3.h5, slide 's3': the encoder 'conch' has no features of the slide"
    ):
        open_bank(two, strict=True, incomplete="drop")


def test_what_cannot_be_a_bank(two, tmp_path):
    with pytest.raises(InputError, match="needs at least one encoder"):
        open_bank({})
    for overlap in (0, -0.1, 1.01, float("nan")):
        with pytest.raises(
            InputError, match=f"overlap is {overlap}, but must be above 0 and at most 1"
        ):
            open_bank(two, overlap=overlap)
    with pytest.raises(InputError, match="incomplete is 'skip', but must be one of mask, drop"):
        open_bank(two, incomplete="skip")
    with pytest.raises(InputError, match="absent does not exist"):
        open_bank({**two, "x": tmp_path / "absent"})
    pl.DataFrame({"sample_id": ["s1"], "f0": [1.0]}).write_csv(tmp_path / "titan.csv")
    with pytest.raises(
        InputError,
        match=r"conch \(encoder 'conch'\) holds bags of tiles, but .*titan.csv \(encoder '",
    ):
        open_bank({**two, "titan": tmp_path / "titan.csv"})
    write(two["uni"] / "s3.h5", features(2, 5, 0), GRID[:2])
    with pytest.raises(InputError, match=r"s1.h5 has 4 dimensions, but .*s3.h5 has 5"):
        open_bank(two)


def test_vectors_are_joined_by_name(tmp_path):
    pl.DataFrame(
        {"sample_id": ["b", "a", "c"], "x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0]}
    ).write_csv(tmp_path / "titan.csv")
    for name, value in (("a", 7.0), ("b", 8.0), ("d", 9.0)):
        write(tmp_path / "prism" / f"{name}.h5", np.array([value, value + 0.5], dtype=np.float32))
    paths = {"titan": tmp_path / "titan.csv", "prism": tmp_path / "prism"}
    bank = open_bank(paths)
    assert (bank.granularity, bank.views) == ("slide", {"prism": 2, "titan": 2})
    assert bank.read("a").tolist() == [[7.0, 7.5, 2.0, 5.0]]
    assert bank.read("b", np.array([0])).tolist() == [[8.0, 8.5, 1.0, 4.0]]
    assert np.array_equal(bank.read("c"), [[np.nan, np.nan, 3.0, 6.0]], equal_nan=True)
    assert bank.coords("a") is None
    assert bank.notes() == [
        {"reason": "slide without features of encoder 'prism' (masked)", "n": 1, "first": ["c"]},
        {"reason": "slide without features of encoder 'titan' (masked)", "n": 1, "first": ["d"]},
    ]
    assert list(open_bank(paths, incomplete="drop").slides) == ["a", "b"]


def test_one_encoder_alone_is_its_folder(two):
    bank, folder = open_bank({"uni": two["uni"]}), open_folder(two["uni"])
    assert (bank.views, bank.dim, bank.notes()) == ({"uni": 4}, 4, [])
    for name in folder.slides:
        assert np.array_equal(bank.read(name), folder.read(name))
        assert np.array_equal(bank.coords(name).xy, folder.coords(name).xy)


def test_the_fingerprint_follows_files_names_and_options(two):
    said = {open_bank(two).sha256()}
    assert open_bank(two).sha256() in said
    said.add(open_bank(two, overlap=0.6).sha256())
    said.add(open_bank(two, incomplete="drop").sha256())
    said.add(open_bank({"uni2": two["uni"], "conch": two["conch"]}).sha256())
    said.add(open_bank({"uni": two["conch"], "conch": two["uni"]}).sha256())
    for file in (two["conch"] / "s2.h5", two["uni"] / "s1.h5"):
        with h5py.File(file, "r+") as content:
            content["features"][0, 0] += 1
        said.add(open_bank(two).sha256())
    assert len(said) == 7


def test_numbers_are_read_only_when_asked_and_only_those(tmp_path):
    side = 200
    y, x = np.divmod(np.arange(side * side), side)
    for name in "ab":
        with h5py.File(write(tmp_path / name / "s.h5", np.zeros((1, 1))), "w") as content:
            content.create_dataset(
                "features", shape=(side * side, 256), dtype="f4", chunks=(32, 256)
            )  # 40 MB of zeros
            content.create_dataset("coords", data=np.stack([x, y], axis=1) * 256).attrs[
                "patch_size_level0"
            ] = 256
    tracemalloc.start()
    bank = open_bank({name: tmp_path / name for name in "ab"}, check_values=False)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    assert bank.read("s", np.array([7, 39_999])).shape == (2, 512)
    assert tracemalloc.get_traced_memory()[1] - held < 2_000_000
    tracemalloc.stop()


def test_errors_name_the_encoders_own_file(two):
    bank = open_bank(two)
    with pytest.raises(InputError, match="has no slide 'nobody'"):
        bank.read("nobody")
    with pytest.raises(InputError, match=r"there is no tile 6 \(counted from 0\) of 6"):
        bank.read("s1", np.array([6]))
    (two["uni"] / "s1.h5").unlink()
    with pytest.raises(InputError, match=r"uni/s1.h5: it cannot be read"):
        bank.read("s1")


def test_no_torch_is_needed():
    code = "import sys; sys.modules['torch'] = None; import pathfuse.features.join; assert 'h5py' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_coordinates_that_cannot_be_read(two, monkeypatch):
    read_coords = h5.read_coords

    def damaged(path, layer):
        if path == two["uni"] / "s1.h5":
            raise UnusableError("it is damaged")
        return read_coords(path, layer)

    monkeypatch.setattr(h5, "read_coords", damaged)
    (broken,) = open_bank(two).broken
    assert (broken.name, broken.reason) == (
        "s1",
        "the coordinates of encoder 'uni' cannot be read: it is damaged",
    )


def test_a_run_joins_the_same_encoders_once(two):
    opened = OpenedFeatures()
    first = open_bank(two, opened=opened)
    assert open_bank(dict(reversed(two.items())), opened=opened) is first
    other = open_bank(two, incomplete="drop", opened=opened)
    assert other is not first
    assert other.encoders["uni"] is first.encoders["uni"]
    assert open_bank({"uni": two["uni"]}, opened=opened).encoders["uni"] is first.encoders["uni"]
