"""Spreadsheets (.xlsx): every cell of one sheet as text, as Excel shows it."""

import io
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.formulas import unguarded, unguarded_names
from pathfuse.files.header import with_header
from pathfuse.files.kinds import SAVE_ANEW
from pathfuse.files.merged import Filled, filled_down
from pathfuse.files.sheets import Chosen, Sheet, choose_sheet
from pathfuse.files.table_sizes import check_workbook

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError)
"""What zipfile raises for a damaged archive."""
_OTHERS = (
    ("xl/vbaProject.bin", f"is a spreadsheet with macros, which is not read; {SAVE_ANEW}"),
    ("xl/workbook.bin", f"is a binary spreadsheet (.xlsb), which is not read; {SAVE_ANEW}"),
    ("content.xml", f"is an OpenDocument spreadsheet, which is not read; {SAVE_ANEW}"),
)
"""Files inside an archive that tell what it is, and what is said about it."""


def parse_spreadsheet(
    source: str, raw: bytes, wanted: str | None = None, ids: Collection[str] = ()
) -> Filled:
    """One sheet, every cell as text, and notes.

    Numbers have no ``.0``, and all their digits; TRUE and FALSE; dates as 2024-03-01. Text stays,
    so that an identifier 00123 keeps its zeros. A formula counts by the value that was saved, and
    the value of merged cells for every row that they span.

    Args:
        source: Where it is from.
        raw: Its bytes.
        wanted: Name of the sheet; default: see ``choose_sheet``.
        ids: What a column of samples or patients is called, in small letters.

    Raises:
        InputError: It is not a whole spreadsheet, fastexcel is not installed, the sheet is empty,
            or which sheet is meant cannot be told.
    """
    _check_archive(source, raw)
    with _opened(source, raw) as book:
        chosen = _chosen_sheet(source, book, wanted, ids)
        text, numbers = (
            book.load_sheet(chosen.number, header_row=None, dtypes=dtype).to_polars()
            for dtype in ("string", "float")
        )
        sheets: list[str] = book.sheet_names
    others = ", ".join(f"'{other}'" for other in sheets if other != chosen.name)
    if not text.height:
        which = f"the sheet '{chosen.name}'" if wanted else f"the first sheet, '{chosen.name}',"
        there = f"; there is also {others}" if others else ""
        raise InputError(f"{source}: {which} is empty{there}")
    filled = filled_down(source, raw, chosen.name, _as_shown(text, numbers))
    cells = unguarded(filled.cells.slice(1))  # a table of text that was saved as a spreadsheet
    frame, notes = with_header(source, cells, _names(filled.cells))
    notes = filled.notes + notes
    if others and wanted is None:
        notes.insert(0, f"the sheet '{chosen.name}' is read{chosen.why}; there is also {others}")
    return Filled(frame, notes, filled.unclear)


def spreadsheet_header(source: str, raw: bytes, wanted: str | None = None) -> list[str]:
    """The names of the columns of the sheet that would be read.

    Raises:
        InputError: It is not a whole spreadsheet, or fastexcel is not installed.
    """
    _check_archive(source, raw)
    with _opened(source, raw) as book:
        number = _chosen_sheet(source, book, wanted, ()).number
        return _names(_head_of(book, number))


def _chosen_sheet(source: str, book: Any, wanted: str | None, ids: Collection[str]) -> Chosen:
    """See ``choose_sheet``; sheets are looked into until one can be the table."""
    sheets = []
    for number, name in enumerate(book.sheet_names):
        if wanted is not None:
            sheets.append(Sheet(number, name))
            continue
        one = book.load_sheet(number, header_row=None, n_rows=2, dtypes="string")
        cells = one.to_polars()
        visible = one.visible == "visible"
        sheets.append(Sheet(number, name, visible, tuple(_names(cells)), cells.height > 1))
        first = sum(sheet.visible for sheet in sheets) == 1
        if visible and first and sheets[-1].can_be_meant(ids):
            break
    return choose_sheet(source, sheets, wanted, ids)


def _head_of(book: Any, number: int) -> pl.DataFrame:
    loaded: pl.DataFrame = book.load_sheet(
        number, header_row=None, dtypes="string", n_rows=1
    ).to_polars()
    return loaded


def _names(cells: pl.DataFrame) -> list[str]:
    """The first row."""
    named = ["" if cell is None else cell for cell in cells.row(0)] if cells.height else []
    return unguarded_names(named)


def _check_archive(source: str, raw: bytes) -> None:
    """Refuses a damaged archive, and one that holds something else.

    Raises:
        InputError: Saying what it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            check_workbook(source, archive)
            names, damaged = set(archive.namelist()), archive.testzip()
    except InputError:  # our own sentence
        raise
    except _BROKEN:
        names, damaged = set(), "all"
    if damaged:
        raise InputError(f"{source} is not a complete spreadsheet (.xlsx)")
    reason = next((what for name, what in _OTHERS if name in names), None)
    if reason is not None:
        raise InputError(f"{source} {reason}")
    if not any(name.startswith("xl/") for name in names):
        raise InputError(f"{source} is a ZIP archive, not a table; unpack it first")


@contextmanager
def _opened(source: str, raw: bytes) -> Iterator[Any]:
    """Fastexcel's reader of a workbook.

    Raises:
        InputError: fastexcel is not installed, or says, also later, that the workbook is damaged.
    """
    try:
        import fastexcel
    except ImportError as error:
        raise InputError(
            f"{source} needs fastexcel, which is not installed: pip install 'pathfuse[excel]', or save the "
            "sheet as CSV"
        ) from error
    try:
        yield fastexcel.read_excel(raw)
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{source} is not a complete spreadsheet (.xlsx): {reason}") from error


def _as_shown(text: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Cells as text, with all digits of numbers, dates without midnight, and TRUE and FALSE.

    Args:
        text: Cells as fastexcel writes them: nine digits behind the point, ``true``, dates with a time.
        numbers: The same cells as numbers; null where text is not a number.
    """
    columns = []
    for name in text.columns:
        cell, number = text[name], numbers[name].cast(pl.Float64)
        plain = cell.str.contains(r"^-?\d+(\.\d+)?$")
        rounded = plain & number.is_not_null() & (cell.cast(pl.Float64, strict=False) != number)
        truth = cell.is_in(["true", "false"]) & number.is_not_null()
        date = cell.str.replace(r"^(\d{4}-\d\d-\d\d) 00:00:00$", "${1}")
        time = date.str.replace(r"^1899-12-3[01] (\d\d:\d\d:\d\d)$", "${1}")
        shown = (
            pl.when(rounded)
            .then(number.cast(pl.String))
            .when(truth)
            .then(cell.str.to_uppercase())
            .otherwise(time)
        )
        columns.append(shown.alias(name))
    return pl.select(columns)
