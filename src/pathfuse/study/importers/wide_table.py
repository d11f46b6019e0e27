"""A leaderboard: one row per model and one column per task, or the reverse."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.importers.scoreboard import Scoreboard, checked, frame_of, names_column
from pathfuse.study.importers.words import (
    METHODS,
    STUDIES,
    column_of,
    is_property,
    loss_in,
    measure_of,
    number_in,
)

NAME = "wide_table"
Values: TypeAlias = "Sequence[float | None]"
FEWEST = 2
PER_CENT = 100.0
LEAST_FILLED = 0.5
"""Share of the cells of a column that must be numbers for it to be one of scores."""


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns may be of this kind; its cells must be numbers, too."""
    named = column_of(columns, METHODS) or column_of(columns, STUDIES)
    return named is not None and len(columns) > FEWEST


def read(table: Table) -> Scoreboard:
    """Reads the table. Values have no name: higher is taken as better, unless the tasks' names say a loss.

    Properties of models and of data sets (parameters, slides, a mean over tasks) are passed over.

    Raises:
        InputError: A name is empty or occurs twice, fewer than two columns hold scores, or it is in
            doubt whether one does.
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
    idle = [name for name, values in cells.items() if is_property(name) or not _filled(values)]
    idle += _of_another_kind(table.source, {n: v for n, v in cells.items() if n not in idle})
    scored = [name for name in cells if name not in idle]
    if len(scored) < FEWEST:
        raise InputError(
            f"{table.source}: a leaderboard has a column of numbers for each task or method; here {len(scored)} of the "
            f"columns {', '.join(cells)} hold numbers"
            f"{' of that kind' if any(_filled(cells[name]) for name in idle) else ''}"
        )
    rows = list(range(len(names)))
    passed: list[str] = []
    if not method:  # rows are tasks
        found = {name: [cells[c][row] for c in scored] for row, name in enumerate(names)}
        passed = [name for name in names if is_property(name)]
        left = {name: values for name, values in found.items() if name not in passed}
        passed += _of_another_kind(table.source, left)
        rows = [row for row in rows if names[row] not in passed]
    return _board(table, names, scored, cells, rows, bool(method), idle, passed)


def _filled(values: Values) -> bool:
    return sum(value is not None for value in values) >= LEAST_FILLED * len(values)


def _of_another_kind(source: str, cells: Mapping[str, Values]) -> list[str]:
    """Columns, or rows, whose numbers are too large to be scores, since the others are shares or per cent.

    Raises:
        InputError: The numbers of one are above 1 and may be per cent, while those of the others are
            not.
    """
    known = {
        name: [abs(value) for value in values if value is not None]
        for name, values in cells.items()
        if loss_in(name) is None
    }
    known = {name: values for name, values in known.items() if values}
    shares = [name for name, values in known.items() if max(values) <= 1]
    per_cent = [name for name, values in known.items() if 1 < max(values) <= PER_CENT]
    large = [name for name, values in known.items() if min(values) > PER_CENT]
    if 2 * len(shares) > len(known) and len(shares) >= FEWEST:
        doubtful = [n for n, values in known.items() if min(values) > 1 and n not in large]
        if doubtful:
            lowest, highest = min(known[doubtful[0]]), max(known[doubtful[0]])
            raise InputError(
                f"{source}: '{doubtful[0]}' has numbers from {lowest:g} to {highest:g}, while those of {shares[0]} and "
                f"{len(shares) - 1} more lie between 0 and 1: is it a score? Take it out of the table, or write all "
                "scores as shares or all in per cent"
            )
        return large
    return large if 2 * len(per_cent) > len(known) and len(per_cent) >= FEWEST else []


def _board(
    table: Table,
    names: Sequence[str],
    scored: Sequence[str],
    cells: Mapping[str, Values],
    kept: Sequence[int],
    of_methods: bool,
    idle: Sequence[str],
    passed: Sequence[str],
) -> Scoreboard:
    """The scores of the columns and rows that are kept, with what was understood."""
    pairs = [(names[row], column) for column in scored for row in kept]
    values = [cells[column][row] for column in scored for row in kept]
    studies = [column if of_methods else row for row, column in pairs]
    methods = [row if of_methods else column for row, column in pairs]
    metric, better = measure_of(table.source, list(dict.fromkeys(studies)))
    none: list[float | None] = [None] * len(values)
    frame = frame_of([studies, studies, methods, [metric] * len(values), values, none, none])
    scores, empty = checked(table.source, frame)
    rows, columns, one = (
        ("methods", "studies", "study") if of_methods else ("studies", "methods", "method")
    )
    notes = [f"{table.source}: rows are {rows}, columns are {columns}; {better}"]
    if idle:
        notes.append(f"{table.source}: columns that are no scores of a {one}: {', '.join(idle)}")
    if passed:
        notes.append(f"{table.source}: rows that are no scores of a study: {', '.join(passed)}")
    return Scoreboard(
        table.source,
        NAME,
        scores,
        {table.source: table.sha256},
        metric,
        empty_cells=empty,
        notes=tuple(notes),
    )
