import gzip
import hashlib
import io

import numpy as np
import openpyxl
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import (
    SUFFIXES,
    column_names,
    id_column,
    number_column,
    read_table,
    tables_in,
)


def csv(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_the_suffix_may_be_in_capitals(tmp_path):
    assert read_table(csv(tmp_path, "sample_id\na\n", "TABLE.CSV")).frame.height == 1


def test_parquet_is_read_with_its_types_and_the_hash_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"sample_id": [1, 20], "x": [0.5, None]}).write_parquet(path)
    table = read_table(path)
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.source == str(path)
    assert id_column(table) == ["1", "20"]
    np.testing.assert_array_equal(number_column(table, "x", ["1", "20"]), [0.5, np.nan])


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_parquet(tmp_path, keep):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"sample_id": [str(i) for i in range(100)]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError, match=r"table.parquet is not a complete Parquet file"):
        read_table(path)


def test_names_that_do_not_tell_what_is_inside(tmp_path):
    text, frame = b"sample_id,n\na,1\n", pl.DataFrame({"sample_id": ["a"], "n": ["1"]})
    binary, book = io.BytesIO(), io.BytesIO()
    frame.write_parquet(binary)
    workbook = openpyxl.Workbook()
    for row in (frame.columns, *frame.rows()):
        workbook.active.append(row)
    workbook.save(book)
    for name, raw, note in [
        ("a.parquet", text, "text, in spite of its name"),
        ("a.xlsx", text, "text, in spite of its name"),
        ("a.csv", binary.getvalue(), "a Parquet file, in spite of its name"),
        ("a.csv", book.getvalue(), "a spreadsheet (.xlsx), in spite of its name"),
        ("a.csv", gzip.compress(text), "compressed with gzip, in spite of its name"),
        ("a.tsv.gz", text.replace(b",", b"\t"), "not compressed, in spite of its name"),
        ("a.csv.gz", gzip.compress(binary.getvalue()), "a Parquet file, in spite of its name"),
    ]:
        path = tmp_path / name
        path.write_bytes(raw)
        table = read_table(path)
        assert table.frame.equals(frame)
        assert table.notes == (f"{path}: {note}",)
        assert column_names(path) == frame.columns


def test_no_file_another_format_or_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"none.csv cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder.csv cannot be read: Is a directory"):
        read_table(tmp_path / "folder.csv")
    for name in ("table.docx", "csv", ".csv", "table"):
        with pytest.raises(InputError, match=r"is not a table: .csv, .tsv or .txt"):
            read_table(csv(tmp_path, "x", name))


@pytest.mark.parametrize(
    ("name", "raw", "sentence"),
    [
        ("t.csv.gz", gzip.compress(b"sample_id\na\n")[:-9], "is not a complete gzip file"),
        ("t.csv.gz", gzip.compress(b""), "has no header line"),
        ("t.parquet", b"\0\1\2", "is not a complete Parquet file, and not a table of text"),
        ("t.xlsx", b"\0\1\2", "is not a complete spreadsheet (.xlsx), and not a table of text"),
    ],
)
def test_what_is_cut_off_or_damaged(tmp_path, name, raw, sentence):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert sentence in str(caught.value)
    assert column_names(path) == []


def test_tables_of_a_folder(tmp_path):
    for name in ("b.csv", "a.TSV", "c.txt", "d.csv.gz", ".hidden.csv", "~$e.xlsx", "f.png", "g.h5"):
        csv(tmp_path, "sample_id\tn\na\t1\n", name)
    csv(tmp_path, "Predictions of UNI, of 2024.\nMade by hand.\n", "README.txt")
    csv(tmp_path, "0,12,24,inf\n", "edges.txt")
    (tmp_path / "empty.txt").write_bytes(b"")
    assert [path.name for path in tables_in(tmp_path)] == ["a.TSV", "b.csv", "c.txt", "d.csv.gz"]


def test_names_of_columns_of_a_long_file(tmp_path):
    names = [f"prob_{k}" for k in range(20_000)]
    row = ",".join("1" for _ in names)
    text = ",".join(names) + "\n" + "\n".join([row] * 40) + "\nü\n"
    for codec in ("utf-8", "utf-16", "utf-16-be", "cp1252"):
        assert column_names(csv(tmp_path, text, encoding=codec)) == names


# One study, written in every way.

ROWS = [
    ("sample_id", "label", "prob_ja", "größe"),
    ("007", "ja", "0.25", "1.5"),
    ("S1.2", "nein, spät", "1e-07", "-2.0"),
    ("Ö-3", "NA", "", "0.333333333333333"),
]
PLAIN = pl.DataFrame(ROWS[1:], schema=list(ROWS[0]), orient="row").with_columns(
    label=pl.Series(["ja", "nein, spät", None]), prob_ja=pl.Series(["0.25", "1e-07", None])
)


def written(separator, comma):
    lines = []
    for k, row in enumerate(ROWS):
        cells = [c.replace(".", ",") if comma and k and j > 1 else c for j, c in enumerate(row)]
        lines.append(separator.join(f'"{c}"' if separator in c else c for c in cells))
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s not in (".parquet", ".xlsx")])
def test_one_study_in_every_encoding_separator_and_suffix_is_one_frame(tmp_path, encoding, suffix):
    for separator, comma in ((",", False), (";", False), (";", True), ("\t", False), ("\t", True)):
        raw = written(separator, comma).encode(encoding)
        path = tmp_path / f"table{suffix}"
        path.write_bytes(gzip.compress(raw) if suffix.endswith(".gz") else raw)
        table = read_table(path)
        assert table.frame.equals(PLAIN)
        assert table.missing == {"label": 1}
        assert column_names(path) == PLAIN.columns
        (how,) = table.notes or ("",)
        assert ("UTF-16" in how, "Windows-1252" in how) == (
            encoding == "utf-16",
            encoding == "cp1252",
        )
        assert ("semicolons" in how) == (separator == ";")
        assert ("decimal commas" in how) == comma


def test_the_same_study_as_parquet_and_spreadsheet(tmp_path):
    PLAIN.write_parquet(tmp_path / "table.parquet")
    workbook = openpyxl.Workbook()
    for row in ROWS:
        numbers = {"0.25": 0.25, "0.333333333333333": 0.333333333333333}
        workbook.active.append([numbers.get(cell, cell) for cell in row])
    workbook.save(tmp_path / "table.xlsx")
    for name in ("table.parquet", "table.xlsx"):
        table = read_table(tmp_path / name)
        assert table.frame.equals(PLAIN)
        assert table.notes == ()
        assert column_names(tmp_path / name) == PLAIN.columns
