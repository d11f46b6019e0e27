"""Parquet files too large for memory: their columns from the footer, their rows in batches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pathfuse.errors import InputError
from pathfuse.files.cells import MISSING
from pathfuse.files.names import without_suffixes
from pathfuse.files.special import refuse_special
from pathfuse.files.spelling import BLANKS
from pathfuse.files.table_sizes import check_columns

ID = "sample_id"
BATCH = 16_384
"""Rows that are read, joined and fused at a time: arrays of them fit into the processor's cache."""
BUFFER_BYTES = 1 << 20
"""Of a column are held at a time, whatever the size of the row groups."""
LONGEST_MISSING = max(len(word) for word in MISSING)
_BROKEN = (pa.ArrowException, OSError, EOFError)


@contextmanager
def opened(path: Path, source: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file to read in batches.

    Raises:
        InputError: It cannot be read, also while the block reads it.
    """
    refuse_special(path)
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
            yield file
    except _BROKEN as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source} is not a complete Parquet file: {reason}") from error


def column_types(path: Path) -> dict[str, pa.DataType]:
    """The columns of a file and their types, in its order.

    Raises:
        InputError: It cannot be read.
    """
    with opened(path, str(path)) as file:
        check_columns(str(path), file.metadata.num_columns)
        schema = file.schema_arrow
    return dict(zip(schema.names, schema.types, strict=True))


def batches(
    path: Path,
    source: str,
    columns: Sequence[str],
    first_group: int = 0,
    rows: int = BATCH,
) -> Iterator[pl.DataFrame]:
    """The rows of a file from a row group on, with ``sample_id`` as text, without blanks around it and without
    suffixes of files.

    Args:
        path: The file.
        source: What it is called in messages.
        columns: Those to read; ``sample_id`` is one of them.
        first_group: Number of the row group to begin with.
        rows: So many at a time, at most.

    Raises:
        InputError: The file is damaged, or a ``sample_id`` is empty or not text.
    """
    with opened(path, source) as file:
        groups = list(range(first_group, file.num_row_groups))
        parts = file.iter_batches(
            batch_size=rows, row_groups=groups, columns=list(columns), use_threads=False
        )
        for part in parts:
            frame = pl.DataFrame(pl.from_arrow(part))
            yield frame.with_columns(_clean(frame[ID], source))


def _clean(ids: pl.Series, source: str) -> pl.Series:
    if ids.dtype.is_nested() or ids.dtype == pl.Binary:
        raise InputError(f"{source}, column '{ID}': {ids.dtype} is not text")
    return without_suffixes(ids.cast(pl.String).str.strip_chars(BLANKS))


def check_named(ids: pl.Series, source: str, before: int) -> None:
    """Refuses samples without a name.

    Args:
        ids: ``sample_id`` of some rows, as ``batches`` gives them.
        source: The file.
        before: Rows of the file before these.

    Raises:
        InputError: Naming the row.
    """
    short = ids.fill_null("")
    short = short.set(short.str.len_bytes() > LONGEST_MISSING, "x").str.to_lowercase()
    empty = short.is_in(["", *MISSING])
    if empty.any():
        row = before + int(empty.arg_true()[0]) + 1
        raise InputError(f"{source}, column '{ID}': row {row} is empty")
