"""Scores from whatever ``pathfuse rank`` is given: result folders or tables, recognised by their
columns.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathfuse.errors import InputError
from pathfuse.files.tables import column_names, read_table, tables_in
from pathfuse.study.importers import densebench, long_table, result_folders, task_table
from pathfuse.study.importers.scoreboard import Scoreboard, names_column

TABLES: tuple[Any, ...] = (densebench, task_table, long_table)
"""One module per kind of table: ``recognises(columns)`` and ``read(table)``."""
KNOWN = "result folders of fuse or evaluate, tables with the columns study,method,metric,value, or the published tables"


def read_scores(sources: Sequence[Path]) -> list[Scoreboard]:
    """Reads everything; all result folders together make one board.

    Args:
        sources: Result folders, folders of such folders, tables, or folders that hold tables.

    Raises:
        InputError: A source does not exist, holds no study, is not recognised, or is given twice.
    """
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
        if results:
            given.append(str(source))
        else:
            boards += [_read_table(file) for file in _tables_in(source)]
    if folders:
        boards.insert(0, result_folders.read(folders, ", ".join(given)))
    return boards


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
    try:
        files = [file for file in tables_in(source) if file.is_file()]
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    found = [file for file in files if _kind(column_names(file))]
    if not found:
        raise InputError(f"{source} holds no study; understood are {KNOWN}")
    return found


def _read_table(file: Path) -> Scoreboard:
    table = read_table(file)
    kind = _kind(table.frame.columns)
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
