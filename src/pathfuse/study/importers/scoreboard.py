"""Scores of many methods on many studies, as every reader hands them over.

Checks that all readers share.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column

SCORES = {
    "study": pl.String,
    "cohort": pl.String,
    "method": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
}
"""Columns of ``Scoreboard.scores``."""
PAIRED = {
    "study": pl.String,
    "metric": pl.String,
    "method": pl.String,
    "reference": pl.String,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
}
"""Columns of ``Scoreboard.paired``."""
RUNS_SCHEMA = {
    "study": pl.String,
    "method": pl.String,
    "metric": pl.String,
    "n": pl.Int64,
    "sd": pl.Float64,
}
"""Columns of ``Scoreboard.runs``."""


@dataclass(frozen=True)
class Scoreboard:
    """What one source says."""

    source: str
    """The file or folder, as a person would name it."""
    format: str
    scores: pl.DataFrame
    """Columns as in ``SCORES``; a cell without a value is absent; interval limits are null where
    there is none."""
    inputs: dict[str, str | None]
    """Every file that was read, with its SHA-256."""
    default_metric: str | None = None
    """What to rank by if nothing else is asked for; None if the source does not say."""
    paired: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAIRED))
    """Intervals of paired differences, method minus reference; columns as in ``PAIRED``."""
    experts: frozenset[str] = frozenset()
    """Methods that are single experts of a ``fuse`` or ``evaluate`` run."""
    empty_cells: tuple[str, ...] = ()
    """Cells without a value, as ``study/method/metric``."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Study to what it predicts, where the source tells: the kind of endpoint, of numbers with the
    targets' names."""
    runs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RUNS_SCHEMA))
    """Where values are means of runs: how many, and their standard deviation."""
    notes: tuple[str, ...] = ()
    """How the source was understood, a sentence each."""


def names_column(table: Table, column: str) -> list[str]:
    """A column of names.

    Raises:
        InputError: A cell is empty.
    """
    names = text_column(table, column)
    empty = next((row for row, name in enumerate(names) if name is None), None)
    if empty is not None:
        raise InputError(f"{table.source}, column '{column}': row {empty + 1} is empty")
    return [name for name in names if name is not None]


def numbers_column(table: Table, column: str, rows: Sequence[str]) -> list[float | None]:
    """A column of finite numbers; None where empty.

    Args:
        table: The table.
        column: Its column.
        rows: What each row is about, for the sentence.

    Raises:
        InputError: A cell is not a finite number.
    """
    numbers: list[float | None] = []
    for row, text in zip(rows, text_column(table, column), strict=True):
        try:
            value = (
                None if text is None else float(text.replace("_", "?"))
            )  # Python would read 1_0 as 10
        except ValueError:
            value = math.inf
        if value is not None and math.isinf(value):
            raise InputError(f"{table.source}, column '{column}', {row}: '{text}' is not a number")
        numbers.append(None if value is None or math.isnan(value) else value)
    return numbers


def interval_columns(
    table: Table, low: str, high: str, rows: Sequence[str]
) -> tuple[list[float | None], list[float | None]]:
    """Both limits of intervals; a limit without the other is not an interval.

    Raises:
        InputError: A cell is not a number, or the lower limit lies above the upper.
    """
    limits: list[tuple[float | None, float | None]] = []
    for row, *pair in zip(
        rows, numbers_column(table, low, rows), numbers_column(table, high, rows), strict=True
    ):
        if pair[0] is None or pair[1] is None:
            limits.append((None, None))
            continue
        if pair[0] > pair[1]:
            raise InputError(
                f"{table.source}, columns '{low}' and '{high}', {row}: {pair[0]:g} lies above {pair[1]:g}"
            )
        limits.append((pair[0], pair[1]))
    return [first for first, _ in limits], [last for _, last in limits]


def wide_scores(
    table: Table,
    studies: list[str],
    cohorts: list[str],
    methods: list[str],
    metrics: Sequence[tuple[str, str, str]],
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Scores of a table with one column per metric.

    Args:
        table: The table.
        studies: Per row.
        cohorts: Per row.
        methods: Per row.
        metrics: Columns of value, lower and upper limit; the first is the metric's name.

    Returns:
        Scores, and the cells without a value.
    """
    rows = [f"study '{s}', method '{m}'" for s, m in zip(studies, methods, strict=True)]
    frames = []
    for name, low, high in metrics:
        limits = interval_columns(table, low, high, rows)
        columns: list[list[Any]] = [
            studies,
            cohorts,
            methods,
            [name] * len(rows),
            numbers_column(table, name, rows),
            *limits,
        ]
        frames.append(frame_of(columns))
    return checked(table.source, pl.concat(frames))


def frame_of(columns: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Scores from columns in the order of ``SCORES``."""
    return pl.DataFrame(dict(zip(SCORES, columns, strict=True)), schema=SCORES)


def checked(source: str, scores: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Scores without empty cells, and which cells those were.

    Raises:
        InputError: A method occurs twice in a study, or a study has two cohorts.
    """
    key = ["study", "method", "metric"]
    twice = scores.filter(pl.struct(key).is_duplicated())
    if twice.height:
        study, method, metric = twice.select(key).row(0)
        raise InputError(
            f"{source}: study '{study}' has the method '{method}' twice (metric '{metric}')"
        )
    torn = scores.group_by("study", maintain_order=True).agg(
        pl.col("cohort").unique(maintain_order=True)
    )
    torn = torn.filter(pl.col("cohort").list.len() > 1)
    if torn.height:
        study, cohorts = torn.row(0)
        raise InputError(
            f"{source}, column 'cohort': study '{study}' has two cohorts, '{cohorts[0]}' and '{cohorts[1]}'"
        )
    empty = scores.filter(pl.col("value").is_null())
    return scores.filter(pl.col("value").is_not_null()), tuple(
        "/".join(row) for row in empty.select(key).iter_rows()
    )
