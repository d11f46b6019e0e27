"""The published table of 32 foundation models on 41 pathology tasks (gevaertlab,
benchmarking-path-models).

A study is a task; tasks of one cancer type share a cohort.
"""

from collections.abc import Sequence

from pathfuse.files.tables import Table
from pathfuse.study.importers.scoreboard import Scoreboard, names_column, wide_scores

NAME = "task_table"
NEEDED = {"ModelName_short", "Task_short", "Cancer", "AUROC", "AUROC_lower", "AUROC_upper"}


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is of this kind."""
    return set(columns) >= NEEDED


def read(table: Table) -> Scoreboard:
    """Reads every metric that has limits.

    Raises:
        InputError: A cell is empty or no number, or a model occurs twice in a task.
    """
    studies, cohorts = names_column(table, "Task_short"), names_column(table, "Cancer")
    there = table.frame.columns
    metrics = [
        (n, f"{n}_lower", f"{n}_upper") for n in there if {f"{n}_lower", f"{n}_upper"} <= set(there)
    ]
    scores, empty = wide_scores(
        table, studies, cohorts, names_column(table, "ModelName_short"), metrics
    )
    return Scoreboard(
        table.source, NAME, scores, {table.source: table.sha256}, "AUROC", empty_cells=empty
    )
