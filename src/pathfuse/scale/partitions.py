"""Ranges of ``sample_id`` that are scored one by one, in any order, by any process."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pathfuse.scale.sorted_files import SortedFile

ROWS = 262_144
"""Rows of each expert in a range, about."""
GROUPS = 2
"""A range is at least as long as so many row groups: at its ends groups are read for a part alone."""


@dataclass(frozen=True)
class Span:
    """The part of a sorted file that may hold rows of a range."""

    expert: str
    path: Path
    source: str
    first_group: int
    """Number of the row group to begin with."""
    starts: str
    """The first ``sample_id`` that may come."""
    ends: str
    """The last that may come."""


@dataclass(frozen=True)
class Partition:
    """All rows whose ``sample_id`` lies in a range, of all experts."""

    number: int
    low: str | None
    """The first ``sample_id``; None: from the beginning."""
    high: str | None
    """The first ``sample_id`` of the next range; None: to the end."""
    spans: tuple[Span, ...]
    n_rows: int
    """Rows of all experts together, about."""


def partitions_of(files: Sequence[SortedFile], n_experts: int, rows: int = ROWS) -> list[Partition]:
    """Divides sorted files into ranges of about equal length.

    The ranges depend on the files alone, so that every process finds the same.

    Args:
        files: Of all experts.
        n_experts: How many there are.
        rows: Of each expert in a range, about.
    """
    largest = max(_largest_group(file) for file in files)
    bounds = _bounds(files, n_experts * max(rows, GROUPS * largest))
    ends: list[str | None] = [None, *(name for name, _ in bounds), None]
    sizes = [n for _, n in bounds]
    sizes.append(sum(file.n_rows for file in files) - sum(sizes))
    return [
        Partition(k, low, high, _spans(files, low, high), sizes[k])
        for k, (low, high) in enumerate(pairwise(ends))
    ]


def _largest_group(file: SortedFile) -> int:
    starts = (0, *file.group_ends)
    return max(end - start for start, end in zip(starts[:-1], file.group_ends, strict=True))


def _bounds(files: Sequence[SortedFile], rows: int) -> list[tuple[str, int]]:
    """Where ranges end, and about how many rows each has."""
    points: list[tuple[str, int]] = []
    for file in files:
        places = [row for row, _ in file.marks]
        for (row, name), end in zip(file.marks, [*places[1:], file.n_rows], strict=True):
            points.append((name, end - row))
    points.sort()
    bounds, n, before = list[tuple[str, int]](), 0, points[0][0]
    for name, following in points:
        if n >= rows and name > before:
            bounds.append((name, n))
            n, before = 0, name
        n += following
    return bounds


def _spans(files: Sequence[SortedFile], low: str | None, high: str | None) -> tuple[Span, ...]:
    spans = []
    for file in files:
        if (high is not None and file.first >= high) or (low is not None and file.last < low):
            continue
        row = 0
        if low is not None:
            row = file.marks[max(0, bisect_right([name for _, name in file.marks], low) - 1)][0]
        starts = file.first if low is None else max(low, file.first)
        spans.append(
            Span(
                file.expert,
                file.path,
                file.source,
                bisect_right(file.group_ends, row),
                starts,
                file.last,
            )
        )
    return tuple(spans)
