import openpyxl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import read_table

IDS = frozenset({"slide", "patient"})
NOTE = [("Study of 2024",), ("made by us",)]
LEGEND = [("Short", "Long"), ("a", "adenoma")]
DATA = [("Slide", "Diagnosis"), ("S1", "a")]


def workbook(folder, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(folder / "c.xlsx")
    return folder / "c.xlsx"


@pytest.mark.parametrize("first", [NOTE, NOTE[:1], [], LEGEND])
def test_the_only_sheet_with_samples_is_read_and_said(tmp_path, first):
    path = workbook(tmp_path, about=first, data=DATA)
    table = read_table(path, IDS)
    assert table.frame.rows() == [("S1", "a")]
    note = (
        f"{path}: the sheet 'data' is read, since the first, 'about', has no column of samples or patients; "
        "there is also 'about'"
    )
    assert table.notes == (note,)


def test_the_only_table_is_read_where_no_column_is_looked_for(tmp_path):
    path = workbook(tmp_path, about=NOTE, data=LEGEND)
    assert read_table(path).frame.rows() == [("a", "adenoma")]
    assert "since the first, 'about', has no table" in read_table(path).notes[0]


def test_the_first_sheet_is_read_where_it_can_be_meant(tmp_path):
    path = workbook(tmp_path, one=DATA, two=[("Slide", "Diagnosis"), ("S9", "b")])
    assert read_table(path, IDS).frame.rows() == [("S1", "a")]
    path = workbook(tmp_path, one=LEGEND, two=LEGEND)  # named by --columns later
    assert read_table(path, IDS).frame.rows() == [("a", "adenoma")]
    path = workbook(tmp_path, one=[(None, "a", "b"), ("S1", 1, 0)], two=DATA)  # index of pandas
    assert read_table(path, IDS).frame.width == 3


def test_several_that_could_be_meant_are_refused_with_the_way_to_say_which(tmp_path):
    path = workbook(tmp_path, about=NOTE, fit=DATA, test=DATA)
    with pytest.raises(InputError) as caught:
        read_table(path, IDS)
    assert str(caught.value) == (
        f"{path}: the first sheet, 'about', has no column of samples or patients, and 2 others could be meant "
        f"('fit', 'test'); say which: {path}#fit"
    )


def test_a_sheet_is_chosen_by_its_name(tmp_path):
    path = workbook(tmp_path, about=NOTE, fit=DATA, Test=[("Slide", "n"), ("S2", "b")])
    table = read_table(path.with_name("c.xlsx#test"), IDS)
    assert (table.frame.rows(), table.notes) == ([("S2", "b")], ())
    assert table.source == f"{path}#test"
    with pytest.raises(InputError) as caught:
        read_table(path.with_name("c.xlsx#train"))
    assert (
        str(caught.value) == f"{path} has no sheet 'train'; its sheets are 'about', 'fit', 'Test'"
    )
