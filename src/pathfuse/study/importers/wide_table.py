"""A leaderboard: one row per model and one column per task, or the reverse."""

from collections.abc import Sequence

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.importers.scoreboard import Scoreboard, checked, frame_of, names_column
from pathfuse.study.importers.words import METHODS, SCORE, STUDIES, column_of, number_in

NAME = "wide_table"
IDLE = ("average", "avg", "avg.", "mean", "overall", "total", "rank", "mean_rank", "avg_rank", "average_rank", "params",
        "parameters", "n_params", "embed_dim", "dim", "year", "n", "std", "index", "unnamed:_0", "")  # fmt: skip
"""Columns of numbers that are no task: means over tasks, sizes of models."""
FEWEST = 2
LEAST_FILLED = 0.5
"""Share of the cells of a column that must be numbers for it to be one of scores."""


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns may be of this kind; its cells must be numbers, too."""
    named = column_of(columns, METHODS) or column_of(columns, STUDIES)
    return named is not None and len(columns) > FEWEST


def read(table: Table) -> Scoreboard:
    """Reads the table. Values have no name: higher is taken as better.

    Raises:
        InputError: A name is empty or occurs twice, or fewer than two columns hold numbers.
    """
    header = table.frame.columns
    method, study = column_of(header, METHODS), column_of(header, STUDIES)
    if method is not None and study is not None:
        raise InputError(
            f"{table.source} has a column '{method}' of methods and a column '{study}' of studies; with both, it needs "
            "the columns study,method,metric,value"
        )
    own = method or study
    if own is None:
        raise InputError(f"{table.source} has no column of methods or studies")
    names = names_column(table, own)
    cells = {
        name: [number_in(cell) for cell in text_column(table, name)]
        for name in header
        if name != own
    }
    scored = [
        name
        for name, values in cells.items()
        if name.lower().strip().replace(" ", "_") not in IDLE
        and sum(value is not None for value in values) >= LEAST_FILLED * len(values)
    ]
    if len(scored) < FEWEST:
        raise InputError(
            f"{table.source}: a leaderboard has a column of numbers for each task or method; here {len(scored)} of the "
            f"columns {', '.join(cells)} hold numbers"
        )
    pairs = [(row, column) for column in scored for row in names]
    studies, methods = zip(*((c, r) if method else (r, c) for r, c in pairs), strict=True)
    values = [value for column in scored for value in cells[column]]
    none: list[float | None] = [None] * len(values)
    frame = frame_of([studies, studies, methods, [SCORE] * len(values), values, none, none])
    scores, empty = checked(table.source, frame)
    rows, columns, one = (
        ("methods", "studies", "study") if method else ("studies", "methods", "method")
    )
    better = "no metric is named, and higher is taken as better (otherwise --lower-is-better)"
    notes = [f"{table.source}: rows are {rows}, columns are {columns}; {better}"]
    idle = [name for name in cells if name not in scored]
    if idle:
        notes.append(f"{table.source}: columns that are no scores of a {one}: {', '.join(idle)}")
    return Scoreboard(
        table.source,
        NAME,
        scores,
        {table.source: table.sha256},
        SCORE,
        empty_cells=empty,
        notes=tuple(notes),
    )
