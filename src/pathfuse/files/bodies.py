"""Tables as bytes: what is sent from program to program, as Parquet or Arrow."""

import io
from collections.abc import Callable

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pathfuse.errors import InputError

PARQUET = "application/vnd.apache.parquet"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
_MAGIC = b"ARROW1"
_BROKEN = (
    OSError,
    ValueError,
    pa.ArrowException,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What the readers raise for bytes that are no table."""


def table_of_bytes(source: str, media_type: str, raw: bytes, *, most_rows: int) -> pl.DataFrame:
    """A table from its bytes; of a longer one, one row more than may be.

    Args:
        source: Stands for the file in sentences.
        media_type: A key of ``READERS``.
        raw: The bytes.
        most_rows: So many rows at most, and one, are read, however small the bytes are.

    Raises:
        InputError: The bytes are not such a table.
    """
    try:
        return READERS[media_type](raw, most_rows + 1)
    except _BROKEN as error:
        raise InputError(
            f"{source} is not a complete {media_type} table of texts and numbers"
        ) from error


def _parquet(raw: bytes, rows: int) -> pl.DataFrame:
    schema = pq.read_schema(io.BytesIO(raw))  # refuses what is no table without a panic
    if any(pa.types.is_nested(column.type) for column in schema):
        raise ValueError("a row of lists can hold any number of values")
    return pl.read_parquet(io.BytesIO(raw), n_rows=rows)


def _arrow(raw: bytes, rows: int) -> pl.DataFrame:
    if raw.startswith(_MAGIC):
        frame = pl.read_ipc(io.BytesIO(raw), n_rows=rows)
    else:
        frame = pl.read_ipc_stream(io.BytesIO(raw), n_rows=rows)
    if any(kind.is_nested() for kind in frame.dtypes):
        raise ValueError("a row of lists can hold any number of values")
    return frame


READERS: dict[str, Callable[[bytes, int], pl.DataFrame]] = {
    PARQUET: _parquet,
    ARROW_STREAM: _arrow,
    ARROW_FILE: _arrow,
}


def bytes_of_table(frame: pl.DataFrame, media_type: str) -> bytes:
    """A table as bytes.

    Args:
        frame: The table.
        media_type: A key of ``READERS``.
    """
    out = io.BytesIO()
    if media_type == PARQUET:
        frame.write_parquet(out)
    elif media_type == ARROW_FILE:
        frame.write_ipc(out)
    else:
        frame.write_ipc_stream(out)
    return out.getvalue()
