"""The leaderboard of PFM-DenseBench (docs/design/densebench.md, section 6).

A study is a data set under one adaptation strategy; the strategies of a data set share its images,
hence its cohort.
"""

from collections.abc import Sequence

from pathfuse.files.tables import Table
from pathfuse.study.importers.scoreboard import Scoreboard, names_column, wide_scores

NAME = "densebench"
NEEDED = {"dataset", "strategy", "model", "Mean_Dice", "Mean_Dice_lo", "Mean_Dice_hi"}


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is the leaderboard."""
    return set(columns) >= NEEDED


def read(table: Table) -> Scoreboard:
    """Reads the leaderboard.

    Raises:
        InputError: A cell is empty or no number, or a model occurs twice in a study.
    """
    cohorts, strategies = names_column(table, "dataset"), names_column(table, "strategy")
    studies = [f"{cohort}/{strategy}" for cohort, strategy in zip(cohorts, strategies, strict=True)]
    there = table.frame.columns
    metrics = [
        (name, f"{name}_lo", f"{name}_hi")
        for name in there
        if {f"{name}_lo", f"{name}_hi"} <= set(there)
    ]
    scores, empty = wide_scores(table, studies, cohorts, names_column(table, "model"), metrics)
    return Scoreboard(
        table.source, NAME, scores, {table.source: table.sha256}, "Mean_Dice", empty_cells=empty
    )
