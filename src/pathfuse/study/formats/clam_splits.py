"""CLAM's splits: ``splits_<k>.csv`` with the columns train, val and test, which hold slide ids."""

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.names import bare_names
from pathfuse.files.tables import Table, read_table, text_column
from pathfuse.study.fields import FOLD, ROLE_WORDS, SPLIT

NAME = r"splits_([0-9]+)\.csv"
TEST = "test"


def with_splits(table: Table, place: Path) -> tuple[Table, dict[str, str | None], str]:
    """A samples table with ``fold`` of a folder of splits, or ``split`` of one file.

    Args:
        table: With ``sample_id``.
        place: The folder or file.

    Returns:
        The table, the files that were read with their SHA-256, and what was understood.

    Raises:
        InputError: There are no splits, the table has roles already, or a sample has not one place.
    """
    if {FOLD.column, SPLIT.column} & set(table.frame.columns):
        raise InputError(
            f"{table.source} has a column of roles or folds already; leave out --splits"
        )
    files = {0: place} if place.is_file() else _files(place)
    if not files:
        raise InputError(f"{place} holds no splits_<k>.csv of CLAM")
    lists = {k: read_table(file) for k, file in files.items()}
    inputs = {one.source: one.sha256 for one in lists.values()}
    ids = [name or "" for name in text_column(table, "sample_id")]
    if place.is_file():
        return _with_roles(table, ids, lists[0]), inputs, f"{place}: roles of a split of CLAM"
    found: dict[str, list[int]] = {}
    for k, one in lists.items():
        for name in _names(one, TEST):
            found.setdefault(name, []).append(k)
    wrong = next((name for name in ids if len(found.get(name, [])) != 1), None)
    if wrong is not None:
        n = len(found.get(wrong, []))
        raise InputError(
            f"{place}: the sample '{wrong}' is a test sample in {n} of {len(lists)} splits, not in one; --splits of "
            "one file takes that split alone"
        )
    fold = pl.Series(FOLD.column, [found[name][0] for name in ids])
    note = f"{place}: the fold of a sample is the split of CLAM in which it is a test sample"
    return replace(table, frame=table.frame.with_columns(fold)), inputs, note


def _files(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist")
    named = ((re.fullmatch(NAME, file.name), file) for file in folder.iterdir())
    return dict(sorted((int(match[1]), file) for match, file in named if match))


def _names(table: Table, column: str) -> list[str]:
    return [name for name in bare_names(text_column(table, column)) if name is not None]


def _with_roles(table: Table, ids: list[str], lists: Table) -> Table:
    roles = {
        name: ROLE_WORDS[column]
        for column in lists.frame.columns
        if column in ROLE_WORDS
        for name in _names(lists, column)
    }
    missing = next((name for name in ids if name not in roles), None)
    if missing is not None:
        raise InputError(f"{lists.source}: the sample '{missing}' is in none of its columns")
    split = pl.Series(SPLIT.column, [roles[name] for name in ids])
    return replace(table, frame=table.frame.with_columns(split))
