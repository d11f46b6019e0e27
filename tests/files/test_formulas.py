"""No cell of a CSV file is run by a spreadsheet, and every one is read as it was."""

import csv

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.files.cells import MISSING
from pathfuse.files.spelling import BLANKS
from pathfuse.files.tables import column_names, read_table
from pathfuse.files.write import write_file, write_table

STARTS = "=+-@＝＋－＠"
RUN = (
    '=HYPERLINK("http://x","y")', "=1+1", "+1+1", "-1-1", "-2+3+cmd|' /C calc'!A0", "@SUM(1,1)", "-TCGA-02",
    "＝1+1", "--1a", "-inf1", "+49 30 123", "=", "@", "=\n1", "-e5", "-.",
)  # fmt: skip
AS_THEY_ARE = (
    "s1", "-1.5", "+3", "-1e5", "-1.5E-7", "-1,5", "-20%", "-inf", "+", "++", "+++", "+-", "1=1", "a@b", "'", "'a",
    "''", "'-1.5", "'+++", "#1", "it's", '"', "a;b", "007",
)  # fmt: skip


def raw_cells(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def is_run(cell):
    """As the guides to CSV injection have it, but for numbers and signs."""
    if not cell.startswith((*STARTS, "\t", "\r", "\n")):
        return False
    try:
        float(cell.strip("%").replace(",", "."))
    except ValueError:
        return bool(cell.strip("+-"))
    return False


@pytest.mark.parametrize("cell", RUN)
def test_what_would_be_run_gets_an_apostrophe(tmp_path, cell):
    frame = pl.DataFrame({"sample_id": [cell], cell: ["x"], "n": [-1.5]})
    write_table(frame, tmp_path / "a.csv")
    assert raw_cells(tmp_path / "a.csv") == [
        ["sample_id", f"'{cell}", "n"],
        [f"'{cell}", "x", "-1.5"],
    ]
    assert column_names(tmp_path / "a.csv") == frame.columns
    assert read_table(tmp_path / "a.csv").frame.rows() == [(cell, "x", "-1.5")]


@pytest.mark.parametrize("cell", AS_THEY_ARE)
def test_what_would_not_be_run_stays(tmp_path, cell):
    write_table(pl.DataFrame({"sample_id": [cell, "b"], "n": ["x", "y"]}), tmp_path / "a.csv")
    assert raw_cells(tmp_path / "a.csv")[1:] == [[cell, "x"], ["b", "y"]]
    assert read_table(tmp_path / "a.csv").frame["sample_id"].to_list() == [cell, "b"]


def test_every_kind_of_text_is_guarded(tmp_path):
    """Categories, and lists, which become text."""
    kinds = {"category": pl.Categorical(), "enum": pl.Enum(["=1"])}
    frame = pl.DataFrame({"list": [["=1", "b|c"]], "category": ["=1"], "enum": ["=1"]}).cast(kinds)
    write_table(frame, tmp_path / "a.csv")
    assert raw_cells(tmp_path / "a.csv")[1] == ["'=1|b\\|c", "'=1", "'=1"]


def test_parquet_is_as_it_is(tmp_path):
    frame = pl.DataFrame({"sample_id": [*RUN, "'=1"], "=a": "'=b"})
    write_table(frame, tmp_path / "a.parquet")
    assert pl.read_parquet(tmp_path / "a.parquet").equals(frame)
    assert read_table(tmp_path / "a.parquet").frame.equals(frame)


def test_a_table_that_was_saved_as_a_spreadsheet_is_read_alike(tmp_path):
    """Excel keeps the apostrophes of a CSV file as text."""
    openpyxl, _ = pytest.importorskip("openpyxl"), pytest.importorskip("fastexcel")
    frame = pl.DataFrame({"sample_id": ["=1+1", "'=1+1", "a"], "-x-": ["'b", "@c", "-1.5"]})
    write_table(frame, tmp_path / "a.csv")
    book = openpyxl.Workbook()
    for row in raw_cells(tmp_path / "a.csv"):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert read_table(tmp_path / "a.xlsx", ["sample_id"]).frame.equals(frame)
    assert column_names(tmp_path / "a.xlsx") == frame.columns


def test_columns_are_known_when_a_table_is_written_again(tmp_path):
    frame = pl.DataFrame({"sample_id": ["a"], "=cmd": [1.0]})
    write_file(frame, tmp_path / "a.csv")
    write_file(frame, tmp_path / "a.csv", force=True, alike=True)


plain = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=6)
texts = st.builds(
    "".join, st.tuples(st.sampled_from(["", "'", "''"]), st.sampled_from(["", *STARTS, "-1", "+1.5"]), plain)
).filter(lambda text: text.strip(BLANKS) == text and text.lower() not in ("", *MISSING))  # fmt: skip


@given(st.lists(texts, min_size=1, max_size=8))
def test_every_text_is_read_as_it_was_written(tmp_path_factory, cells):
    path = tmp_path_factory.getbasetemp() / "round.csv"
    frame = pl.DataFrame({"sample_id": cells, "n": [-1.5] * len(cells)})
    write_table(frame, path)
    assert not [cell for row in raw_cells(path) for cell in row if is_run(cell)]
    assert read_table(path).frame["sample_id"].to_list() == cells
    assert read_table(path).frame["n"].unique().to_list() == ["-1.5"]
