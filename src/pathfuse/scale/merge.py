"""The join of all experts' rows of a range, in blocks: memory does not grow with the range."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Int

from pathfuse.errors import InputError
from pathfuse.scale.parquet_files import BATCH, ID, batches
from pathfuse.scale.partitions import Partition, Span

Step: TypeAlias = dict[str, tuple[pl.DataFrame, str]]
"""Rows of a range by expert, and the file that they are from."""
LEAST = 256
"""Rows that are read of a file at a time, however many files there are."""


@dataclass(frozen=True)
class Rows:
    """One expert's rows in a block."""

    position: Int[np.ndarray, " row"]
    """Where each stands among the block's samples."""
    frame: pl.DataFrame
    source: str
    """The file, or the first of several."""


@dataclass(frozen=True)
class Block:
    """Neighbouring samples with every expert's rows of them."""

    ids: pl.Series
    """Sorted, without repeats."""
    experts: Mapping[str, Rows]
    """By name; an expert that scored none of them is not in it."""


@dataclass
class _Reader:
    """The rows of a file that lie in the range, a batch at a time."""

    span: Span
    frames: Iterator[pl.DataFrame]
    rest: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def last(self) -> str:
        """The last ``sample_id`` that was read."""
        return str(self.rest[ID][-1])

    def fill(self) -> bool:
        """Reads on if nothing is left; False at the end."""
        while not self.rest.height:
            frame = next(self.frames, None)
            if frame is None:
                return False
            self.rest = frame
        return True

    def take(self, limit: str) -> pl.DataFrame:
        """The rows up to a ``sample_id``."""
        n = self.rest[ID].search_sorted(limit, side="right")
        taken, self.rest = self.rest.head(n), self.rest.slice(n)
        return taken


def blocks(
    partition: Partition, columns: Mapping[str, Sequence[str]], rows: int = BATCH
) -> Iterator[Block]:
    """All samples of a range, in order.

    Args:
        partition: The range.
        columns: Per expert the columns to read, without ``sample_id``.
        rows: Samples of a block, at most.

    Raises:
        InputError: A sample occurs twice in the rows of one expert, or a file is damaged.
    """
    for step in _together(_steps(partition, columns, rows), rows):
        ids = _union([frame[ID] for frame, _ in step.values()])
        placed = {
            name: Rows(ids.search_sorted(frame[ID]).to_numpy(), frame, source)
            for name, (frame, source) in step.items()
        }
        for start in range(0, len(ids), rows):
            end = min(start + rows, len(ids))
            parts = {name: _slice(one, start, end) for name, one in placed.items()}
            yield Block(
                ids.slice(start, end - start), {k: v for k, v in parts.items() if v.frame.height}
            )


def _slice(rows: Rows, start: int, end: int) -> Rows:
    first, last = np.searchsorted(rows.position, [start, end])
    return Rows(
        rows.position[first:last] - start, rows.frame.slice(first, last - first), rows.source
    )


def _union(names: Sequence[pl.Series]) -> pl.Series:
    first = names[0]
    if all(one.equals(first) for one in names[1:]):
        return first
    return pl.concat(names).unique().sort()


def _together(steps: Iterator[Step], rows: int) -> Iterator[Step]:
    """Steps of many files are short: several are one, as soon as an expert has so many rows."""
    held: list[Step] = []
    for step in steps:
        held.append(step)
        if max(sum(len(one[name][0]) for one in held if name in one) for name in step) >= rows:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(steps: Sequence[Step]) -> Step:
    if len(steps) == 1:
        return steps[0]
    names = dict.fromkeys(name for step in steps for name in step)
    parts = {name: [step[name] for step in steps if name in step] for name in names}
    return {
        name: (pl.concat([frame for frame, _ in own], rechunk=True), own[0][1])
        for name, own in parts.items()
    }


def _steps(partition: Partition, columns: Mapping[str, Sequence[str]], rows: int) -> Iterator[Step]:
    """Rows of all experts up to a name that no unread row comes before; each step empties a batch."""
    waiting = sorted(partition.spans, key=lambda span: span.starts)
    n_of = _files_at_a_time(waiting)
    reading: list[_Reader] = []

    def begin(span: Span) -> None:
        n = max(min(LEAST, rows), rows // n_of[span.expert])
        reader = _Reader(span, _in_range(partition, span, columns[span.expert], n))
        if reader.fill():
            reading.append(reader)

    while reading or waiting:
        if not reading:
            begin(waiting.pop(0))
            continue
        limit = min(reader.last for reader in reading)
        if waiting and waiting[0].starts <= limit:
            begin(waiting.pop(0))
            continue
        taken = [(reader.span, reader.take(limit)) for reader in reading]
        reading = [reader for reader in reading if reader.fill()]
        yield _by_expert([(span, frame) for span, frame in taken if frame.height])


def _files_at_a_time(spans: Sequence[Span]) -> dict[str, int]:
    """How many files of each expert are read at the same time, at most."""
    most: dict[str, int] = {}
    for name in {span.expert for span in spans}:
        own = [span for span in spans if span.expert == name]
        ends = sorted(span.ends for span in own)
        begun = sorted(span.starts for span in own)
        most[name] = max(n + 1 - bisect_left(ends, start) for n, start in enumerate(begun))
    return most


def _in_range(
    partition: Partition, span: Span, columns: Sequence[str], rows: int
) -> Iterator[pl.DataFrame]:
    for frame in batches(span.path, span.source, [ID, *columns], span.first_group, rows):
        ids, start, end = frame[ID], 0, frame.height
        if partition.low is not None and ids[0] < partition.low:
            start = ids.search_sorted(partition.low, side="left")
        if partition.high is not None and ids[-1] >= partition.high:
            end = ids.search_sorted(partition.high, side="left")
        if end > start:
            yield frame.slice(start, end - start)
        if end < frame.height:
            return


def _by_expert(taken: Sequence[tuple[Span, pl.DataFrame]]) -> Step:
    parts: dict[str, list[tuple[Span, pl.DataFrame]]] = {}
    for span, frame in taken:
        parts.setdefault(span.expert, []).append((span, frame))
    return {name: (_merged(own), own[0][0].source) for name, own in parts.items()}


def _merged(parts: Sequence[tuple[Span, pl.DataFrame]]) -> pl.DataFrame:
    """Rows of several files of one expert, in order.

    Raises:
        InputError: A sample is in two of them.
    """
    if len(parts) == 1:
        return parts[0][1]
    frame = pl.concat([part for _, part in parts]).sort(ID)
    later = frame[ID].slice(1)
    same = later == frame[ID].slice(0, len(later))
    if same.any():
        twice = later.filter(same)[0]
        where = sorted({span.source for span, part in parts if (part[ID] == twice).any()})
        raise InputError(f"column '{ID}': '{twice}' occurs twice, in {' and in '.join(where)}")
    return frame
