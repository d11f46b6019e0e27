"""What no table could be is refused before its cells are read: by its size, its first line, its footer."""

import gzip
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.features.folder import open_folder
from pathfuse.files import table_sizes
from pathfuse.files.table_sizes import LONGEST_LINE, MOST_TEXT_BYTES
from pathfuse.files.tables import column_names, read_table
from pathfuse.scale.parquet_files import column_types
from pathfuse.study.predictions import gather

NAMES = ["sample_id", *(f"c{i}" for i in range(69_999))]


def wide(folder: Path, suffix: str) -> Path:
    """A table of 70,000 columns."""
    path = folder / f"wide{suffix}"
    if suffix == ".parquet":
        pl.DataFrame([pl.Series(name, [1.0]) for name in NAMES]).write_parquet(path)
        return path
    text = "\n".join([",".join(NAMES), ",".join(["1"] * len(NAMES)), ""]).encode()
    path.write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
    return path


def workbook(path: Path, last: str) -> Path:
    """With cells A1, A2 and one more."""
    from openpyxl import Workbook

    book = Workbook()
    book.active["A1"], book.active["A2"], book.active[last] = "sample_id", "s1", "x"
    book.save(path)
    return path


@pytest.fixture(scope="module")
def parquet(tmp_path_factory) -> Path:
    """Which takes a second to write."""
    return wide(tmp_path_factory.mktemp("wide"), ".parquet")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".txt", ".parquet"])
@pytest.mark.parametrize("read", [read_table, gather, open_folder])
def test_columns_are_counted_before_cells_are_read(tmp_path, parquet, suffix, read):
    path = parquet if suffix == ".parquet" else wide(tmp_path, suffix)
    with pytest.raises(InputError, match="has 70,000 columns; at most 60,000 are read"):
        read(path)


def test_columns_of_what_is_read_in_blocks(parquet):
    with pytest.raises(InputError, match="has 70,000 columns"):
        column_types(parquet)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_the_widest_table_is_read(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"t{suffix}"
    if suffix == ".xlsx":
        workbook(path, "C1")
    else:
        frame = pl.DataFrame({"sample_id": ["s1"], "a": [1], "b": [2]})
        frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    monkeypatch.setattr(table_sizes, "MOST_COLUMNS", 3)
    assert read_table(path).frame.height == 1
    monkeypatch.setattr(table_sizes, "MOST_COLUMNS", 1)
    with pytest.raises(InputError, match=r"has [23] columns; at most 1 are read"):
        read_table(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_first_line_without_end(tmp_path, packed):
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    text = b"a" * LONGEST_LINE
    path.write_bytes(gzip.compress(text, 1) if packed else text)
    with pytest.raises(InputError, match="no line break in its first 16 MB"):
        read_table(path)
    assert column_names(path) == []


@pytest.mark.parametrize(("name", "beginning"), [("t.csv", b"a,b\n"), ("t.xlsx", b"PK\x03\x04")])
def test_a_file_that_claims_to_be_huge(tmp_path, name, beginning):
    path = tmp_path / name
    path.write_bytes(beginning)
    os.truncate(path, 5 * 2**30)  # which takes no room
    with pytest.raises(InputError, match=r"has 5.0 GB; at most 1 GB are read as one table"):
        read_table(path)


def test_the_limit_of_parquet_is_another(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1")
    os.truncate(path, 5 * 2**30)
    with pytest.raises(InputError, match=r"has 5.0 GB; at most 4 GB"):
        read_table(path)


def test_a_column_of_one_value_takes_no_room_in_a_file(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"sample_id": pl.zeros(100_000, eager=True), "a": 0.5}).write_parquet(path)
    assert read_table(path).frame.shape == (100_000, 2)
    monkeypatch.setattr(table_sizes, "MOST_CELLS", 199_999)
    with pytest.raises(InputError, match="has 100,000 rows of 2 columns; at most"):
        read_table(path)


def test_what_unpacks_to_too_much(tmp_path, monkeypatch):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000))
    assert read_table(path).frame.height == 1000
    monkeypatch.setattr(table_sizes, "MOST_TEXT_BYTES", 4000)
    with pytest.raises(InputError, match=r"t.csv.gz unpacks to more than"):
        read_table(path)


def test_what_is_packed_twice(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(gzip.compress(b"a,b\n1,2\n")))
    with pytest.raises(InputError, match="is compressed twice"):
        read_table(path)


def test_one_cell_far_away(tmp_path):
    with pytest.raises(
        InputError, match=r"last cell in use is in row 1,048,576 and column 16,384; at most 20 mil"
    ):
        read_table(workbook(tmp_path / "t.xlsx", "XFD1048576"))
    assert read_table(workbook(tmp_path / "near.xlsx", "B1")).frame.columns == ["sample_id", "x"]


def test_a_workbook_that_unpacks_to_too_much(tmp_path):
    path = workbook(tmp_path / "t.xlsx", "B1")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b"<worksheet/>")
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02")  # of the last file
    raw[at + 24 : at + 28] = (MOST_TEXT_BYTES + 1).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"unpacked, has 1.0 GB; at most 1 GB"):
        read_table(path)


def test_a_long_line_after_the_first(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,2\n3," + b"x" * 2 * LONGEST_LINE + b"\n5,6\n")
    with pytest.raises(InputError, match=r"has a line of more than 16 MB, around byte 16,777,216"):
        read_table(path)
    lines = b"a,b\n" + (b"x" * 999 + b",2\n") * 40_000  # of 40 MB together
    path.write_bytes(lines)
    assert read_table(path).frame.height == 40_000
    path.write_bytes(lines.replace(b"\n", b"\r"))
    assert read_table(path).frame.height == 40_000


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_a_text_that_stands_in_every_row(tmp_path, dtype, monkeypatch):
    """Of which a Parquet file keeps one."""
    path = tmp_path / "t.parquet"
    text = pl.Series("a", ["x" * 10**6]).new_from_index(0, 5000).cast(dtype)
    pl.DataFrame({"sample_id": [f"s{i}" for i in range(5000)], "a": text}).write_parquet(path)
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match=r"unpacked, has 4.7 GB; at most 1 GB"):
        read_table(path)
    monkeypatch.setattr(table_sizes, "LONGEST_CELL", 10**6 - 1)
    with pytest.raises(InputError, match=r"column 'a': row 1 has a text of 1.0 MB; at most 1 MB"):
        read_table(path)


def test_a_list_of_one_value_takes_no_room_in_a_file(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"sample_id": ["s1"], "a": [[0.5] * 100_000]}).write_parquet(path)
    assert read_table(path).frame.shape == (1, 2)
    monkeypatch.setattr(table_sizes, "MOST_CELLS", 100_000)
    with pytest.raises(InputError, match="has 100,001 values in lists; at most"):
        read_table(path)
