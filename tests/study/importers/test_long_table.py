"""The generic long table, and the checks that all readers of scores share."""

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import read_table
from pathfuse.study.importers.long_table import read, recognises

HEADER = "study,method,metric,value,ci_low,ci_high,cohort\n"


def board(folder, text, name="scores.csv"):
    (folder / name).write_text(text)
    return read(read_table(folder / name))


def test_reads_values_limits_and_cohorts(tmp_path):
    found = board(
        tmp_path,
        HEADER + "007,uni,auroc,0.9,0.8,0.95,A\n007,conch,auroc,0.7,,,A\n8,uni,auroc,1,,,\n",
    )
    assert found.scores.rows() == [
        ("007", "A", "uni", "auroc", 0.9, 0.8, 0.95),
        ("007", "A", "conch", "auroc", 0.7, None, None),
        ("8", "8", "uni", "auroc", 1.0, None, None),
    ]
    assert found.default_metric == "auroc"
    assert found.empty_cells == ()
    assert len(found.inputs[str(tmp_path / "scores.csv")]) == 64


def test_limits_and_cohort_are_optional(tmp_path):
    found = board(tmp_path, "method,study,value,metric\nuni,a,0.9,auroc\nuni,a,0.3,nll\n")
    assert found.scores["cohort"].to_list() == ["a", "a"]
    assert found.scores["ci_low"].to_list() == [None, None]
    assert found.default_metric is None  # two metrics: the user must say


def test_an_empty_value_is_an_absent_method(tmp_path):
    found = board(
        tmp_path, "study,method,metric,value\na,uni,auroc,\na,conch,auroc,nan\na,gpfm,auroc,0.5\n"
    )
    assert found.scores["method"].to_list() == ["gpfm"]
    assert found.empty_cells == ("a/uni/auroc", "a/conch/auroc")


def test_parquet_numbers_keep_every_digit(tmp_path):
    values = [0.1 + 0.2, 1 / 3, 1e-17, 123456.789012345]
    frame = pl.DataFrame(
        {"study": list("abcd"), "method": ["m"] * 4, "metric": ["x"] * 4, "value": values}
    )
    frame.write_parquet(tmp_path / "scores.parquet")
    assert read(read_table(tmp_path / "scores.parquet")).scores["value"].to_list() == values


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("a,uni,auroc,high,,,", "column 'value', study 'a', method 'uni': 'high' is not a number"),
        ("a,uni,auroc,inf,,,", "column 'value', study 'a', method 'uni': 'inf' is not a number"),
        ("a,uni,auroc,1_0,,,", "column 'value', study 'a', method 'uni': '1_0' is not a number"),
        (
            "a,uni,auroc,0.5,low,1,",
            "column 'ci_low', study 'a', method 'uni': 'low' is not a number",
        ),
        (
            "a,uni,auroc,0.5,0.6,0.4,",
            "columns 'ci_low' and 'ci_high', study 'a', method 'uni': 0.6 lies above 0.4",
        ),
        (",uni,auroc,0.5,,,", "column 'study': row 2 is empty"),
        ("a,,auroc,0.5,,,", "column 'method': row 2 is empty"),
        ("a,conch,auroc,0.5,,,", "study 'a' has the method 'conch' twice (metric 'auroc')"),
        ("a,uni,auroc,0.5,,,B", "column 'cohort': study 'a' has two cohorts, 'A' and 'B'"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, complaint):
    with pytest.raises(InputError) as error:
        board(tmp_path, f"{HEADER}a,conch,auroc,0.7,,,A\n{row}\n")
    assert str(tmp_path / "scores.csv") in str(error.value)
    assert complaint in str(error.value)


def test_one_limit_is_not_enough(tmp_path):
    with pytest.raises(InputError, match="a column 'ci_low' but not the other limit"):
        board(tmp_path, "study,method,metric,value,ci_low\na,uni,auroc,0.9,0.8\n")


def test_recognised_by_columns():
    assert recognises(["value", "metric", "method", "study", "more"])
    assert not recognises(["method", "output", "metric", "value"])
