"""How large a table may be: what is refused by the size of a file, its first line or its footer, before its
cells are read.
"""

import gzip
import io
import re
import zipfile
from typing import IO

import polars as pl

from pathfuse.errors import InputError

MOST_TEXT_BYTES = 2**30
"""Of a table of text and of a workbook, unpacked: it is held several times while it is read. Five million
rows of ten numbers."""
MOST_PARQUET_BYTES = 2**32
MOST_COLUMNS = 60_000
"""A table of vectors has one for each dimension: encoders have some thousand, and man 20,000
genes, of which a prediction has a mean and a standard deviation each."""
MOST_CELLS = 5 * 10**8
"""Of a Parquet file, in which a column of one value takes no room: 4 GB of numbers."""
MOST_SHEET_CELLS = 2 * 10**7
"""Of the block of cells that is in use in a sheet, which is held as a whole: 20 columns of all rows that Excel
has."""
LONGEST_LINE = 2**24
"""Bytes of the first line of a text: names of all columns that may be, of 600 letters each."""
LONGEST_CELL = 2**20
"""Bytes of one cell; 32 times what Excel allows."""
_PLACE = re.compile(rb'\br="([A-Z]{0,3})(\d{1,7})"')
"""Where a row or cell lies, in the XML of a sheet."""
_STEP = 2**22


def check_bytes(source: str, n_bytes: int, most: int) -> None:
    """Refuses a file that is too large to be held.

    Raises:
        InputError: With its size, and the limit.
    """
    if n_bytes > most:
        raise InputError(
            f"{source} has {n_bytes / 2**30:.1f} GB; at most {most / 2**30:.0f} GB are read as one table: "
            "leave out columns that are not needed, or divide its rows into several files"
        )


def check_columns(source: str, n_columns: int) -> None:
    """Refuses a table of more columns than any has.

    Raises:
        InputError: With their number, and the limit.
    """
    if n_columns > MOST_COLUMNS:
        raise InputError(
            f"{source} has {n_columns:,} columns; at most {MOST_COLUMNS:,} are read: a row is a sample or a slide, "
            "so a table that has a column for each must be turned"
        )


def check_first_line(source: str, head: bytes) -> None:
    """Refuses a text whose first line does not end where that of a table does.

    Args:
        source: Where it is from.
        head: Its beginning, of at least ``LONGEST_LINE`` bytes if it has them.

    Raises:
        InputError: It has no line break there.
    """
    head = head.lstrip(b"\r\n")
    if len(head) >= LONGEST_LINE - 2 and not re.search(rb"[\r\n]", head):
        raise InputError(
            f"{source} has no line break in its first {LONGEST_LINE // 2**20} MB, so it is not a table of text"
        )


def check_lines(source: str, raw: bytes) -> None:
    """Refuses a text with a line that is longer than any of a table: every stretch of that length must
    have a break in it.

    Raises:
        InputError: Saying about where.
    """
    for start in range(0, len(raw) - LONGEST_LINE, LONGEST_LINE):
        end = start + LONGEST_LINE
        if raw.find(b"\n", start, end) < 0 and raw.find(b"\r", start, end) < 0:
            raise InputError(
                f"{source} has a line of more than {LONGEST_LINE // 2**20} MB, around byte {start:,}, so it is not a "
                "table of text"
            )


def check_texts(source: str, frame: pl.DataFrame) -> None:
    """Refuses cells of text that are too long: a Parquet file keeps a text once that stands in every
    row, and what is done to cells would make one of each.

    Raises:
        InputError: Naming the column.
    """
    total = 0
    for column in frame.iter_columns():
        if column.dtype != pl.String and not isinstance(column.dtype, pl.Categorical | pl.Enum):
            continue
        lengths = column.cast(pl.String).str.len_bytes().cast(pl.Int64)  # of 32 bits
        longest = int(lengths.max() or 0)  # type: ignore[arg-type]  # of whole numbers
        total += int(lengths.sum())
        if longest > LONGEST_CELL:
            row = int(lengths.arg_max() or 0) + 1
            raise InputError(
                f"{source}, column '{column.name[:100]}': row {row} has a text of {longest / 2**20:.1f} MB; at most "
                f"{LONGEST_CELL / 2**20:.0f} MB are read in one cell"
            )
    check_bytes(f"{source}, unpacked,", total, MOST_TEXT_BYTES)


def check_parquet_header(source: str, file: IO[bytes]) -> None:
    """Refuses a Parquet file with too many columns, by its footer.

    Raises:
        InputError: With their number, and the limit.
        PolarsError: The file is damaged.
    """
    check_columns(source, len(pl.read_parquet_schema(file)))


def check_parquet_cells(source: str, raw: bytes) -> None:
    """Refuses a Parquet file whose cells are too many, however small the file is.

    Raises:
        InputError: With their number, and the limit.
        PolarsError: The file is damaged.
    """
    whole = pl.scan_parquet(io.BytesIO(raw))
    schema = whole.collect_schema()
    n_columns = len(schema)
    n_rows = int(whole.select(pl.len()).collect().item())
    if any(dtype.is_nested() for dtype in schema.dtypes()):
        n_values = _n_values(raw)
        if n_values > MOST_CELLS:
            raise InputError(
                f"{source} has {n_values:,} values in lists; at most {MOST_CELLS // 10**6:,} million are "
                "read as one table"
            )
    if n_rows * n_columns > MOST_CELLS:
        raise InputError(
            f"{source} has {n_rows:,} rows of {n_columns:,} columns; at most {MOST_CELLS // 10**6:,} million cells are "
            "read as one table"
        )


def _n_values(raw: bytes) -> int:
    """Of all columns of a Parquet file; a cell that is a list has many."""
    import pyarrow.parquet as pq  # not at the top: hardly any table has lists

    about = pq.read_metadata(io.BytesIO(raw))
    groups = (about.row_group(k) for k in range(about.num_row_groups))
    return sum(group.column(k).num_values for group in groups for k in range(group.num_columns))


def unpacked(source: str, raw: bytes) -> bytes:
    """What was compressed with gzip.

    Raises:
        InputError: It is more than a table may have.
        OSError: It is damaged; also EOFError and zlib's error.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
        content = file.read(MOST_TEXT_BYTES + 1)
    if len(content) > MOST_TEXT_BYTES:
        raise InputError(
            f"{source} unpacks to more than {MOST_TEXT_BYTES / 2**30:.0f} GB, the most that is read as one table: "
            "divide its rows into several files"
        )
    return content


def check_workbook(source: str, archive: zipfile.ZipFile) -> None:
    """Refuses a workbook that unpacks to too much, or of which a sheet uses too large a block of cells.

    One cell in the last row and column makes a block of 17 billion.

    Raises:
        InputError: With what it has, and the limit.
        BadZipFile: It is damaged; also zlib's error.
    """
    files = archive.infolist()
    check_bytes(f"{source}, unpacked,", sum(one.file_size for one in files), MOST_TEXT_BYTES)
    for one in files:
        if not re.fullmatch(r"xl/worksheets/[^/]+\.xml", one.filename):
            continue
        with archive.open(one) as file:
            n_rows, n_columns = _used(file)
        if n_rows * n_columns > MOST_SHEET_CELLS:
            raise InputError(
                f"{source} has a sheet ({one.filename}) whose last cell in use is in row {n_rows:,} and column "
                f"{n_columns:,}; at most {MOST_SHEET_CELLS // 10**6} million cells are read: delete the rows and "
                "columns below and beside the table, or save the sheet as CSV"
            )


def _used(file: IO[bytes]) -> tuple[int, int]:
    """The last row and the last column that the XML of a sheet names."""
    n_rows = n_columns = 1
    rest = b""
    while part := file.read(_STEP):
        places = {found.groups() for found in _PLACE.finditer(rest + part)}
        n_rows = max([n_rows, *(int(row) for _, row in places)])
        n_columns = max([n_columns, *(_number(letters) for letters in {one for one, _ in places})])
        rest = part[-20:]
    return n_rows, n_columns


def _number(letters: bytes) -> int:
    """Of a column, from 1."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
