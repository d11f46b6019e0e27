import hashlib

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import (
    Table,
    id_column,
    number_column,
    read_table,
    table_in_memory,
    text_column,
)


def csv(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_cells_of_a_csv_stay_as_they_stand(tmp_path):
    table = read_table(csv(tmp_path, "sample_id,n\n007,1.50\n1e3,\nTrue,NA\n"))
    assert text_column(table, "sample_id") == ["007", "1e3", "True"]
    assert text_column(table, "n") == ["1.50", None, None]


def test_quotes_commas_blanks_and_umlauts(tmp_path):
    table = read_table(csv(tmp_path, 'sample_id,"a, b","say ""x"""\n"s,1", ü ,2\n'))
    assert table.frame.columns == ["sample_id", "a, b", 'say "x"']
    assert table.frame.row(0) == ("s,1", "ü", "2")
    assert read_table(csv(tmp_path, 'sample_id,"a\nb"\n"x\ny",1\n')).frame.to_dicts() == [
        {"sample_id": "x\ny", "a\nb": "1"}
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "{}", "{}{}"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_endings_byte_order_mark_and_blank_lines_at_the_end(tmp_path, ending, end, mark):
    text = mark + ending.join(["sample_id,n", "a,1", "b,2"]) + end.format(ending, ending)
    frame = read_table(csv(tmp_path, text)).frame
    assert frame.to_dict(as_series=False) == {"sample_id": ["a", "b"], "n": ["1", "2"]}


def test_an_empty_last_cell_is_no_cut(tmp_path):
    assert read_table(csv(tmp_path, "sample_id,n,m\na,1,2\nb,,")).frame.row(1) == ("b", None, None)


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


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n", "has no header line"),
        (b"sample_id,n\n", "has no row"),
        (b"sample_id,n", "has no row"),
        (b"sample_id,n,n\na,1,2\n", "has two columns named 'n'"),
        (
            b"sample_id,n\na,1\nb",
            "is cut off: its last line 'b' has fewer values than the header has columns",
        ),
        (b'sample_id,n\na,"1', "is cut off inside a quoted value"),
        (b"sample_id,n\na,1,2,3\n", "is not a regular CSV table: "),
        (b"sample_id" * 20_000 + b"\na\n", "is not a regular CSV table: "),
        (
            "sample_id,n\na,1\nb,ü\n".encode("latin-1"),
            "line 3: the text is not UTF-8; save the file as UTF-8 CSV",
        ),
        ("sample_id,n\na,1\n".encode("utf-16"), "is UTF-16 text, not CSV"),
    ],
)
def test_a_broken_csv_in_one_sentence(tmp_path, content, what):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_parquet(tmp_path, keep):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"sample_id": [str(i) for i in range(100)]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError, match=r"table.parquet is not a complete Parquet file"):
        read_table(path)


def test_a_csv_under_the_name_of_a_parquet(tmp_path):
    with pytest.raises(InputError, match=r"table.parquet is not a complete Parquet file"):
        read_table(csv(tmp_path, "sample_id\na\n", "table.parquet"))


def test_no_file_another_format_or_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"none.csv cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"table.xlsx is neither .csv nor .parquet"):
        read_table(csv(tmp_path, "x", "table.xlsx"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder.csv cannot be read: Is a directory"):
        read_table(tmp_path / "folder.csv")


def test_frames_of_pandas_and_polars_are_the_same_table():
    columns = {"sample_id": ["a", "b"], "x": [1.5, None]}
    tables = [table_in_memory("samples", kind(columns)) for kind in (pd.DataFrame, pl.DataFrame)]
    assert tables[0].frame.equals(tables[1].frame)
    assert tables[0].source == "samples"
    assert tables[0].sha256 is None


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        ({"a": [1]}, "samples is not a pandas or polars data frame but dict"),
        (None, "samples is not a pandas or polars data frame but NoneType"),
        (pl.DataFrame({"a": []}), "samples has no row"),
        (pd.DataFrame({"a": [1, "x"]}), "samples is not a regular data frame: "),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "samples is not a regular data frame: "),
    ],
)
def test_what_is_no_usable_frame(frame, what):
    with pytest.raises(InputError) as caught:
        table_in_memory("samples", frame)
    assert what in str(caught.value)


def test_a_missing_column_is_named_beside_those_that_are_there():
    with pytest.raises(InputError, match="t has no column 'split'; its columns are sample_id, x"):
        text_column(Table("t", pl.DataFrame({"sample_id": ["a"], "x": [1]})), "split")


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pl.Series([7, 8]), ["7", "8"]),
        (pl.Series(["007", ""]), ["007", None]),
        (pl.Series(["a", None], dtype=pl.Categorical), ["a", None]),
        (pl.Series([b"a", b"b"]), ["a", "b"]),
        (pl.Series([True, False]), ["true", "false"]),
    ],
)
def test_columns_as_text(series, expected):
    assert text_column(Table("t", pl.DataFrame({"c": series})), "c") == expected


@pytest.mark.parametrize(
    "series", [pl.Series([["a"]]), pl.Series([{"a": 1}]), pl.Series([b"\xff\xfe"])]
)
def test_lists_and_the_like_are_no_text(series):
    with pytest.raises(InputError, match=r"t, column 'c': .* is not text"):
        text_column(Table("t", pl.DataFrame({"c": series})), "c")


def test_identifiers_are_unique_and_never_empty():
    def ids(*values):
        return Table("t.csv", pl.DataFrame({"sample_id": values}, schema={"sample_id": pl.String}))

    assert id_column(ids("b", "a")) == ["b", "a"]
    with pytest.raises(InputError, match=r"t.csv, column 'sample_id': 'a' occurs twice"):
        id_column(ids("a", "b", "a"))
    assert id_column(ids("a", "b", "a"), unique=False) == ["a", "b", "a"]
    with pytest.raises(InputError, match=r"t.csv, column 'sample_id': row 2 is empty"):
        id_column(ids("a", None))
    with pytest.raises(InputError, match=r"t.csv has no column 'sample_id'"):
        id_column(Table("t.csv", pl.DataFrame({"id": ["a"]})))


@pytest.mark.parametrize(
    "values", [["1", "-2.5e3", None], [1, -2500, None], [1.0, -2500.0, float("nan")]]
)
def test_numbers(values):
    numbers = number_column(Table("t", pl.DataFrame({"x": values})), "x", ["a", "b", "c"])
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(numbers, [1, -2500, np.nan])


@pytest.mark.parametrize("value", ["high", "0,5", "NA", "1.2.3"])
def test_text_in_a_number_column_is_quoted_with_its_sample(value):
    table = Table("t.csv", pl.DataFrame({"x": ["1", value]}))
    with pytest.raises(
        InputError, match=f"t.csv, column 'x', sample 's1': '{value}' is not a number"
    ):
        number_column(table, "x", ["s0", "s1"])


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([[1.0]]),
        pl.Series(["2026-01-01"]).str.to_date(),
        pl.Series(["2"], dtype=pl.Categorical),
    ],
)
def test_dates_and_lists_are_no_numbers(series):
    with pytest.raises(InputError, match=r"t, column 'x': .* is not a number"):
        number_column(Table("t", pl.DataFrame({"x": series})), "x", ["a"])


BLANK = "\u00a0"


def test_blanks_around_text_and_names_of_columns_are_stripped_and_counted(tmp_path):
    text = f" sample_id,n ,free\n a,1 ,x y\n{BLANK}b\u3000,2,{BLANK}\n\u200bc\t,3,z\n"
    table = read_table(csv(tmp_path, text))
    assert table.frame.to_dict(as_series=False) == {
        "sample_id": ["a", "b", "c"], "n": ["1", "2", "3"], "free": ["x y", None, "z"]
    }  # fmt: skip
    assert table.blanks == {"": 2, "sample_id": 3, "n": 1, "free": 1}
    place = str(tmp_path / "table.csv")
    assert table.counted_blanks()[f"{place}, column 'sample_id'"] == 3
    assert table.counted_blanks()[f"{place}, names of columns"] == 2
    assert read_table(csv(tmp_path, "sample_id,n\na b,1\n")).counted_blanks() == {}


def test_blanks_are_stripped_from_parquet_and_frames_alike(tmp_path):
    frame = pl.DataFrame(
        {
            "sample_id": ["a ", "b"],
            "site": pl.Series([" x", "x"], dtype=pl.Categorical),
            "x": [1, 2],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    for table in (
        read_table(tmp_path / "t.parquet"),
        table_in_memory("t", frame),
        table_in_memory("t", frame.to_pandas(use_pyarrow_extension_array=False)),
    ):
        assert table.frame["sample_id"].to_list() == ["a", "b"]
        assert text_column(table, "site") == ["x", "x"]
        assert table.blanks == {"sample_id": 1, "site": 1}


def test_what_becomes_equal_without_blanks_is_said(tmp_path):
    with pytest.raises(
        InputError, match=r"'a' occurs twice \(blanks were stripped from 1 of its values\)"
    ):
        id_column(read_table(csv(tmp_path, "sample_id\na\na \n")))
    with pytest.raises(
        InputError, match="has two columns named 'n', but for blanks around the name"
    ):
        read_table(csv(tmp_path, "sample_id,n,n \na,1,2\n"))


def test_an_identifier_has_one_spelling():
    with pytest.raises(
        InputError, match=r"t.csv, column 'sample_id': 'P1' and 'p1' are two spellings of one name"
    ):
        id_column(Table("t.csv", pl.DataFrame({"sample_id": ["P1", "p1"]})))
