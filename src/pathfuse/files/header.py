"""What is done to the rows of every file of text or spreadsheet: columns get their names, and rows
and columns without anything in them go.
"""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS
from pathfuse.files.table_sizes import check_columns


def check_header(source: str, header: Sequence[str]) -> None:
    """Refuses a table without names of columns, with too many, or with one name twice.

    Raises:
        InputError: Naming what occurs twice.
    """
    check_columns(source, len(header))
    if not any(header):
        raise InputError(f"{source} has no header line")
    twice = next((name for name, n in Counter(header).items() if n > 1 and name), None)
    if twice is not None:
        raise InputError(f"{source} has two columns named '{twice}'")


def with_header(
    source: str, frame: pl.DataFrame, header: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Text cells under the names of their columns, and what was left out, in words.

    Args:
        source: Where the table is from.
        frame: Its cells as text, in columns of any names.
        header: The name of each column.

    Returns:
        The frame without columns that have neither a name nor a cell, and without empty rows; and
        notes, in words.

    Raises:
        InputError: Two columns with cells have one name, or none.
    """
    check_header(source, header)
    names = dict(zip(frame.columns, header, strict=True))
    unnamed = [column for column, name in names.items() if not name.strip(BLANKS)]
    idle = [column for column in unnamed if frame.select(_blank(column)).to_series().all()]
    if len(unnamed) - len(idle) > 1:
        raise InputError(
            f"{source} has {len(unnamed) - len(idle)} columns without a name; if a title stands above the "
            "line with the names of the columns, remove it"
        )
    notes = []
    frame = frame.drop(idle)
    if n := len(idle):
        notes.append(f"{n} empty {'column was' if n == 1 else 'columns were'} left out")
    frame, n = _without_empty_rows(frame)
    if n:
        notes.append(f"{n} empty {'row was' if n == 1 else 'rows were'} left out")
    return frame.rename({column: names[column] for column in frame.columns}), notes


def _blank(column: str) -> pl.Expr:
    return pl.col(column).fill_null("").str.strip_chars(BLANKS) == ""


def _without_empty_rows(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The rows with anything in them, and how many others there were."""
    if not frame.width or not frame.select(_blank(frame.columns[0])).to_series().any():
        return frame, 0
    empty = frame.select(pl.all_horizontal(_blank(name) for name in frame.columns)).to_series()
    return frame.filter(~empty), int(empty.sum())
