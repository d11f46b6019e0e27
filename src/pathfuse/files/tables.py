"""Reading CSV and Parquet: every cell as it stands but for blanks around it, every trouble as one
sentence.
"""

import csv
import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS, check_spelling

SUFFIXES = (".csv", ".parquet")
MISSING = ("na", "n/a", "nan", "null", "-", "#n/a", "<na>")
"""What stands for a missing value, in any case of letters; never a class or a name."""


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
    notes: tuple[str, ...] = ()
    """How the file was read, where that was not plain: encoding, separator, sheet."""

    def counted_blanks(self) -> dict[str, int]:
        """The same with words, for the manifest."""
        places = {name: f"column '{name}'" if name else "names of columns" for name in self.blanks}
        return {f"{self.source}, {places[name]}": n for name, n in self.blanks.items()}


def read_table(path: Path) -> Table:
    """Reads one file; CSV cells stay text, so that ``007`` stays ``007``.

    Blanks around text are stripped.

    Raises:
        InputError: The file is missing, empty, cut off, not UTF-8, or neither CSV nor Parquet.
    """
    source = str(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{source} is neither .csv nor .parquet")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    if not raw:
        raise InputError(f"{source} is empty")
    is_csv = path.suffix.lower() == ".csv"
    frame = _parse_csv(source, raw) if is_csv else _parse_parquet(source, raw)
    if frame.height == 0:
        raise InputError(f"{source} has no row")
    metadata = (
        {} if is_csv else {k: str(v) for k, v in pl.read_parquet_metadata(io.BytesIO(raw)).items()}
    )
    return _stripped(Table(source, frame, hashlib.sha256(raw).hexdigest(), metadata))


def _stripped(table: Table) -> Table:
    """The table without blanks around its text and the names of its columns, and how many there
    were.

    Raises:
        InputError: Two columns have one name without them.
    """
    names = [name.strip(BLANKS) for name in table.frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"{table.source} has two columns named '{twice}', but for blanks around the name"
        )
    changed = sum(a != b for a, b in zip(names, table.frame.columns, strict=True))
    blanks, missing = {"": changed} if changed else {}, dict[str, int]()
    frame = table.frame.rename(dict(zip(table.frame.columns, names, strict=True)))
    for name in names:
        column = frame[name]
        if column.dtype == pl.String or isinstance(column.dtype, pl.Categorical | pl.Enum):
            bare = column.cast(pl.String).str.strip_chars(BLANKS)
            n = int((bare != column.cast(pl.String)).sum())
            if n:
                blanks[name] = n
            absent = bare.str.to_lowercase().is_in(MISSING).fill_null(False)
            if absent.any():
                missing[name] = int(absent.sum())
            if n or absent.any():
                cells = bare.replace("", None).to_frame().with_columns(absent.alias(" absent"))
                frame = frame.with_columns(
                    cells.select(
                        pl.when(~pl.col(" absent")).then(pl.col(name)).alias(name)
                    ).to_series()
                )
    return replace(table, frame=frame, blanks=blanks, missing=missing)


def _parse_csv(source: str, raw: bytes) -> pl.DataFrame:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = {
            b"PAR1": "a Parquet file",
            b"\xff\xfe": "UTF-16 text",
            b"\xfe\xff": "UTF-16 text",
            b"PK": "a spreadsheet",
        }
        guess = next((what for mark, what in kind.items() if raw.startswith(mark)), None)
        if guess:
            raise InputError(
                f"{source} is {guess}, not CSV; save it as UTF-8 CSV, or name it by its kind"
            ) from error
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{source}, line {line}: the text is not UTF-8; save the file as UTF-8 CSV"
        ) from error
    try:
        header = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error as error:
        raise InputError(f"{source} is not a regular CSV table: {error}") from error
    mark = next((m for m in (";", "\t") if len(header) == 1 and m in header[0]), None)
    if mark:
        what = "semicolons" if mark == ";" else "tabs"
        raise InputError(
            f"{source}: the columns are separated by {what}; save the file with commas"
        )
    if "\n" not in text and "\r" in text:
        text = text.replace("\r", "\n")
        header = next(csv.reader(io.StringIO(text, newline="")), [])
    if not any(header):
        raise InputError(f"{source} has no header line")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{source} has two columns named '{twice}'")
    if text.count('"') % 2:
        raise InputError(f"{source} is cut off inside a quoted value")
    text = text.rstrip("\r\n")
    first, last = text[: text.find("\n")], text[text.rfind("\n") + 1 :]
    if '"' not in first + last and last.count(",") < first.count(","):
        raise InputError(
            f"{source} is cut off: its last line '{last}' has fewer values than the header has columns"
        )
    try:
        return pl.read_csv(
            text.encode(), infer_schema=False, new_columns=header
        )  # polars keeps "" in a quoted header
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{source} is not a regular CSV table: {_first_line(error)}") from error


def _parse_parquet(source: str, raw: bytes) -> pl.DataFrame:
    try:
        return pl.read_parquet(raw)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{source} is not a complete Parquet file: {_first_line(error)}"
        ) from error


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
        if path.suffix.lower() == ".parquet":
            return parquet_header(path)
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return next(csv.reader(lines), [])
    except (OSError, UnicodeDecodeError, csv.Error, pl.exceptions.PolarsError):
        return []


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def table_in_memory(name: str, frame: Any) -> Table:
    """A pandas or polars data frame as a table.

    Raises:
        InputError: It is not a data frame, or has no row.
    """
    if not nw.dependencies.is_into_dataframe(frame):
        raise InputError(f"{name} is not a pandas or polars data frame but {type(frame).__name__}")
    try:
        polars = nw.from_native(frame, eager_only=True).to_polars()
    except (
        TypeError,
        ValueError,
        nw.exceptions.NarwhalsError,
    ) as error:  # two columns of one name, mixed types
        raise InputError(f"{name} is not a regular data frame: {_first_line(error)}") from error
    if polars.height == 0:
        raise InputError(f"{name} has no row")
    return _stripped(Table(name, polars))


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
            f"{table.source}, column '{column}', sample '{ids[row]}': '{series[row]}' is not a number"
        )
    return numbers.fill_null(float("nan")).to_numpy()
