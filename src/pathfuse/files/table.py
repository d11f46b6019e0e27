"""One table with its origin, and its columns as text, identifiers and numbers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import check_spelling


@dataclass(frozen=True)
class Table:
    """One table with its origin."""

    source: str
    """The file, or what stands for it, as a person would name it."""
    frame: pl.DataFrame
    sha256: str | None = None
    """Of the file's bytes; None for a frame handed over in memory."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Key-value metadata of a Parquet file."""
    blanks: dict[str, int] = field(default_factory=dict)
    """How many cells of each column lost blanks around them; under ``""`` how many names of
    columns."""
    missing: dict[str, int] = field(default_factory=dict)
    """How many cells of each column hold a word for a missing value, such as ``NA``."""
    minus: dict[str, int] = field(default_factory=dict)
    """How many cells of each column are ``-``, which is missing, where others are ``+``."""
    unclear: dict[str, str] = field(default_factory=dict)
    """Columns with cells that may belong to another column, and what is said if they are used."""
    notes: tuple[str, ...] = ()
    """How the file was read, where that was not plain: encoding, separator, sheet."""

    def check_clear(self, columns: Iterable[str]) -> None:
        """Refuses columns, by the names that the file has, whose cells may belong to another one.

        Raises:
            InputError: Naming the cells.
        """
        for column in columns:
            if column in self.unclear:
                raise InputError(self.unclear[column])

    def counted_blanks(self) -> dict[str, int]:
        """The same with words, for the manifest."""
        places = {name: f"column '{name}'" if name else "names of columns" for name in self.blanks}
        return {f"{self.source}, {places[name]}": n for name, n in self.blanks.items()}


def text_column(table: Table, column: str) -> list[str | None]:
    """A column as text; None where empty. Integers keep their digits.

    Raises:
        InputError: The column is missing, or holds lists or the like.
    """
    if column not in table.frame.columns:
        raise InputError(
            f"{table.source} has no column '{column}'; its columns are {', '.join(table.frame.columns)}"
        )
    series = table.frame[column]
    try:
        if series.dtype.is_nested():
            raise InputError(f"{table.source}, column '{column}': {series.dtype} is not text")
        values: list[str | None] = series.cast(pl.String).to_list()
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{table.source}, column '{column}': {series.dtype} is not text"
        ) from error
    return [None if value is None or value == "" else value for value in values]


def id_column(table: Table, unique: bool = True) -> list[str]:
    """The column ``sample_id``.

    Raises:
        InputError: An identifier is empty, occurs twice, or has two spellings.
    """
    values = text_column(table, "sample_id")
    ids = [value for value in values if value is not None]
    if len(ids) < len(values):
        raise InputError(
            f"{table.source}, column 'sample_id': row {values.index(None) + 1} is empty"
        )
    if unique and len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = next(value for value in ids if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        n = table.blanks.get("sample_id", 0)
        note = f" (blanks were stripped from {n} of its values)" if n else ""
        raise InputError(f"{table.source}, column 'sample_id': '{twice}' occurs twice{note}")
    check_spelling(table.source, "sample_id", ids)
    return ids


def number_column(table: Table, column: str, ids: list[str]) -> Any:
    """A column as float64; NaN where empty.

    Raises:
        InputError: A cell is not a number.
    """
    series = table.frame[column]
    if not (series.dtype.is_numeric() or series.dtype in (pl.String, pl.Boolean, pl.Null)):
        raise InputError(f"{table.source}, column '{column}': {series.dtype} is not a number")
    numbers = series.cast(pl.Float64, strict=False)
    wrong = (series.is_not_null() & numbers.is_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{table.source}, column '{column}', sample '{ids[row]}': {not_a_number(str(series[row]))}"
        )
    return numbers.fill_null(float("nan")).to_numpy()


def not_a_number(text: str) -> str:
    """What is wrong with a cell that should hold a number.

    Examples:
        >>> not_a_number("high"), not_a_number("1,466").partition(" (")[0]
        ("'high' is not a number", "'1,466' could be 1466 or 1.466")
    """
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text):
        whole, point = text.replace(",", ""), text.replace(",", ".")
        return (
            f"'{text}' could be {whole} or {point} (a comma of thousands or of decimals?); "
            "write the whole column in one way"
        )
    return f"'{text}' is not a number"
