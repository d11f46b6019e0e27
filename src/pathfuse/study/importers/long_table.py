"""A long table of scores: ``study,method,metric,value``, also by other names (``task``, ``model``,
``score``), and if known ``ci_low,ci_high`` and ``cohort``.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.importers.runs import averaged
from pathfuse.study.importers.scoreboard import (
    Scoreboard,
    checked,
    frame_of,
    interval_columns,
    names_column,
    numbers_column,
)
from pathfuse.study.importers.words import (
    METHODS,
    METRIC,
    RUNS,
    STUDIES,
    VALUES,
    column_of,
    is_average,
    summaries,
)

NAME = "long_table"
NEEDED = ("study", "method", "metric", "value")


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is of this kind."""
    return _called(columns) is not None


def _called(columns: Sequence[str]) -> dict[str, str] | None:
    """What a table calls the columns that are needed; None if it lacks one.

    Names of other tools count only all together: a leaderboard may have a column ``metric``, too.
    """
    if set(columns) >= set(NEEDED):
        return {name: name for name in NEEDED}
    words = dict(zip(NEEDED, (STUDIES, METHODS, METRIC, VALUES), strict=True))
    found = {name: column for name, own in words.items() if (column := column_of(columns, own))}
    return found if len(found) == len(NEEDED) else None


def read(table: Table) -> Scoreboard:
    """Reads the table.

    An empty value is a method that was not judged there, an empty cohort the study itself. Rows that
    differ in a column such as ``seed`` are runs, which are averaged.

    Raises:
        InputError: A name is empty, a value no number, a method occurs twice in a study, or a study
            has two cohorts.
    """
    called = _called(table.frame.columns) or {}
    others = {column: name for name, column in called.items() if column != name}
    table = replace(table, frame=table.frame.rename(others))
    said = [f"'{column}' as {name}" for column, name in others.items()]
    more = [f"{table.source}: {', '.join(said)} is taken"] if said else []
    table, passed = _without_averages(table)
    more += passed
    studies, methods, metrics = (names_column(table, column) for column in NEEDED[:3])
    rows = [f"study '{s}', method '{m}'" for s, m in zip(studies, methods, strict=True)]
    there = table.frame.columns
    given = text_column(table, "cohort") if "cohort" in there else [None] * len(rows)
    cohorts = [cohort or study for cohort, study in zip(given, studies, strict=True)]
    limits = [column for column in ("ci_low", "ci_high") if column in there]
    if len(limits) == 1:
        raise InputError(
            f"{table.source} has a column '{limits[0]}' but not the other limit; its columns are {', '.join(there)}"
        )
    none: list[float | None] = [None] * len(rows)
    low, high = interval_columns(table, "ci_low", "ci_high", rows) if limits else (none, none)
    values = numbers_column(table, "value", rows)
    frame = frame_of([studies, cohorts, methods, metrics, values, low, high])
    only = metrics[0] if len(set(metrics)) == 1 else None
    run = column_of(there, RUNS)
    if run is not None and frame.select(*NEEDED[:3]).is_duplicated().any():
        runs = [one or "" for one in text_column(table, run)]
        means, spread, notes = averaged(table.source, frame, runs, run)
        scores, _ = checked(table.source, means)
        inputs = {table.source: table.sha256}
        said_of = (*more, *notes)
        return Scoreboard(table.source, NAME, scores, inputs, only, runs=spread, notes=said_of)
    scores, empty = checked(table.source, frame)
    inputs = {table.source: table.sha256}
    return Scoreboard(
        table.source, NAME, scores, inputs, only, empty_cells=empty, notes=tuple(more)
    )


def _without_averages(table: Table) -> tuple[Table, list[str]]:
    """The table without rows whose study is named after a mean over the others, and without a method
    that is named after one and has its values.
    """
    notes = []
    for column, kind in (("study", "study"), ("method", "model")):
        names = list(dict.fromkeys(names_column(table, column)))
        means = [name for name in names if is_average(name)]
        if column == "method" and means:
            called, means = means, _fitting(table, means)
            kept = [name for name in called if name not in means]
            if kept:
                notes.append(
                    f"{table.source}: by their values these are methods, although the names may say something else: "
                    f"{', '.join(kept)}"
                )
        if means and len(means) < len(names):
            table = replace(table, frame=table.frame.filter(~pl.col(column).is_in(means)))
            notes.append(f"{table.source}: rows that are no scores of a {kind}: {', '.join(means)}")
    return table, notes


def _fitting(table: Table, means: Sequence[str]) -> list[str]:
    """Methods named after a mean whose values are the mean of the other methods' values."""
    number = pl.col("value").cast(pl.String).cast(pl.Float64, strict=False)
    values = table.frame.group_by(NEEDED[:3], maintain_order=True).agg(number.mean())
    places: dict[tuple[str, str], int] = {}
    for study, _, metric, _ in values.iter_rows():
        places.setdefault((study, metric), len(places))
    rows: dict[str, list[float | None]] = {}
    for study, method, metric, value in values.select(*NEEDED).iter_rows():
        rows.setdefault(method, [None] * len(places))[places[study, metric]] = value
    found = summaries(rows, of_methods=True, by_values=True)
    return [name for name in means if name in found]
