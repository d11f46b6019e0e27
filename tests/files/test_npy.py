"""What an array claims to be, against the bytes that are there."""

import io
import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathfuse.dense.data.converters.npy import convert_conic
from pathfuse.dense.data.score_file import ScoreFile
from pathfuse.dense.evaluation.instance_maps import read_instance_map
from pathfuse.errors import InputError
from pathfuse.features.folder import open_folder
from pathfuse.files.npy import MAGIC, NpyError, npy_header, npz_headers
from pathfuse.study.importers.logitprod_files import Log, read_array


def npy(shape: str, kind: str = "'<f4'", n_bytes: int = 0, *, by_columns: bool = False) -> bytes:
    """A file that says what it likes."""
    text = f"{{'descr': {kind}, 'fortran_order': {by_columns}, 'shape': {shape}, }}".encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text + bytes(n_bytes)


WRONG = {
    "absurd": (npy("(1000000000000, 1024)"), "its header names 1,000,000,000,000 x 1,024 numbers"),
    "beyond any computer": (npy(f"({10**30}, {10**30})"), "bytes, but 0 follow"),
    "negative": (npy("(-3, 4)", n_bytes=48), "the shape -3 x 4, which no array has"),
    "twice negative": (npy("(-3, -4)", n_bytes=48), "the shape -3 x -4, which no array has"),
    "many axes": (npy("(" + "1," * 40 + ")", n_bytes=4), "which no array has"),
    "no numbers": (npy("('a', 4)"), "cannot be understood|Cannot parse|shape is not valid"),
    "cut off": (npy("(3, 4)", n_bytes=47), "48 bytes, but 47 follow"),
    "longer": (npy("(3, 4)", n_bytes=49), "48 bytes, but 49 follow"),
    "objects": (npy("(3, 4)", "'|O'", 96), "needs pickle"),
    "objects inside": (npy("(3,)", "[('a', '|O')]", 24), "needs pickle"),
    "a pickle": (b"\x80\x04N.      ", "needs pickle"),
    "another version": (MAGIC + b"\x09\x00" + bytes(80), "is not a NumPy file"),
    "a long header": (MAGIC + b"\x02\x00" + struct.pack("<I", 2**31), "header has 2,147,483,648"),
    "cut in its length": (MAGIC + b"\x01\x00\x05", "cut off in its header"),
    "cut in its header": (npy("(3, 4)")[:40], "cannot be understood|EOF"),
    "nested": (npy("(" * 300 + ")" * 300), "cannot be understood|Cannot parse"),
    "unhashable": (MAGIC + b"\x01\x00\x08\x00{[]: 1}\n", "cannot be understood|Cannot parse"),
    "empty": (b"", "is not a NumPy file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_headers(case):
    raw, complaint = WRONG[case]
    with pytest.raises(ValueError, match=complaint):
        npy_header(io.BytesIO(raw), len(raw))


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", "CF")
def test_right_headers(version, order):
    values = np.asarray(np.ones((3, 4), dtype=">f8"), order=order)
    file = io.BytesIO()
    np.lib.format.write_array(file, values, version=version)
    file.seek(0)
    header = npy_header(file, len(file.getvalue()))
    assert (header.shape, header.dtype, header.n_bytes) == ((3, 4), values.dtype, 96)
    assert header.by_columns == (order == "F")
    assert file.tell() == len(file.getvalue()) - 96  # where the numbers begin


def test_a_header_of_python_2_gives_no_warning():
    raw = npy("(3L, 4L)", n_bytes=48)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert npy_header(io.BytesIO(raw), len(raw)).shape == (3, 4)


def test_archives(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.ones((2, 3)), two=np.ones(4, dtype="i2"))
    found = npz_headers(tmp_path / "a.npz")
    assert {name: one.shape for name, one in found.items()} == {"one": (2, 3), "two": (4,)}


def features(path: Path) -> None:
    open_folder(path.parent, strict=True)


def conic(path: Path) -> None:
    np.save(path.parent / "labels.npy", np.zeros((1, 2, 2, 2)))
    convert_conic(path.rename(path.parent / "images.npy").parent, path.parent / "out")


READERS: dict[str, Callable[[Path], Any]] = {
    "features": features,
    "logits": lambda path: ScoreFile(path, 2),
    "instances": lambda path: read_instance_map(path, 2),
    "logits of LogitProd": lambda path: read_array(path, Log()),
    "images of CoNIC": conic,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", [case for case in WRONG if case != "empty"])
def test_whoever_reads_an_array_says_what_is_wrong(tmp_path, reader, case):
    path = tmp_path / "in" / "a.npy"
    path.parent.mkdir()
    path.write_bytes(WRONG[case][0])
    with pytest.raises(InputError, match=r"(a|images)\.npy"):
        READERS[reader](path)


def test_instances_larger_than_any_image(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(npy("(40000, 40000)", "'<u2'"))
    os.truncate(path, path.stat().st_size + 2 * 40_000**2)  # which takes no room
    with pytest.raises(InputError, match="have 1,600,000,000 numbers; at most 500 million"):
        read_instance_map(path, 2)


def test_the_error_is_half_a_sentence():
    with pytest.raises(
        NpyError, match=r"^its header names 3 x 4 numbers of float32, 48 bytes, but 0 follow$"
    ):
        npy_header(io.BytesIO(npy("(3, 4)")), len(npy("(3, 4)")))
