"""CLAM's splits: ``splits_<k>.csv`` with the columns train, val and test, which hold slide ids."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.names import bare_names, would_match
from pathfuse.files.spelling import spelled_otherwise
from pathfuse.files.tables import Table, read_table, text_column
from pathfuse.study.fields import FOLD, PATIENT, ROLE_WORDS, SPLIT

NAME = r"splits_([0-9]+)\.csv"
TEST = "test"


def with_splits(
    table: Table, place: Path, pattern: str | None = None
) -> tuple[Table, dict[str, str | None], str]:
    """A samples table with ``fold`` of a folder of splits, or ``split`` of one file.

    Args:
        table: With ``sample_id``.
        place: The folder or file.
        pattern: What finds the name of a sample in those of the splits; None: they are the same.

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
    lists = {k: _shortened(read_table(file), pattern) for k, file in files.items()}
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
        named = {name for one in lists.values() for name in _all_names(one)}
        way = _otherwise(table, wrong, ids, named) if wrong not in named else ""
        raise InputError(
            f"{place}: the sample '{wrong}' is a test sample in {n} of {len(lists)} splits, not in one"
            f"{way or '; --splits of one file takes that split alone'}"
        )
    fold = pl.Series(FOLD.column, [found[name][0] for name in ids])
    note = f"{place}: the fold of a sample is the split of CLAM in which it is a test sample"
    return replace(table, frame=table.frame.with_columns(fold)), inputs, note


def _files(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist")
    named = ((re.fullmatch(NAME, file.name), file) for file in folder.iterdir())
    return dict(sorted((int(match[1]), file) for match, file in named if match))


def _shortened(table: Table, pattern: str | None) -> Table:
    """Splits with what a pattern finds in each name; a name that it does not fit stays whole."""
    columns = [pl.col(column) for column in table.frame.columns if column in ROLE_WORDS]
    if pattern is None or not columns:
        return table
    text = [column.cast(pl.String) for column in columns]
    return replace(
        table,
        frame=table.frame.with_columns(one.str.extract(pattern).fill_null(one) for one in text),
    )


def _names(table: Table, column: str) -> list[str]:
    return [name for name in bare_names(text_column(table, column)) if name is not None]


def _all_names(table: Table) -> list[str]:
    columns = [column for column in table.frame.columns if column in ROLE_WORDS]
    return [name for column in columns for name in _names(table, column)]


def _otherwise(table: Table, wrong: str, ids: list[str], named: Collection[str]) -> str:
    """What the splits call a sample that they do not name, to follow a sentence.

    Args:
        table: The samples table.
        wrong: The sample.
        ids: All samples.
        named: All names of the splits.
    """
    unknown = [wrong, *(name for name in ids if name not in named)]
    if hint := spelled_otherwise(unknown, ids, sorted(named)):
        return hint
    if PATIENT.column in table.frame.columns:
        patients = text_column(table, PATIENT.column)
        patient = patients[ids.index(wrong)]
        spelled = spelled_otherwise([patient or ""], [one or "" for one in patients], sorted(named))
        if patient in named or spelled:
            return (
                f"; the splits name patients, such as '{patient}', that of '{wrong}'{spelled}: write the splits of "
                "slides, or give the samples table a column fold"
            )
    hint = would_match(unknown, sorted(named))
    if "would match" in hint:
        return hint
    return f"; they name samples such as '{min(named)}'" if named else ""


def _with_roles(table: Table, ids: list[str], lists: Table) -> Table:
    roles = {
        name: ROLE_WORDS[column]
        for column in lists.frame.columns
        if column in ROLE_WORDS
        for name in _names(lists, column)
    }
    missing = next((name for name in ids if name not in roles), None)
    if missing is not None:
        raise InputError(
            f"{lists.source}: the sample '{missing}' is in none of its columns"
            f"{_otherwise(table, missing, ids, roles)}"
        )
    split = pl.Series(SPLIT.column, [roles[name] for name in ids])
    return replace(table, frame=table.frame.with_columns(split))
