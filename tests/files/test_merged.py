import zipfile

import openpyxl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import read_table


def workbook(folder, rows, *merged, first=(1, 1)):
    """One sheet with rows from some cell on, and cells that are merged."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "clini"
    for n, row in enumerate(rows):
        for k, cell in enumerate(row):
            sheet.cell(first[0] + n, first[1] + k, cell)
    for cells in merged:
        sheet.merge_cells(cells)
    book.save(folder / "t.xlsx")
    return folder / "t.xlsx"


ROWS = [
    ("Patient", "Slide", "Diagnosis"),
    ("B1", "S1", "a"),
    (None, "S2", None),
    (None, "S3", "b"),
    ("B2", "S4", None),
]


def test_the_value_of_merged_cells_counts_for_every_row_and_true_blanks_stay(tmp_path):
    path = workbook(tmp_path, ROWS, "A2:A4", "C2:C3")
    table = read_table(path)
    assert table.frame.to_dict(as_series=False) == {
        "Patient": ["B1", "B1", "B1", "B2"],
        "Slide": ["S1", "S2", "S3", "S4"],
        "Diagnosis": ["a", "a", "b", None],
    }
    note = (
        f"{path}: merged cells hold one value for several rows, which counts for each of them: "
        "'Patient' (1 block), 'Diagnosis' (1 block)"
    )
    assert table.notes == (note,)


def test_without_merged_cells_blanks_stay_blank_and_nothing_is_said(tmp_path):
    table = read_table(workbook(tmp_path, ROWS))
    assert table.frame["Patient"].to_list() == ["B1", None, None, "B2"]
    assert table.notes == ()


def test_the_table_may_begin_anywhere_in_the_sheet(tmp_path):
    table = read_table(workbook(tmp_path, ROWS, "C6:C8", first=(5, 3)))
    assert table.frame["Patient"].to_list() == ["B1", "B1", "B1", "B2"]


def test_merged_cells_that_reach_beyond_the_last_row(tmp_path):
    table = read_table(workbook(tmp_path, ROWS, "A5:A9"))
    assert table.frame["Patient"].to_list() == ["B1", None, None, "B2"]


@pytest.mark.parametrize("cell", ['=""', "=1+1"])
def test_a_formula_without_a_saved_value_at_the_edge(tmp_path, cell):
    path = workbook(tmp_path, [("id", "n", None), ("a", 1, None), ("b", None, cell)], "B2:B3")
    assert read_table(path).frame.rows() == [("a", "1"), ("b", "1")]


def test_numbers_and_a_second_sheet(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["about"])
    sheet = book.create_sheet("Data & more")
    for row in (("id", "age"), ("a", 61.5), ("b", None)):
        sheet.append(row)
    sheet.merge_cells("B2:B3")
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx#Data & more")
    assert table.frame.rows() == [("a", "61.5"), ("b", "61.5")]


def test_a_title_over_merged_cells_of_the_first_row_changes_nothing(tmp_path):
    path = workbook(tmp_path, [("id", "n", None), ("a", 1, None)], "B1:C1")
    assert read_table(path).frame.rows() == [("a", "1")]


@pytest.mark.parametrize(
    ("merged", "sentence"),
    [
        (
            "B4:C4",
            "the cells B4:C4 are merged over the columns Slide, Diagnosis, and which of these",
        ),
        (
            "A1:A2",
            "the cells A1:A2 are merged, so that the names of the columns stand in several rows",
        ),
    ],
)
def test_merged_cells_without_a_plain_meaning_are_refused(tmp_path, merged, sentence):
    with pytest.raises(InputError) as caught:
        read_table(workbook(tmp_path, ROWS, merged))
    assert f"sheet 'clini': {sentence}" in str(caught.value)


def test_a_sheet_that_declares_entities_is_not_followed(tmp_path):
    path = workbook(tmp_path, ROWS, "A2:A4")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    files[name] = b'<!DOCTYPE x [<!ENTITY a "b">]>' + files[name]
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in files.items():
            archive.writestr(one, content)
    with pytest.raises(InputError, match="is not a complete spreadsheet"):
        read_table(path)


IDS = ("patient", "slide")


def test_a_merged_footnote_is_ignored_and_said(tmp_path):
    table = read_table(workbook(tmp_path, [*ROWS, ("Source: archive",)], "A2:A4", "A6:C6"), IDS)
    assert table.frame["Patient"].to_list() == ["B1", "B1", "B1", "B2"]
    what = "the cells A6:C6 are merged over the columns Patient, Slide, Diagnosis, and nothing else"
    assert any(what in note for note in table.notes)


def test_cells_over_several_columns_are_refused_only_where_one_is_used(tmp_path):
    rows = [(*ROWS[0], "Comment", "Remark"), *((*row, None, None) for row in ROWS[1:])]
    rows[2] = ("B1", "S2", "a", "stained anew", None)
    table = read_table(workbook(tmp_path, rows, "D3:E3"), IDS)
    assert table.frame["Comment"].to_list() == [None, "stained anew", None, None]
    assert "merged over the columns Comment, Remark: their value is taken for" in table.notes[0]
    table.check_clear(["Patient", "Slide", "Diagnosis"])
    with pytest.raises(InputError, match="cells D3:E3 are merged over the columns Comment, Remark"):
        table.check_clear(["Remark"])
    assert read_table(workbook(tmp_path, ROWS, "B4:C4"), IDS).unclear.keys() == {
        "Slide",
        "Diagnosis",
    }
