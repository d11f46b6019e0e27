"""Scores from whatever ``pathfuse rank`` is given: result folders or tables, recognised by their
columns.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.files.json import read_json
from pathfuse.files.tables import Table, column_names, read_table, tables_in
from pathfuse.study.importers import (
    dense_leaderboard,
    densebench,
    eva_results,
    long_table,
    nested_json,
    pathbench,
    result_folders,
    runs_table,
    task_table,
    wide_table,
)
from pathfuse.study.importers.scoreboard import Scoreboard, names_column

TABLES: tuple[Any, ...] = (densebench, dense_leaderboard, task_table, long_table)
"""One module per kind of table: ``recognises(columns)`` and ``read(table)``."""
GUESSED: tuple[Any, ...] = (runs_table, wide_table)
"""The same for tables that are of this kind only if somebody says that they hold scores."""
JSON = ".json"
MODELS_ARE = ("outer", "inner")
KNOWN = (
    "result folders of fuse or evaluate, tables with the columns study,method,metric,value, leaderboards with one row "
    "per model and one column per task or the reverse, tables of runs with seeds, results of eva and PathBench, or the "
    "published tables"
)
LARGEST = 1e12
"""No measure has a larger value."""


def read_scores(sources: Sequence[Path], models_are: str | None = None) -> list[Scoreboard]:
    """Reads everything; all result folders together make one board.

    Args:
        sources: Result folders, folders of such folders, tables, or folders that hold tables.
        models_are: ``outer`` or ``inner``: which names of nested JSON are models.

    Raises:
        InputError: A source does not exist, holds no study, is not recognised, or is given twice.
    """
    if models_are not in (None, *MODELS_ARE):
        raise InputError(f"--models-are is {' or '.join(MODELS_ARE)}, not '{models_are}'")
    folders: list[Path] = []
    given: list[str] = []
    boards: list[Scoreboard] = []
    for n, source in enumerate(sources):
        if not source.exists():
            raise InputError(f"{source} does not exist")
        if source.resolve() in [other.resolve() for other in sources[:n]]:
            raise InputError(f"the source {source} is given twice")
        results = _results_in(source)
        folders += results
        evas = eva_results.find(source) if source.is_dir() and not results else []
        if results:
            given.append(str(source))
        elif evas:
            boards.append(eva_results.read(source, evas))
        else:
            boards += [_read_table(file, models_are) for file in _tables_in(source)]
    if folders:
        boards.insert(0, result_folders.read(folders, ", ".join(given)))
    for board in boards:
        _check_range(board)
    if models_are is not None and not any(board.format == nested_json.NAME for board in boards):
        raise InputError("--models-are applies to JSON with names inside names; there is none here")
    return boards


def _check_range(board: Scoreboard) -> None:
    """Refuses a value that no measure can have: sums of it would be infinite."""
    wild = board.scores.filter(pl.col("value").abs() > LARGEST)
    if wild.height:
        study, method, value = wild.select("study", "method", "value").row(0)
        raise InputError(
            f"{board.source}, study '{study}', method '{method}': {value:g} is no value of a measure"
        )


def read_cohorts(file: Path) -> tuple[dict[str, str], str | None]:
    """A table ``study,cohort``, and its SHA-256.

    Raises:
        InputError: A column is missing, a cell empty, or a study occurs twice.
    """
    table = read_table(file)
    studies, cohorts = names_column(table, "study"), names_column(table, "cohort")
    twice = next((study for study in studies if studies.count(study) > 1), None)
    if twice is not None:
        raise InputError(f"{table.source}, column 'study': '{twice}' occurs twice")
    return dict(zip(studies, cohorts, strict=True)), table.sha256


def _results_in(source: Path) -> list[Path]:
    try:
        return result_folders.find(source) if source.is_dir() else []
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error


def _tables_in(source: Path) -> list[Path]:
    """The tables at a place that hold studies."""
    if not source.is_dir():
        return [source]
    of_dense = dense_leaderboard.find(source)
    if of_dense is not None:
        return [of_dense]
    try:
        files = [file for file in tables_in(source) if file.is_file()]
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    found = [file for file in files if _kind(column_names(file))]
    if not found:
        raise InputError(f"{source} holds no study; understood are {KNOWN}")
    return found


def _read_table(file: Path, models_are: str | None) -> Scoreboard:
    if file.suffix.lower() == JSON:
        return _read_json(file, models_are)
    return _scores_in(file, read_table(file))


def _read_json(file: Path, models_are: str | None) -> Scoreboard:
    """Scores of a JSON file: one of ours, or rows of a table.

    Raises:
        InputError: It is neither.
    """
    content = read_json(file)
    if pathbench.recognises(content):
        return pathbench.read(content, file)
    if nested_json.recognises(content):
        return nested_json.read(content, file, models_are)
    if _is_split_table(content):
        content = [dict(zip(content["columns"], row, strict=False)) for row in content["data"]]
    if (
        not isinstance(content, list)
        or not content
        or not all(isinstance(r, dict) for r in content)
    ):
        raise InputError(f"{file} holds no scores that are understood; understood are {KNOWN}")
    names = list(dict.fromkeys(str(name) for row in content for name in row))
    columns = {n: [None if row.get(n) is None else str(row[n]) for row in content] for n in names}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))
    return _scores_in(file, Table(str(file), frame, file_digest(file)))


def _is_split_table(content: Any) -> bool:
    """Whether a JSON is a table as pandas writes it with ``orient="split"``."""
    if not isinstance(content, dict) or not {"columns", "data"} <= set(content):
        return False
    names, rows = content["columns"], content["data"]
    lists = isinstance(names, list) and isinstance(rows, list)
    return lists and all(isinstance(row, list) for row in rows)


def _scores_in(file: Path, table: Table) -> Scoreboard:
    kind = _kind(table.frame.columns)
    if kind is None and not set(table.frame.columns) >= set(result_folders.NEEDED):
        kind = next((one for one in GUESSED if one.recognises(table.frame.columns)), None)
    if kind is None:
        if set(table.frame.columns) >= set(result_folders.NEEDED):
            raise InputError(
                f"{file} is the metrics.csv of one study; give its folder {file.parent}"
            )
        columns = ", ".join(table.frame.columns)
        raise InputError(
            f"{file} is not recognised by its columns ({columns}); understood are {KNOWN}"
        )
    board: Scoreboard = kind.read(table)
    return board


def _kind(columns: Sequence[str]) -> Any | None:
    return next((kind for kind in TABLES if kind.recognises(columns)), None)
