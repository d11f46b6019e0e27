"""HDF5 that leads to other files, or claims far more than it holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from pathfuse.dense.data.converters.cocahis import convert
from pathfuse.errors import InputError
from pathfuse.features.folder import open_folder
from pathfuse.files import hdf5
from pathfuse.files.hdf5 import Hdf5Error, check_claim, check_reach
from pathfuse.study.importers.logitprod_files import Log
from pathfuse.study.importers.logitprod_ids import _read_h5

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def plain(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = VALUES
    return path


def link(file: h5py.File, other: Path | str) -> None:
    file["features"] = h5py.ExternalLink(other, "/features")


def link_by_group(file: h5py.File, other: Path | str) -> None:
    """Behind a soft link, which looks harmless."""
    file["other"] = h5py.ExternalLink(other, "/")
    file["features"] = h5py.SoftLink("/other/features")


def virtual(file: h5py.File, other: Path | str) -> None:
    layout = h5py.VirtualLayout(VALUES.shape, VALUES.dtype)
    layout[:] = h5py.VirtualSource(other, "features", VALUES.shape)
    file.create_virtual_dataset("features", layout)


def raw(file: h5py.File, other: Path | str) -> None:
    file.create_dataset("features", (3, 4), "f4", external=[(str(other), 0, 48)])


WAYS: dict[str, Callable[[h5py.File, Path | str], None]] = {
    "link": link,
    "link by a group": link_by_group,
    "virtual": virtual,
    "raw": raw,
}


def leading(folder: Path, way: str, other: Path | str) -> Path:
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "s1.h5", "w") as file:
        WAYS[way](file, other)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_files_elsewhere_are_not_read(tmp_path, way):
    other = plain(tmp_path / "elsewhere" / "s1.h5")
    folder = leading(tmp_path / "uni", way, other)
    with pytest.raises(InputError, match=r"to another file|in another file") as error:
        open_folder(folder)
    assert str(other) in str(error.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", ["/etc/passwd", "../elsewhere/s1.h5", "absent.h5", "/dev/zero"])
def test_system_files_climbing_and_absent_ones(tmp_path, way, other):
    plain(tmp_path / "elsewhere" / "s1.h5")
    with pytest.raises(InputError, match=r"to another file|in another file"):
        open_folder(leading(tmp_path / "uni", way, other))


@pytest.mark.parametrize("way", ["link", "link by a group", "virtual"])
def test_files_of_the_same_folder_are_read(tmp_path, way):
    plain(tmp_path / "uni" / "parts" / "p1.hdf5")
    folder = leading(tmp_path / "uni", way, "parts/p1.hdf5")
    found = open_folder(folder, only=["s1"])
    np.testing.assert_array_equal(found.read("s1"), VALUES)


def test_a_link_out_of_the_folder_is_not_inside_it(tmp_path):
    plain(tmp_path / "elsewhere" / "s1.h5")
    folder = leading(tmp_path / "uni", "link", "beside.hdf5")
    (folder / "beside.hdf5").symlink_to(tmp_path / "elsewhere" / "s1.h5")
    with pytest.raises(InputError, match="does not lie in its folder"):
        open_folder(folder, only=["s1"])


@pytest.mark.parametrize("way", ["link", "virtual"])
@pytest.mark.parametrize("then", WAYS)
def test_the_file_that_is_led_to_may_not_lead_elsewhere(tmp_path, way, then):
    folder = leading(tmp_path / "uni", then, plain(tmp_path / "elsewhere" / "s1.h5"))
    (folder / "s1.h5").rename(folder / "next.hdf5")
    leading(folder, way, "next.hdf5")
    with pytest.raises(InputError, match=r"to another file|in another file"):
        open_folder(folder, only=["s1"])


def test_files_that_lead_to_each_other_end(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        with h5py.File(tmp_path / f"{one}.h5", "w") as file:
            file["features"] = VALUES
            file["other"] = h5py.ExternalLink(f"{other}.h5", "/")
    assert list(open_folder(tmp_path, strict=True).slides) == ["a", "b"]


def test_links_inside_the_file_are_read(tmp_path):
    with h5py.File(plain(tmp_path / "s1.h5"), "r+") as file:
        file.move("features", "inner/numbers")
        file["features"] = h5py.SoftLink("/inner/numbers")
        file["again"] = file["inner"]  # a circle of groups
        file["inner/up"] = h5py.SoftLink("/")
    np.testing.assert_array_equal(open_folder(tmp_path, strict=True).read("s1"), VALUES)


def test_too_many_objects(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MOST_LINKS", 3)
    with h5py.File(plain(tmp_path / "s1.h5"), "r+") as file:
        file["a"], file["b"] = 1, 2
        check_reach(file, tmp_path / "s1.h5")
        file["c"] = 3
        with pytest.raises(Hdf5Error, match="more than 3 objects"):
            check_reach(file, tmp_path / "s1.h5")


BOMBS: dict[str, dict[str, Any]] = {
    "never written": {"chunks": (1000, 512)},
    "zeros, packed": {"chunks": (100_000, 512), "compression": "gzip"},
    "one block": {"chunks": None},
    "one chunk larger than the array": {"chunks": (100_000, 512), "maxshape": (None, 512)},
}


@pytest.mark.parametrize("case", BOMBS)
@pytest.mark.parametrize("suffix", [".h5", ".h5ad"])
def test_a_dataset_that_claims_far_more_than_it_holds(tmp_path, case, suffix):
    shape = (3, 512) if "maxshape" in BOMBS[case] else (100_000, 512)
    with h5py.File(tmp_path / f"s1{suffix}", "w") as file:
        name = "X" if suffix == ".h5ad" else "features"
        item = file.create_dataset(name, shape, "f4", **BOMBS[case])
        if "packed" in case:
            item[...] = 0
    with pytest.raises(InputError, match=r"unpack to 195 MB, of which [\d,]+ bytes are stored"):
        open_folder(tmp_path)


def test_claims_of_zarr_and_of_coords(tmp_path):
    group = zarr.open_group(str(tmp_path / "zarr" / "s1.zarr"), mode="w")
    group.create_array("X", shape=(100_000, 512), dtype="f4", chunks=(1000, 512))
    with pytest.raises(InputError, match=r"its features have the shape .* unpack to 195 MB"):
        open_folder(tmp_path / "zarr")
    with h5py.File(plain(tmp_path / "h5" / "s1.h5"), "r+") as file:
        file.create_dataset("coords", (3, 10**8), "i8", chunks=(3, 10**5))
    with pytest.raises(InputError, match="its coords have the shape"):
        open_folder(tmp_path / "h5")


def test_a_virtual_dataset_counts_what_is_stored_behind_it(tmp_path):
    plain(tmp_path / "part.hdf5")
    layout = h5py.VirtualLayout((10**6, 100), "f4")
    layout[:3, :4] = h5py.VirtualSource("part.hdf5", "features", VALUES.shape)
    with h5py.File(tmp_path / "s1.h5", "w") as file:
        file.create_virtual_dataset("features", layout)
        with pytest.raises(Hdf5Error, match="unpack to 381 MB, of which"):
            check_claim(file["features"], "features")


def test_small_zeros_are_read(tmp_path):
    with h5py.File(tmp_path / "s1.h5", "w") as file:
        file.create_dataset("features", (1000, 1000), "f4", compression="gzip")
    assert open_folder(tmp_path, strict=True).slides["s1"].n_tiles == 1000


def test_others_who_read_hdf5(tmp_path):
    other = plain(tmp_path / "elsewhere" / "a.h5")
    file = tmp_path / "source" / "ids.h5"
    file.parent.mkdir()
    with h5py.File(file, "w") as content:
        content["slide_ids"] = h5py.ExternalLink(other, "/features")
    with pytest.raises(InputError, match=r"ids.h5: it has a link to another file"):
        _read_h5(file, Log())
    with pytest.raises(InputError, match=r"ids.h5 cannot be read: it has a link"):
        convert(file.parent, tmp_path / "out")
