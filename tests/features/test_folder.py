"""Opening a folder: what is broken is listed, what contradicts itself is refused, rows are read as
asked."""

import os
import re
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pathfuse.errors import InputError
from pathfuse.features.folder import open_folder
from pathfuse.features.formats import base
from pathfuse.features.locate import encoder_folders
from pathfuse.features.opened import OpenedFeatures


def test_rows_come_in_the_order_asked(folder, bag):
    found = open_folder(folder)
    assert np.array_equal(found.read("s1", np.array([4, 0, 4, 2])), bag(5, seed=1)[[4, 0, 4, 2]])
    assert found.read("s1", np.array([], dtype=np.int64)).shape == (0, 4)
    assert found.read("s1").dtype == np.float32


def test_one_encoder_is_one_view(folder):
    assert open_folder(folder).views == {"features": 4}


@pytest.mark.parametrize("row", [-1, 5])
def test_rows_that_are_not_there(folder, row):
    with pytest.raises(InputError, match=rf"s1.h5: there is no tile {row} \(counted from 0\) of 5"):
        open_folder(folder).read("s1", np.array([0, row]))


def test_only_the_rows_asked_for_are_read(tmp_path, write_h5):
    with h5py.File(tmp_path / "a.h5", "w") as content:
        content.create_dataset(
            "features", shape=(40_000, 512), dtype="f4", chunks=(32, 512)
        )  # 80 MB of zeros
    found = open_folder(tmp_path, check_values=False)
    tracemalloc.start()
    found.read("a", np.array([7, 39_999]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_values_are_checked_a_part_at_a_time(tmp_path, write_h5, bag, monkeypatch):
    monkeypatch.setattr(base, "CHUNK", 8)
    values = bag(9)
    values[7, 2] = np.inf
    write_h5(tmp_path / "bad.h5", values)
    write_h5(tmp_path / "good.h5", bag(9))
    (broken,) = open_folder(tmp_path).broken
    assert (broken.name, broken.reason) == (
        "bad",
        "column 2 of tile 7 (both counted from 0) is infinite",
    )
    assert open_folder(tmp_path, check_values=False).broken == ()


def spoil(path: Path, write_h5, bag, how: str) -> None:
    values, n = bag(3), 3
    if how == "cut":
        write_h5(path, values)
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "text":
        path.write_text("<html>")
    elif how == "zero":
        path.write_bytes(b"")
    elif how == "no key":
        with h5py.File(path, "w") as content:
            content["scores"], content["counts"] = np.zeros((n, 4, 2)), np.zeros((n, 4), dtype=int)
    elif how == "two matrices":
        with h5py.File(path, "w") as content:
            content["uni"], content["deep/conch"] = values, values
    elif how == "group":
        with h5py.File(path, "w") as content:
            content.create_group("features")
    elif how == "null":
        with h5py.File(path, "w") as content:
            content["features"] = h5py.Empty("f4")
    elif how == "ints":
        write_h5(path, np.ones((n, 4), dtype="int32"))
    elif how == "nan":
        values[1, 3] = np.nan
        write_h5(path, values)
    elif how == "too large":
        write_h5(path, values.astype("float64") * 1e300)
    elif how.startswith("shape"):
        write_h5(path, np.zeros(tuple(int(x) for x in re.findall(r"\d+", how)), dtype="f4"))
    elif how == "short coords":
        write_h5(path, values, np.zeros((2, 2)))
    elif how == "flat coords":
        write_h5(path, values, np.zeros(3))
    elif how == "word coords":
        write_h5(path, values, np.array([b"x", b"y", b"z"]))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("cut", "it is not a complete HDF5 file: cut off, damaged, or of another kind"),
        ("text", "it is not a complete HDF5 file: cut off, damaged, or of another kind"),
        ("zero", "it is not a complete HDF5 file: cut off, damaged, or of another kind"),
        (
            "no key",
            "it has no dataset features, feats, embeddings or patch_embeddings; it holds counts, scores",
        ),
        (
            "two matrices",
            "it holds several arrays that may be its features, deep/conch, uni; call one of them 'features'",
        ),
        (
            "group",
            "it has no dataset features, feats, embeddings or patch_embeddings; it holds features",
        ),
        ("null", "the bag is empty: 'features' holds no array"),
        ("ints", "its features are int32, not floating-point numbers"),
        ("nan", "column 3 of tile 1 (both counted from 0) is NaN"),
        ("too large", "column 0 of tile 0 (both counted from 0) is infinite"),
        ("shape 0,4", "the bag is empty: its features have the shape (0, 4)"),
        ("shape 0", "the bag is empty: its features have the shape (0,)"),
        (
            "shape 2,3,4",
            "the features have the shape (2, 3, 4), neither (tiles, dimensions) nor (dimensions,)",
        ),
        ("short coords", "it has 2 coords, but the features of 3 tiles"),
        ("flat coords", "its coords have the shape (3,), not (tiles, 2)"),
        ("word coords", "its coords are |S1, not numbers"),
    ],
)
def test_a_broken_h5_file_is_listed_or_with_strict_refused(folder, write_h5, bag, how, reason):
    path = folder / "bad.h5"
    spoil(path, write_h5, bag, how)
    found = open_folder(folder)
    assert [(b.name, b.path, b.reason) for b in found.broken] == [("bad", path, reason)]
    assert list(found.slides) == ["s0", "s1", "s2"]
    with pytest.raises(InputError, match=re.escape(f"{path}: {reason}")):
        open_folder(folder, strict=True)
    with pytest.raises(InputError, match=re.escape(f"{path}: {reason}")):
        found.read("bad")


NEEDS_PICKLE = "it needs pickle, which can run code, and is not opened: save a plain tensor"
DAMAGED = "it is not a complete PyTorch file: cut off, damaged, or of another kind"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("numpy", NEEDS_PICKLE),
        ("old numpy", NEEDS_PICKLE),
        ("object", NEEDS_PICKLE),
        ("word", "it holds a str, neither a tensor nor a list or dict of tensors"),
        (
            "dict",
            "it holds several arrays that may be its features, uni, conch; call one of them 'features'",
        ),
        (
            "dict of words",
            "its dict has no tensor features, feats, embeddings or patch_embeddings; it holds slide, n",
        ),
        ("text", DAMAGED),
        ("zero", DAMAGED),
        ("cut", DAMAGED),
        ("ints", "its features are torch.int64 (torch.strided), not plain floating-point numbers"),
        ("empty", "the bag is empty: its features have the shape (0, 4)"),
        ("empty list", "the bag is empty: its list holds no tensor"),
        (
            "uneven list",
            "its list holds tensors of the shapes [(3,), (4,)], not one (dimensions,) per tile",
        ),
        ("nan", "column 1 of tile 2 (both counted from 0) is NaN"),
    ],
)
def test_a_broken_pt_file_is_listed(folder, bag, how, reason):
    path, values = folder / "bad.pt", torch.from_numpy(bag(3))
    values[2, 1] = np.nan if how == "nan" else 0.0
    content = {
        "numpy": bag(3), "old numpy": bag(3), "object": Path("x"), "word": "x",
        "dict": {"uni": values, "conch": values}, "ints": values.long(),
        "dict of words": {"slide": "s", "n": 3},
        "empty": values[:0], "empty list": [], "uneven list": [values[0], values[0, :3]],
    }.get(how, values)  # fmt: skip
    torch.save(content, path, _use_new_zipfile_serialization=how != "old numpy")
    if how in ("text", "zero"):
        path.write_text("features" if how == "text" else "")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    found = open_folder(folder)
    assert [(b.name, b.reason) for b in found.broken] == [("bad", reason)]


def test_of_two_files_of_a_slide_h5_wins(folder):
    torch.save(torch.zeros(9, 4), folder / "s0.pt")
    assert open_folder(folder).slides["s0"].n_tiles == 3


@pytest.mark.parametrize("second", ["deep/s0.h5", "s0/features.h5"])
def test_one_slide_in_two_folders_is_refused(folder, write_h5, bag, second):
    write_h5(folder / second, bag(3))
    with pytest.raises(
        InputError, match=r"has two files of the slide 's0', .*s0.* and .*; give the folder of one"
    ):
        open_folder(folder)


def test_files_must_agree(folder, write_h5, bag):
    write_h5(folder / "wide.h5", bag(3, dim=6))
    with pytest.raises(
        InputError,
        match=r"s0.h5 has 4 dimensions, but .*wide.h5 has 6; a folder holds the features",
    ):
        open_folder(folder)
    write_h5(folder / "wide.h5", bag(1)[0])
    with pytest.raises(
        InputError,
        match=r"s0.h5 holds tiles \(3 × 4\), but .*wide.h5 one vector of the whole slide",
    ):
        open_folder(folder)
    for name in ("s0", "wide"):
        write_h5(
            folder / f"{name}.h5", bag(3), on_features={"savetodir": "/x", "encoder": f"by {name}"}
        )
    with pytest.raises(
        InputError, match=r"s0.h5 is by the encoder 'by s0', but .*wide.h5 by 'by wide'"
    ):
        open_folder(folder)


def test_nothing_to_read(tmp_path, write_h5, bag):
    with pytest.raises(InputError, match="absent does not exist"):
        open_folder(tmp_path / "absent")
    with pytest.raises(
        InputError,
        match=r"holds no feature file \(.h5, .hdf5, .pt, .npy, .h5ad, .zarr, or eva's manifest.csv\)",
    ):
        open_folder(tmp_path)
    file = write_h5(tmp_path / "a.h5", bag(0))
    with pytest.raises(
        InputError, match=r"none of its 1 slides can be used; the first, .*a.h5: the bag is empty"
    ):
        open_folder(tmp_path)
    with pytest.raises(InputError, match=r"a.h5 is one file; give the folder"):
        open_folder(file)


def test_unknown_slides_and_files_that_vanish(folder):
    found = open_folder(folder)
    with pytest.raises(InputError, match="has no slide 'nobody'"):
        found.read("nobody")
    (folder / "s0.h5").unlink()
    with pytest.raises(InputError, match=r"s0.h5: it cannot be read"):
        found.read("s0")
    with pytest.raises(InputError, match=r"s0.h5: it cannot be read"):
        found.coords("s0")


@pytest.mark.parametrize(
    ("module", "extra", "suffix"), [("h5py", "formats", "h5"), ("torch", "torch", "pt")]
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, module, extra, suffix):
    (tmp_path / f"a.{suffix}").touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"not installed: pip install 'pathfuse\[{extra}\]'"):
        open_folder(tmp_path)


def test_the_fingerprint_follows_names_and_contents(folder, tmp_path):
    before = open_folder(folder).sha256()
    assert open_folder(folder, fingerprint=True).sha256() == before
    place = tmp_path / "moved"
    folder.rename(place)
    assert open_folder(place).sha256() == before
    os.utime(place / "s1.h5", ns=(1, 1))  # touched, but not changed
    assert open_folder(place).sha256() == before
    with h5py.File(place / "s1.h5", "r+") as file:  # changed, with its size and its old time
        file["features"][0, 0] += 1
    os.utime(place / "s1.h5", ns=(1, 1))
    changed = open_folder(place).sha256()
    assert changed != before
    (place / "s1.h5").rename(place / "s9.h5")
    renamed = open_folder(place).sha256()
    assert renamed not in (before, changed)
    (place / "s9.h5").unlink()
    assert open_folder(place).sha256() not in (before, changed, renamed)


def test_the_contents_are_read_once(folder, monkeypatch):
    read = []
    monkeypatch.setattr(
        "pathfuse.features.folder.file_digest", lambda path: read.append(path) or path.name
    )
    opened = OpenedFeatures(fingerprint=True)
    for _ in range(3):
        opened.folder(folder).sha256()
    assert sorted(read) == sorted(opened.folder(folder).store.files())


def test_links_and_hidden_files(folder, tmp_path, write_h5, bag):
    write_h5(folder / ".partial.h5", bag(3))
    (folder / "loop").symlink_to(folder)
    write_h5(tmp_path / "elsewhere/s9.h5", bag(3))
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert list(open_folder(folder).slides) == ["s0", "s1", "s2", "s9"]


def test_encoder_folders(folder, tmp_path, write_h5, bag):
    (tmp_path / "empty").mkdir()
    write_h5(tmp_path / "conch/h5_files/s0.h5", bag(3))
    assert encoder_folders(tmp_path) == [tmp_path / "conch", folder]
    assert encoder_folders(folder) == [folder]
    assert encoder_folders(tmp_path / "conch") == [tmp_path / "conch"]
    write_h5(tmp_path / "per_slide/s0/features.h5", bag(3))
    assert encoder_folders(tmp_path / "per_slide") == [tmp_path / "per_slide"]
    with pytest.raises(InputError, match="empty holds no feature file"):
        encoder_folders(tmp_path / "empty")
