"""A leaderboard: one row per model and one column per task, or the reverse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.importers.measures import Measures, measures_of
from pathfuse.study.importers.metric_names import find_metric
from pathfuse.study.importers.printed_cells import Values, read_cells
from pathfuse.study.importers.runs import averaged
from pathfuse.study.importers.scoreboard import Scoreboard, checked, frame_of, names_column
from pathfuse.study.importers.spreads import about_others, check_none_alone
from pathfuse.study.importers.words import (
    METHODS,
    METRIC,
    RUNS,
    STUDIES,
    column_of,
    is_average,
    is_property,
    properties,
    summaries,
)

NAME = "wide_table"
FEWEST = 2
PER_CENT = 100.0
LEAST_FILLED = 0.5
"""Share of the cells of a column that must be numbers for it to be one of scores."""


@dataclass(frozen=True)
class _Board:
    """What of a leaderboard holds scores."""

    table: Table
    names: Sequence[str]
    """Of the rows."""
    of_methods: bool
    """Whether rows are methods and columns are studies."""
    cells: Mapping[str, Values]
    """Columns that hold scores."""
    rows: Sequence[int]
    """Rows that hold scores."""
    notes: list[str] = field(default_factory=list)

    def studies(self) -> dict[str, list[tuple[str, int]]]:
        """Column and row of every value, by study."""
        if self.of_methods:
            return {column: [(column, row) for row in self.rows] for column in self.cells}
        columns = [c for c in self.cells if (m := find_metric(c)) is None or not m.lower_is_better]
        return {self.names[row]: [(column, row) for column in columns] for row in self.rows}

    def column(self, words: Sequence[str]) -> list[str] | None:
        """Words of the rows that are kept, from the column that says something; None without it."""
        name = column_of(self.table.frame.columns, words)
        if name is None or name in self.cells:
            return None
        texts = text_column(self.table, name)
        return [texts[row] or "" for row in self.rows]


def recognises(columns: Sequence[str]) -> bool:
    """Whether a table with these columns may be of this kind; its cells must be numbers, too."""
    named = column_of(columns, METHODS) or column_of(columns, STUDIES)
    return named is not None and len(columns) > FEWEST


def read(table: Table) -> Scoreboard:
    """Reads the table.

    Properties of models and of data sets (parameters, slides), means over tasks and models, and
    columns about others (``crc_std``, ``crc CI low``, ``crc rank``) are passed over. The
    metric is asked of the names.

    Raises:
        InputError: A name is empty or occurs twice, fewer than two columns hold scores, a cell is
            not understood, or it is in doubt whether a column holds scores.
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
    about = {own, column_of(header, METRIC), column_of(header, RUNS)}
    cells = read_cells(table, names, [name for name in header if name not in about])
    values = cells.values
    aside = properties(values, of_methods=method is None)
    idle = [name for name, own in values.items() if name in aside or not _filled(own)]
    of_rows = {
        name: [own[row] for n, own in values.items() if n not in idle]
        for row, name in enumerate(names)
    }
    odd = properties(of_rows, of_methods=method is not None)
    ordinary = [row for row, name in enumerate(names) if name not in odd]
    scores = {n: [own[row] for row in ordinary] for n, own in values.items() if n not in aside}
    idle += summaries(
        {n: own for n, own in scores.items() if n not in idle}, of_methods=method is None
    )
    known = {name: own for name, own in values.items() if name not in idle}
    about_scores = about_others(table.source, scores)
    cells.check_unread([name for name in idle if name not in aside and name not in about_scores])
    idle = [name for name in idle if name not in about_scores]
    known = {name: own for name, own in known.items() if name not in about_scores}
    check_none_alone(table.source, list(known))
    idle += _of_another_kind(table.source, known)
    scored = {name: own for name, own in known.items() if name not in idle}
    if len(scored) < FEWEST:
        raise InputError(
            f"{table.source}: a leaderboard has a column of numbers for each task or method; here {len(scored)} of the "
            f"columns {', '.join(values)} hold numbers"
            f"{' of that kind' if any(_filled(values[name]) for name in idle) else ''}"
        )
    passed = _passed(table.source, names, scored, bool(method))
    rows = [row for row in range(len(names)) if names[row] not in passed]
    board = _Board(table, names, bool(method), scored, rows)
    cells.check(list(scored), rows)
    if column_of(header, METRIC) is None:
        for name, places in board.studies().items():
            cells.check_scale(name, places)
    board.notes.extend(_left_out(board, idle, list(about_scores), passed))
    board.notes.extend(cells.notes(list(scored)))
    return _scoreboard(board)


def _left_out(
    board: _Board, idle: Sequence[str], about_scores: Sequence[str], passed: Sequence[str]
) -> list[str]:
    """Which columns and rows are left out, a sentence per reason."""
    column, row = ("study", "model") if board.of_methods else ("method", "study")
    reasons = {
        f"columns that are no scores of a {column}": idle,
        "columns that say something of another one (spread, limits, number, rank) and are left out": about_scores,
        f"rows that are no scores of a {row}": passed,
    }
    names = [*board.cells, *dict.fromkeys(board.names[row] for row in board.rows)]
    why = "by their values these are scores, although the names may say something else"
    reasons[why] = [name for name in names if is_property(name) or is_average(name)]
    source = board.table.source
    return [f"{source}: {why}: {', '.join(names)}" for why, names in reasons.items() if names]


def _passed(
    source: str, names: Sequence[str], cells: Mapping[str, Values], of_methods: bool
) -> list[str]:
    """Rows that are a mean over the others, say something of another row, or are a property."""
    found = {name: [own[row] for own in cells.values()] for row, name in enumerate(names)}
    passed = properties(found, of_methods=of_methods)
    left = {name: values for name, values in found.items() if name not in passed}
    passed += summaries(left, of_methods=of_methods)
    left = {name: values for name, values in left.items() if name not in passed}
    passed += list(about_others(source, left, sure=True))
    if of_methods:
        return passed
    left = {name: values for name, values in left.items() if name not in passed}
    return passed + _of_another_kind(source, left)


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
        if (metric := find_metric(name)) is None or metric.lower_is_better is False
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


def _scoreboard(board: _Board) -> Scoreboard:
    """The scores of the columns and rows that are kept, with what was understood."""
    source, columns = board.table.source, list(board.cells)
    rows = [board.names[row] for row in board.rows]
    labels = board.column(METRIC)
    inner, outer, better = _meanings(board, rows, columns, labels)
    triples = []  # study, method, metric
    for column in columns:
        for place, row in enumerate(rows):
            names = (outer.names[column], inner.names[row])
            metric = better.metrics[column if better is outer else row]
            pair = names if board.of_methods else names[::-1]
            triples.append((*pair, labels[place] if labels is not None else metric))
    values = [board.cells[column][row] for column in columns for row in board.rows]
    studies, methods, metrics = (list(part) for part in zip(*triples, strict=True))
    none: list[float | None] = [None] * len(values)
    frame = frame_of([studies, studies, methods, metrics, values, none, none])
    inputs = {source: board.table.sha256}
    default = metrics[0] if len(set(metrics)) == 1 else better.default if labels is None else None
    kinds = ("methods", "studies") if board.of_methods else ("studies", "methods")
    how = "the column of metrics says which" if labels is not None else better.note
    notes = [f"{source}: rows are {kinds[0]}, columns are {kinds[1]}; {how}", *board.notes]
    runs = board.column(RUNS)
    if runs is not None and frame.select("study", "method", "metric").is_duplicated().any():
        name = column_of(board.table.frame.columns, RUNS) or ""
        means, spread, more = averaged(source, frame, runs * len(columns), name)
        scores, empty = checked(source, means)
        return Scoreboard(source, NAME, scores, inputs, default, empty_cells=empty, runs=spread,
                          notes=(*notes, *more))  # fmt: skip
    scores, empty = checked(source, frame)
    return Scoreboard(source, NAME, scores, inputs, default, empty_cells=empty, notes=tuple(notes))


def _meanings(
    board: _Board, rows: Sequence[str], columns: Sequence[str], labels: Sequence[str] | None
) -> tuple[Measures, Measures, Measures]:
    """What the names of rows and of columns mean, and which of both say the metric.

    Raises:
        InputError: The columns are metrics of one model that has no name.
    """
    source, of_methods = board.table.source, board.of_methods
    of_rows = {
        name: [own[row] for own in board.cells.values()]
        for name, row in zip(rows, board.rows, strict=True)
    }
    rows, columns = list(dict.fromkeys(rows)), list(columns)
    inner, outer = (
        Measures({name: name for name in names}, {}, None, "") for names in (rows, columns)
    )
    if labels is not None:  # no name is asked
        studies = dict.fromkeys(columns if of_methods else rows, "")
        given = Measures({name: name for name in studies}, studies, None, "")
        return (inner, given, given) if of_methods else (given, outer, given)
    if of_methods:
        outer = measures_of(source, columns, board.cells)
        return inner, outer, outer
    named = [find_metric(name) for name in columns]
    if any(metric is None for metric in named):
        inner = measures_of(source, rows, of_rows)
        return inner, outer, inner
    if not any(metric is not None and metric.rest for metric in named):
        raise InputError(
            f"{source}: its columns are metrics ({', '.join(columns)}), and none says which model is scored: rank "
            "needs a column 'model', or one column per model"
        )
    outer = measures_of(source, columns)
    return inner, outer, outer
