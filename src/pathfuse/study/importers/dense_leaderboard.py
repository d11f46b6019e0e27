"""The leaderboard that ``pathfuse dense run`` writes.

A study is a data set under one strategy, and the strategies of a data set share its images, hence
its cohort. Where several seeds were trained, the line of all of them counts.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pathfuse.files.tables import Table, column_names, read_table
from pathfuse.study.importers.scoreboard import (
    PAIRED,
    Scoreboard,
    checked,
    frame_of,
    interval_columns,
    names_column,
    numbers_column,
)

NAME = "dense_leaderboard"
KEYS = ("dataset", "strategy", "seed")
NEEDED = {*KEYS, "model", "kind", "metric", "value", "ci_low", "ci_high", "n_images"}
OF_CLASSES = "output"
"""A column of its table of single classes, whose lines are no scores of a study."""
LEADERBOARD, PAIRS = "leaderboard.csv", "comparisons.csv"
"""The table, and paired differences in the same folder."""
PAIRS_NEEDED = {*KEYS, "method", "reference", "metric", "ci_low", "ci_high"}
ALL_SEEDS = "all"
METRIC = "mDice"
"""What is ranked by unless another metric is asked for."""


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is such a leaderboard."""
    return set(columns) >= NEEDED and OF_CLASSES not in columns


def find(folder: Path) -> Path | None:
    """The leaderboard of a folder that ``dense run`` wrote; its other tables hold no scores."""
    file = folder / LEADERBOARD
    return file if file.is_file() and recognises(column_names(file)) else None


def read(table: Table) -> Scoreboard:
    """Reads the leaderboard, and the paired differences that lie next to it.

    Raises:
        InputError: A cell is empty or no number, or a model occurs twice in a study.
    """
    table = _over_seeds(table)
    cohorts, studies = names_column(table, "dataset"), _studies(table)
    methods, metrics = names_column(table, "model"), names_column(table, "metric")
    rows = [f"study '{s}', method '{m}'" for s, m in zip(studies, methods, strict=True)]
    limits = interval_columns(table, "ci_low", "ci_high", rows)
    values = numbers_column(table, "value", rows)
    scores, empty = checked(
        table.source, frame_of([studies, cohorts, methods, metrics, values, *limits])
    )
    inputs, paired = {table.source: table.sha256}, pl.DataFrame(schema=PAIRED)
    beside = Path(table.source).with_name(PAIRS)
    if beside.is_file():
        differences = _over_seeds(read_table(beside))
        if set(differences.frame.columns) >= PAIRS_NEEDED:
            paired = _paired(differences)
            inputs[differences.source] = differences.sha256
    default = METRIC if METRIC in metrics else None
    return Scoreboard(table.source, NAME, scores, inputs, default, paired, empty_cells=empty)


def _studies(table: Table) -> list[str]:
    return [
        f"{dataset}/{strategy}"
        for dataset, strategy in zip(
            names_column(table, "dataset"), names_column(table, "strategy"), strict=True
        )
    ]


def _over_seeds(table: Table) -> Table:
    """The lines of all seeds where there are such, else those of the only seed."""
    if not set(table.frame.columns) >= set(KEYS):
        return table
    whole = pl.col("seed").cast(pl.String) == ALL_SEEDS
    kept = table.frame.filter(whole | ~whole.any().over("dataset", "strategy"))
    return Table(**{**table.__dict__, "frame": kept})


def _paired(table: Table) -> pl.DataFrame:
    studies, methods = _studies(table), names_column(table, "method")
    rows = [f"study '{s}', method '{m}'" for s, m in zip(studies, methods, strict=True)]
    low, high = interval_columns(table, "ci_low", "ci_high", rows)
    columns = {
        "study": studies,
        "metric": names_column(table, "metric"),
        "method": methods,
        "reference": names_column(table, "reference"),
        "ci_low": low,
        "ci_high": high,
    }
    return pl.DataFrame(columns, schema=PAIRED).drop_nulls()
