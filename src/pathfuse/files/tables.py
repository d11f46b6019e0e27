"""Reading tables: every cell as it stands but for blanks around it, every trouble as one sentence,
and a note for all that is not plain.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.cells import tidy
from pathfuse.files.csv_text import is_tabular, parse_text, text_header
from pathfuse.files.frames import polars_frame, with_index
from pathfuse.files.kinds import (
    IN_WORDS,
    PACKED,
    SUFFIXES,
    TEXT,
    check_suffix,
    kind_of,
    split_sheet,
    stem_of,
    suffix_of,
)
from pathfuse.files.special import refuse_special, special_kind
from pathfuse.files.spreadsheet import parse_spreadsheet, spreadsheet_header
from pathfuse.files.steady import read_steady
from pathfuse.files.table import Table, id_column, number_column, text_column
from pathfuse.files.table_sizes import (
    LONGEST_LINE,
    MOST_PARQUET_BYTES,
    MOST_TEXT_BYTES,
    check_bytes,
    check_first_line,
    check_lines,
    check_parquet_cells,
    check_parquet_header,
    check_texts,
    unpacked,
)

__all__ = [
    "IN_WORDS", "SUFFIXES", "Table", "column_names", "id_column", "number_column", "parquet_frame", "parquet_header",
    "read_table", "split_sheet", "stem_of", "suffix_of", "table_in_memory", "tables_in", "text_column",
]  # fmt: skip
_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What the readers raise for a damaged file."""
HEAD = 2**20
"""Bytes that are read for the names of the columns of a text."""


def read_table(path: Path, ids: Collection[str] = ()) -> Table:
    """Reads one file of any kind in ``SUFFIXES``, which is known by its first bytes.

    Cells of text and of spreadsheets stay text, so that ``007`` stays ``007``. Blanks around text
    are stripped. ``notes`` of the table say how the file was read, where that was not plain.

    Args:
        path: The file; ``cohort.xlsx#Sheet2`` is one sheet of a workbook.
        ids: What a column of samples or patients is called, in small letters, if the table should
            have one: the sheet of a workbook is chosen by it.

    Raises:
        InputError: The file is missing, empty, cut off, not a table, or changes while it is read.
    """
    source = str(path)
    check_suffix(path)
    refuse_special(split_sheet(path)[0])
    try:
        _check_size(source, split_sheet(path)[0])
        raw = read_steady(split_sheet(path)[0])
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    if not raw:
        raise InputError(f"{source} is empty")
    table = _parse(source, suffix_of(path), raw, split_sheet(path)[1], ids)
    if table.frame.height == 0:
        raise InputError(f"{source} has no row")
    check_texts(source, table.frame)
    notes = tuple(f"{source}: {note}" for note in table.notes)
    return tidy(replace(table, sha256=hashlib.sha256(raw).hexdigest(), notes=notes))


def _parse(
    source: str, suffix: str, raw: bytes, sheet: str | None = None, ids: Collection[str] = ()
) -> Table:
    """A table from bytes; its notes do not name the file yet.

    Raises:
        InputError: The bytes are not a whole table.
    """
    kind = kind_of(source, raw)
    if kind == "gzip":
        content = _unpacked(source, raw)
        if kind_of(source, content) == "gzip":
            raise InputError(f"{source} is compressed twice; unpack it once")
        inner = _parse(source, suffix.removesuffix(PACKED), content)
        note = () if suffix.endswith(PACKED) else ("compressed with gzip, in spite of its name",)
        return replace(inner, notes=(*note, *inner.notes))
    metadata: dict[str, str] = {}
    unclear: dict[str, str] = {}
    notes = []
    if suffix.endswith(PACKED):
        notes.append("not compressed, in spite of its name")
        suffix = suffix.removesuffix(PACKED)
    if kind == "parquet":
        frame = _parse_parquet(source, raw)
        metadata = {k: str(v) for k, v in pl.read_parquet_metadata(io.BytesIO(raw)).items()}
        notes += [] if suffix == ".parquet" else ["a Parquet file, in spite of its name"]
    elif kind == "zip":
        workbook = source.removesuffix(f"#{sheet}") if sheet else source
        read = parse_spreadsheet(workbook, raw, sheet, ids)
        if read.unclear and not ids:
            raise InputError(next(iter(read.unclear.values())))
        frame, unclear = read.cells, read.unclear
        notes += [] if suffix == ".xlsx" else ["a spreadsheet (.xlsx), in spite of its name"]
        notes += read.notes
    else:
        check_lines(source, raw)
        frame, how = _parse_text(source, suffix, raw)
        notes += [] if suffix in TEXT else ["text, in spite of its name"]
        notes += how
    return Table(source, frame, metadata=metadata, unclear=unclear, notes=tuple(notes))


def _unpacked(source: str, raw: bytes) -> bytes:
    try:
        return unpacked(source, raw)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{source} is not a complete gzip file: {error}") from error


def _parse_text(source: str, suffix: str, raw: bytes) -> tuple[pl.DataFrame, list[str]]:
    try:
        return parse_text(source, suffix, raw)
    except InputError as error:
        if suffix in TEXT:
            raise
        kind = "Parquet file" if suffix == ".parquet" else "spreadsheet (.xlsx)"
        raise InputError(f"{source} is not a complete {kind}, and not a table of text") from error


def _parse_parquet(source: str, raw: bytes) -> pl.DataFrame:
    try:
        check_parquet_cells(source, raw)
        return pl.read_parquet(raw)
    except _BROKEN as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source} is not a complete Parquet file: {reason}") from error


def parquet_frame(path: Path) -> pl.DataFrame:
    """A Parquet file that pathfuse wrote.

    The path is taken as it stands, and ``[1]`` in it is not a pattern.

    Raises:
        OSError: It cannot be read.
        PolarsError: It is damaged.
    """
    return pl.read_parquet(io.BytesIO(path.read_bytes()))


def parquet_header(path: Path) -> list[str]:
    """The column names of a Parquet file, without its rows.

    Raises:
        OSError: It cannot be read.
        PolarsError: It is damaged.
    """
    with path.open("rb") as file:
        return list(pl.read_parquet_schema(file))


def column_names(path: Path) -> list[str]:
    """The names of a table's columns, without its rows; none if the file is not a table."""
    try:
        file_path, sheet = split_sheet(path)
        head = _head(file_path)
        kind = kind_of(str(path), head)
        if kind == "text":
            return text_header(head)
        with _opened(file_path) as file:
            if kind == "parquet":
                return list(pl.read_parquet_schema(file))
            return spreadsheet_header(str(path), file.read(), sheet)
    except (*_BROKEN, InputError):
        return []


def tables_in(folder: Path) -> list[Path]:
    """The tables in a folder, sorted by name.

    Left out are hidden files, the lock files of Excel, and ``.txt`` files without columns, such as
    a read-me.

    Raises:
        OSError: The folder cannot be read.
    """
    files = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "~$")))
    return [path for path in files if suffix_of(path) and not _is_prose(path)]


def _is_prose(path: Path) -> bool:
    if special_kind(path) or not suffix_of(path).startswith(".txt"):
        return False
    try:
        head = _head(path)
        return kind_of(str(path), head) == "text" and not is_tabular(head)
    except (OSError, EOFError, zlib.error, InputError):
        return True


def _check_size(source: str, path: Path) -> None:
    """Refuses what is too large to be a table, before more than its beginning is read.

    Raises:
        InputError: Saying what it has, and the limit.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    try:
        head = _head(path)
    except (EOFError, zlib.error):
        return  # whoever unpacks it says so
    kind = kind_of(source, head)
    check_bytes(source, size, MOST_PARQUET_BYTES if kind == "parquet" else MOST_TEXT_BYTES)
    if kind == "text":
        check_first_line(source, head)
    if kind == "parquet":
        with _opened(path) as file, suppress(*_BROKEN):  # whoever reads it says so
            check_parquet_header(source, file)


def _head(path: Path) -> bytes:
    """The first whole lines of a text, compressed or not; of another file its first bytes."""
    with _opened(path) as lines:
        head = lines.read(HEAD)
        if len(head) < HEAD:
            return head
        if not (b"\n" in head or b"\r" in head):
            head += lines.read(LONGEST_LINE - HEAD)
        end = head.rfind(b"\n") + 1
        if not end:
            return head
    return head[: end + head.startswith(b"\xff\xfe")]


def _opened(path: Path) -> IO[bytes]:
    """A file to read, unpacked if it is compressed."""
    refuse_special(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


def table_in_memory(name: str, frame: Any, ids: Collection[str] = ()) -> Table:
    """A data frame as a table: of pandas, polars (also lazy), pyarrow, or anything with
    ``__arrow_c_stream__``.

    Args:
        name: What stands for its file.
        frame: The data frame.
        ids: What a column of samples or patients is called, in small letters, if the table should
            have one; see ``with_index``.

    Raises:
        InputError: It is not a data frame, or has no row.
    """
    frame, notes = with_index(frame, ids)
    table = polars_frame(name, frame)
    if table.height == 0:
        raise InputError(f"{name} has no row")
    return tidy(Table(name, table, notes=tuple(f"{name}: {note}" for note in notes)))
