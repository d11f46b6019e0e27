import pickle
from pathlib import Path

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.files.kinds import SUFFIXES, check_suffix, kind_of, stem_of, suffix_of


def test_names_and_their_suffixes():
    for suffix in SUFFIXES:
        assert suffix_of(Path(f"folder.csv/uni.v2{suffix.upper()}")) == suffix
        assert stem_of(Path(f"folder.csv/uni.v2{suffix.upper()}")) == "uni.v2"
    for name in ("uni", "uni.gz", "csv", ".csv", ".csv.gz", "uni.csv.zip", "resnet.50"):
        assert suffix_of(Path(name)) == ""
        assert stem_of(Path(name)) == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("split_0_results.pkl", "is a Python pickle, which can run any code when it is opened"),
        (
            "clini.xls",
            "is a spreadsheet of the old kind (.xls), which is not read; open it in Excel",
        ),
        ("clini.XLSM", "is a spreadsheet with macros, which is not read; open it in Excel"),
        ("clini.ods", "is an OpenDocument spreadsheet, which is not read; open it in Excel"),
        (
            "clini.docx",
            "is not a table: .csv, .tsv or .txt (each also with .gz), .parquet or .xlsx",
        ),
    ],
)
def test_what_is_refused_by_its_name(name, sentence):
    with pytest.raises(InputError) as caught:
        check_suffix(Path(name))
    assert str(caught.value).startswith(f"{name} {sentence}")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (pickle.dumps({"a": np.ones(2)}), "is a Python pickle, which can run any code"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a spreadsheet of the old kind (.xls) or has a password"),
        (b"\x89HDF\r\n", "is an HDF5 file, not a table"),
        (b"\x93NUMPY\x01", "is an array of NumPy (.npy), not a table"),
        (b"%PDF-1.7", "is a PDF, not a table"),
        (b"ARROW1\0\0", "is an Arrow (Feather) file, which is not read; save it as Parquet or CSV"),
        (b"BZh91", "is a compressed file, not a table"),
        (b"\n<!DOCTYPE html>", "is a web page, not a table"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    ],
)
def test_what_is_refused_by_its_first_bytes(raw, sentence):
    with pytest.raises(InputError) as caught:
        kind_of("t.csv", raw)
    assert str(caught.value).startswith(f"t.csv {sentence}")


def test_what_is_read():
    assert [kind_of("t", raw) for raw in (b"PAR1", b"PK\3\4", b"\x1f\x8b", b"sample_id")] == [
        "parquet", "zip", "gzip", "text"
    ]  # fmt: skip
