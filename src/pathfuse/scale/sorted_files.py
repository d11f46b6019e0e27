"""Files whose rows are in the order of their ``sample_id``, and what makes a file one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pathfuse.errors import InputError
from pathfuse.scale.parquet_files import BATCH, ID, batches, check_named, opened

PIECE_BYTES = 64 << 20
"""Of a file in another order are sorted at a time."""
MARKS = 64
"""Marks in a sorted piece; other files have one per batch."""


@dataclass(frozen=True)
class SortedFile:
    """A file in the order of its ``sample_id``, without repeats."""

    expert: str
    path: Path
    source: str
    """What it is called in messages: of a sorted piece the file that it is from."""
    marks: tuple[tuple[int, str], ...]
    """Some rows and their ``sample_id``; the first is row 0."""
    last: str
    n_rows: int
    group_ends: tuple[int, ...]
    """The row after each row group."""

    @property
    def first(self) -> str:
        """The ``sample_id`` of its first row."""
        return self.marks[0][1]


def sorted_files_of(
    expert: str,
    path: Path,
    columns: Sequence[str],
    spill: Path,
    number: int,
    rows: int = BATCH,
) -> list[SortedFile]:
    """A file as files in order: itself, or pieces of it that are sorted and written elsewhere.

    Args:
        expert: Whose predictions they are.
        path: The file.
        columns: Those that are needed, without ``sample_id``.
        spill: A folder for sorted pieces.
        number: Of the file, for the names of its pieces.
        rows: So many are read at a time.

    Returns:
        Nothing for a file without a row.

    Raises:
        InputError: The file is damaged, a ``sample_id`` is empty, or occurs twice.
        OSError: A piece cannot be written.
    """
    found = _scanned(expert, path, rows)
    if found is not None:
        return [found] if found.n_rows else []
    return list(_sorted_pieces(expert, path, columns, spill, number))


def _scanned(expert: str, path: Path, rows: int) -> SortedFile | None:
    """What is known of a file after its names were read once; None if they are not in order."""
    source, marks, before, n = str(path), list[tuple[int, str]](), "", 0
    for frame in batches(path, source, [ID], rows=rows):
        ids = frame[ID]
        check_named(ids, source, n)
        first, last = ids[0], ids[-1]
        later, earlier = ids.slice(1), ids.slice(0, len(ids) - 1)
        if (n and first < before) or (later < earlier).any():
            return None
        if (n and first == before) or (later == earlier).any():
            twice = before if n and first == before else later.filter(later == earlier)[0]
            raise InputError(f"{source}, column '{ID}': '{twice}' occurs twice")
        marks.append((n, first))
        n, before = n + len(ids), last
    with opened(path, source) as file:
        metadata = file.metadata
    sizes = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    ends = tuple(sum(sizes[: g + 1]) for g in range(len(sizes)))
    return SortedFile(expert, path, source, tuple(marks), before, n, ends)


def _sorted_pieces(
    expert: str, path: Path, columns: Sequence[str], spill: Path, number: int
) -> Iterator[SortedFile]:
    held: list[pl.DataFrame] = []
    rows, n, piece = max(BATCH, PIECE_BYTES // (8 * (len(columns) + 4))), 0, 0
    for frame in batches(path, str(path), [ID, *columns]):
        check_named(frame[ID], str(path), n)
        held.append(frame)
        n += len(frame)
        if sum(map(len, held)) >= rows:
            yield _piece(expert, path, held, spill / f"{number:06d}-{piece:06d}.parquet")
            held, piece = [], piece + 1
    if held:
        yield _piece(expert, path, held, spill / f"{number:06d}-{piece:06d}.parquet")


def _piece(expert: str, path: Path, held: Sequence[pl.DataFrame], to: Path) -> SortedFile:
    frame = pl.concat(held).sort(ID)
    ids = frame[ID]
    later = ids.slice(1)
    same = later == ids.slice(0, len(ids) - 1)
    if same.any():
        raise InputError(f"{path}, column '{ID}': '{later.filter(same)[0]}' occurs twice")
    n, step = len(ids), max(256, len(ids) // MARKS)
    table: pa.Table = frame.to_arrow()
    pq.write_table(table, to, row_group_size=step, compression="lz4", use_dictionary=False)
    marks = tuple((row, ids[row]) for row in range(0, n, step))
    ends = tuple(min(row + step, n) for row in range(0, n, step))
    return SortedFile(expert, to, str(path), marks, ids[-1], n, ends)
