import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.table import Table, id_column, number_column, text_column


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


def test_an_identifier_has_one_spelling():
    with pytest.raises(
        InputError, match=r"t.csv, column 'sample_id': 'P1' and 'p1' are two spellings of one name"
    ):
        id_column(Table("t.csv", pl.DataFrame({"sample_id": ["P1", "p1"]})))
