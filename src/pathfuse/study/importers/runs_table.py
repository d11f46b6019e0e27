"""A table of runs: one row per study, method and seed, with a column for each metric."""

from collections.abc import Sequence

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.importers.runs import averaged
from pathfuse.study.importers.scoreboard import Scoreboard, frame_of, names_column, numbers_column
from pathfuse.study.importers.words import METHODS, OF_TEST, RUNS, STUDIES, column_of, metric_of

NAME = "runs_table"


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is of this kind."""
    found = [column_of(columns, words) for words in (STUDIES, METHODS, RUNS)]
    return None not in found and bool(_metrics(columns))


def _metrics(columns: Sequence[str]) -> dict[str, str]:
    """Metrics and their columns; those of test rows where there are others."""
    found = {name: metric for name in columns if (metric := metric_of(name)) is not None}
    tested = {name: metric for name, metric in found.items() if name.lower().startswith(OF_TEST)}
    return {metric: name for name, metric in (tested or found).items()}


def read(table: Table) -> Scoreboard:
    """Reads the table; runs are averaged.

    Raises:
        InputError: A name is empty, a value no number, or a run occurs twice.
    """
    header = table.frame.columns
    study, method, run = (column_of(header, words) for words in (STUDIES, METHODS, RUNS))
    if study is None or method is None or run is None:
        raise InputError(f"{table.source} is not a table of runs")
    studies, methods = names_column(table, study), names_column(table, method)
    rows = [f"study '{s}', method '{m}'" for s, m in zip(studies, methods, strict=True)]
    runs = [one or "" for one in text_column(table, run)]
    none: list[float | None] = [None] * len(rows)
    metrics = _metrics(header)
    frames = [
        frame_of(
            [
                studies,
                studies,
                methods,
                [metric] * len(rows),
                numbers_column(table, name, rows),
                none,
                none,
            ]
        )
        for metric, name in metrics.items()
    ]
    scores, spread, notes = averaged(table.source, pl.concat(frames), runs * len(frames), run)
    taken = f"{table.source}: '{study}' is taken as study, '{method}' as method"
    only = next(iter(metrics)) if len(metrics) == 1 else None
    return Scoreboard(
        table.source,
        NAME,
        scores,
        {table.source: table.sha256},
        only,
        runs=spread,
        notes=(taken, *notes),
    )
