"""Tables of text: what separates the columns, comment lines above them, and decimal commas."""

import csv
import io
import re
from dataclasses import dataclass

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.cells import MISSING
from pathfuse.files.encodings import decode
from pathfuse.files.formulas import unguarded, unguarded_names
from pathfuse.files.header import check_header, with_header
from pathfuse.files.kinds import TEXT
from pathfuse.files.spelling import BLANKS

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""What may separate columns, in words."""
_IDENTIFIES = re.compile(
    r"(?i)(.*[_ .-])?(id|barcode|name)|patient(id)?|slide|case|sample|image|subject|wsi|file(name)?"
)
"""A name of a column of samples or patients, as a whole."""
_NUMBER = r"^[+-]?\d+(,\d+)?([eE][+-]?\d+)?$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2},\d{3}$"
"""What means thousands where commas do; ``1,234``."""


@dataclass(frozen=True)
class _Lines:
    """The text of a table from its header on, and what stood above."""

    text: str
    separator: str
    comments: int


def parse_text(source: str, suffix: str, raw: bytes) -> tuple[pl.DataFrame, list[str]]:
    """A table of text, every cell as text, and how it was read where that was not plain.

    Args:
        source: Where it is from.
        suffix: Of its name, without ``.gz``.
        raw: Its bytes.

    Raises:
        InputError: It is cut off, or not a table of text.
    """
    text, encoding = decode(source, raw)
    lines = _from_header(text)
    header = _header(source, lines)
    check_header(source, header)
    frame = unguarded(_cells(source, lines, len(header)))
    frame, left_out = with_header(source, frame, header)
    frame, decimal = _with_points(frame, lines.separator)
    how = [f"read as {encoding} text"] if encoding else []
    if lines.separator not in TEXT.get(suffix, ",") and len(header) > 1:
        how.append(f"{'' if how else 'read as '}separated by {SEPARATORS[lines.separator]}")
    if decimal:
        how.append(f"{'' if how else 'read '}with decimal commas in {_listed(decimal)}")
    notes = [", ".join(how)] if how else []
    if lines.comments:
        n = lines.comments
        notes.append(f"{n} comment {'line' if n == 1 else 'lines'} above the table left out")
    return frame, notes + left_out


def text_header(raw: bytes) -> list[str]:
    """The names of the columns of a table of text, of which the beginning is enough.

    Raises:
        InputError: It is not text.
    """
    return _header("", _from_header(decode("", raw)[0]))


def is_tabular(raw: bytes) -> bool:
    """Whether text has columns: a separator that is as frequent in the second line as in the first.

    Raises:
        InputError: It is not text.
    """
    first, second = _first_lines(_from_header(decode("", raw)[0]).text)
    return any(first.count(mark) == second.count(mark) > 0 for mark in SEPARATORS)


def _from_header(text: str) -> _Lines:
    """Leaves out empty lines, Excel's ``sep=;`` and comment lines above the header.

    The last comment line is the header if it names a sample or patient, and the line below does not.
    """
    if "\n" not in text:
        text = text.replace("\r", "\n")
    separator, comments, last = None, 0, ""
    text = text.lstrip("\r\n")
    if told := re.match(r"(?i)sep=(.)\r?\n", text):
        separator, text = told[1], text[told.end() :]
    while text.startswith("#"):
        line, _, text = text.partition("\n")
        text, last, comments = text.lstrip("\r\n"), line, comments + 1
    if comments and _names_ids(last) and not _names_ids(text.partition("\n")[0]):
        bare = last.lstrip("#").lstrip(" ")
        text, comments = (bare if bare[:1].isalnum() else last) + "\n" + text, comments - 1
    return _Lines(text, separator or _separator(text), comments)


def _names_ids(line: str) -> bool:
    names = re.split(r"[,;\t]", line.strip("#\r\n"))
    return any(_IDENTIFIES.fullmatch(name.strip(BLANKS + '"')) for name in names)


def _first_lines(text: str) -> tuple[str, str]:
    """The first two lines without what stands in quotes."""
    lines = [*re.sub(r'"[^"]*"', "", text[:2_000_000]).split("\n", 2), "", ""]
    return lines[0], lines[1]


def _separator(text: str) -> str:
    """What separates the columns of the header; best what the next line has as often."""
    first, second = _first_lines(text)
    found = [mark for mark in SEPARATORS if mark in first]
    return max(
        found,
        key=lambda mark: (first.count(mark) == second.count(mark), first.count(mark)),
        default=",",
    )


def _header(source: str, lines: _Lines) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(lines.text, newline=""), delimiter=lines.separator)
        return unguarded_names(next(rows, []))
    except csv.Error as error:
        raise InputError(f"{source} is not a regular CSV table: {error}") from error


def _cells(source: str, lines: _Lines, width: int) -> pl.DataFrame:
    """The rows, in columns named by their numbers.

    Raises:
        InputError: The table is cut off, or a row has more cells than there are columns.
    """
    if lines.text.count('"') % 2:
        raise InputError(f"{source} is cut off inside a quoted value")
    text = lines.text.rstrip("\r\n")
    first, last = text[: text.find("\n")], text[text.rfind("\n") + 1 :]
    if '"' not in first + last and last.count(lines.separator) < first.count(lines.separator):
        raise InputError(
            f"{source} is cut off: its last line '{last}' has fewer values than the header has columns"
        )
    try:
        return pl.read_csv(
            text.encode(),
            separator=lines.separator,
            infer_schema=False,
            new_columns=[str(k) for k in range(width)],
        )
    except pl.exceptions.PolarsError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source} is not a regular CSV table: {reason}") from error


def _with_points(frame: pl.DataFrame, separator: str) -> tuple[pl.DataFrame, list[str]]:
    """Numbers with decimal commas become such with points, and the names of their columns.

    A column counts if all its cells are numbers and one has a comma. A column in which each of
    these could mean thousands stays as it is where tabs separate, and where semicolons do if it
    has whole numbers, too. What identifies stays always.
    """
    changed = []
    if separator != ",":
        candidates = [
            name for name in frame.columns if not _IDENTIFIES.fullmatch(name.strip(BLANKS))
        ]
        changed = [name for name in candidates if _has_commas(frame[name], separator)]
    points = [pl.col(name).str.replace(",", ".", literal=True) for name in changed]
    return frame.with_columns(points), [name.strip(BLANKS) for name in changed]


def _has_commas(column: pl.Series, separator: str) -> bool:
    if not column.str.contains(",", literal=True).any():
        return False
    cells = column.drop_nulls().str.strip_chars(BLANKS)
    cells = cells.filter(~cells.str.to_lowercase().is_in(["", *MISSING]))
    if not len(cells) or not cells.str.contains(_NUMBER).all():
        return False
    commas = cells.filter(cells.str.contains(",", literal=True))
    if not commas.str.contains(_THOUSANDS).all():
        return True
    return separator == ";" and len(commas) == len(cells)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more
