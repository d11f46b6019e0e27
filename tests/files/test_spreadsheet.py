import datetime
import io
import sys
import zipfile

import numpy as np
import openpyxl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import column_names, read_table


def sheet(folder, rows, name="table.xlsx", more=(), hidden=()):
    """A workbook with rows in one sheet, and others after it."""
    book = openpyxl.Workbook()
    book.active.title = "clini"
    for row in rows:
        book.active.append(row)
    for title in more:
        book.create_sheet(title)
    for title in hidden:
        book.create_sheet(title, 0).sheet_state = "hidden"
    book.active = len(hidden)
    book.save(folder / name)
    return folder / name


def test_cells_are_text_as_excel_shows_it(tmp_path):
    day, moment = datetime.date(2024, 3, 1), datetime.datetime(2024, 3, 1, 12, 30)
    rows = [
        ("id", "whole", "number", "truth", "day", "moment", "mixed", "error", 2020),
        ("00123", 7, 0.1, True, day, moment, "a ", "#N/A", datetime.time(1, 2)),
        (124, -10, 1 / 3, False, day, None, 7, "#DIV/0!", 1),
        ("0.50", 10**15, 1e-20, None, None, None, True, None, "true"),
        ("1.0", 0, 2.0, None, None, None, 0.123456789012, None, "2024-03-01"),
    ]
    path = sheet(tmp_path, rows)
    table = read_table(path)
    assert table.frame.to_dict(as_series=False) == {
        "id": ["00123", "124", "0.50", "1.0"],
        "whole": ["7", "-10", "1000000000000000", "0"],
        "number": ["0.1", "0.3333333333333333", "1e-20", "2"],
        "truth": ["TRUE", "FALSE", None, None],
        "day": ["2024-03-01", "2024-03-01", None, None],
        "moment": ["2024-03-01 12:30:00", None, None, None],
        "mixed": ["a", "7", "TRUE", "0.123456789012"],
        "error": [None] * 4,
        "2020": ["01:02:00", "1", "true", "2024-03-01"],
    }
    assert table.notes == ()
    assert column_names(path) == table.frame.columns


def test_every_number_is_kept_to_its_last_digit(tmp_path):
    digits = np.random.default_rng(0).normal(size=300) * 10.0 ** np.arange(-150, 150)
    numbers = [float(f"{x:.15g}") for x in digits]  # as many as Excel has
    path = sheet(tmp_path, [("sample_id", "x"), *((f"s{k}", x) for k, x in enumerate(numbers))])
    np.testing.assert_array_equal([float(x) for x in read_table(path).frame["x"]], numbers)


def test_the_first_sheet_that_is_not_hidden(tmp_path):
    path = sheet(tmp_path, [("id",), ("a",)], more=("notes", "old"), hidden=("lists",))
    assert read_table(path).frame.rows() == [("a",)]
    assert read_table(path).notes == (
        f"{path}: the sheet 'clini' is read; there is also 'lists', 'notes', 'old'",
    )


def test_empty_rows_and_columns(tmp_path):
    rows = [(), ("id", None, "n"), ("a", None, 1), (None, " ", None), ("b", None, 2)]
    path = sheet(tmp_path, rows)
    assert read_table(path).frame.rows() == [("a", "1"), ("b", "2")]
    assert read_table(path).notes == (
        f"{path}: 1 empty column was left out", f"{path}: 1 empty row was left out"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "the first sheet, 'clini', is empty"),
        ([("id", "n")], "has no row"),
        ([("id", "n", "n"), (1, 2, 3)], "has two columns named 'n'"),
        ([("Table S1",), ("id", "n", "m"), (1, 2, 3)], "has 2 columns without a name; if a title"),
    ],
)
def test_sheets_that_are_not_tables(tmp_path, rows, sentence):
    with pytest.raises(InputError) as caught:
        read_table(sheet(tmp_path, rows))
    assert sentence in str(caught.value)


def archive(*names):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (archive("xl/workbook.xml", "xl/vbaProject.bin"), "is a spreadsheet with macros"),
        (archive("xl/workbook.bin"), "is a binary spreadsheet (.xlsb)"),
        (archive("mimetype", "content.xml"), "is an OpenDocument spreadsheet"),
        (archive("a.npy"), "is a ZIP archive, not a table"),
        (archive("xl/other.xml"), "is not a complete spreadsheet (.xlsx)"),
        (archive("xl/workbook.xml")[:-30], "is not a complete spreadsheet (.xlsx)"),
    ],
)
def test_other_archives_are_refused(tmp_path, raw, sentence):
    path = tmp_path / "t.xlsx"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path} {sentence}")
    assert "\n" not in str(caught.value)
    assert column_names(path) == []


def test_a_cut_spreadsheet(tmp_path):
    path = sheet(tmp_path, [("id",), ("a",)])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is not a complete spreadsheet"):
        read_table(path)


def test_without_fastexcel_the_way_out_is_said(tmp_path, monkeypatch):
    path = sheet(tmp_path, [("id",), ("a",)])
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path} needs fastexcel, which is not installed: pip install 'pathfuse[excel]', or save the sheet as CSV"
    )
