"""Column names as tools write them, and which of our columns each stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.names import bare_names
from pathfuse.files.tables import Table, text_column


@dataclass(frozen=True)
class Field:
    """One of our columns of a samples or predictions table."""

    column: str
    """Our name."""
    word: str
    """What ``--columns`` calls it."""
    others: tuple[str, ...]
    """Names that other tools give it; case of letters does not matter."""
    values: frozenset[str] | None = None
    """What its cells may be, if another name counts only with these."""


def with_our_names(
    table: Table, fields: Sequence[Field], chosen: Mapping[str, str]
) -> tuple[Table, dict[str, str]]:
    """A table whose columns have our names, and our name to the table's where they differ.

    A column that has our name already is that column. Where there is none, other names are tried.

    Args:
        table: The table.
        fields: Columns to look for.
        chosen: Word of a field to the name of its column, from ``--columns``.

    Raises:
        InputError: A chosen column is missing, or two columns could be meant and differ.
    """
    frame, names = table.frame, dict[str, str]()
    for field in fields:
        name = _chosen(table, field, chosen) or _found(table, frame, field)
        if name is None or name == field.column:
            continue
        if field.column in frame.columns:  # another one was chosen
            frame = frame.drop(field.column)
        frame = frame.rename({name: field.column})
        names[field.column] = name
    return replace(table, frame=frame), names


def in_words(table: Table, names: Mapping[str, str]) -> tuple[str, ...]:
    """What was taken for what, a sentence each."""
    return tuple(
        f"{table.source}: the column '{name}' is taken as {ours}" for ours, name in names.items()
    )


def also_named(table: Table, field: Field) -> tuple[str, ...]:
    """Columns next to the one with our name that could be it by their names."""
    if field.column not in table.frame.columns:
        return ()
    return tuple(name for name in table.frame.columns if name.lower() in field.others)


def _chosen(table: Table, field: Field, chosen: Mapping[str, str]) -> str | None:
    name = chosen.get(field.word)
    if name is not None and name not in table.frame.columns:
        raise InputError(
            f"--columns {field.word}={name}: {table.source} has no column '{name}'; "
            f"its columns are {', '.join(table.frame.columns)}"
        )
    return name


def _found(table: Table, frame: pl.DataFrame, field: Field) -> str | None:
    """The column that stands for a field, by its name."""
    if field.column in frame.columns:
        return field.column
    own = [name for name in frame.columns if name.lower() == field.column]
    names = own or [name for name in frame.columns if name.lower() in field.others]
    if field.values is not None:
        names = [name for name in names if _holds(frame[name], field.values)]
    if len(names) < 2:
        return names[0] if names else None
    cells = [bare_names(text_column(table, name)) for name in names]
    other = next((k for k in range(1, len(names)) if cells[k] != cells[0]), None)
    if other is None:
        return names[0]
    raise InputError(
        f"{table.source}: both '{names[0]}' and '{names[other]}' could be {field.column}; say which: "
        f"--columns {field.word}={names[0]}"
    )


def _holds(column: pl.Series, values: frozenset[str]) -> bool:
    if column.dtype != pl.String:
        return False
    found = set(column.drop_nulls().str.to_lowercase().to_list())
    return bool(found) and found <= values
