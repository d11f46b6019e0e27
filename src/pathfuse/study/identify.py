"""Which sample a row is about: the column that says so, and the part of its text that counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from pathfuse.files.fields import Field, in_words, with_our_names
from pathfuse.files.names import bare_names, pattern_of, shortened
from pathfuse.files.tables import Table, text_column
from pathfuse.study.fields import PATIENT, SAMPLE
from pathfuse.study.reading import Reading

RowKind = Literal["sample", "patient"]
"""What the rows of a table are."""
OF_ANYTHING = "id"
"""The one of the names of columns of samples that says nothing of what is named."""

EACH_IS_ONE = "no column names samples, so that each patient is one sample"


@dataclass(frozen=True)
class Identified:
    """A table with ``sample_id``, bare of suffixes of files."""

    table: Table
    notes: tuple[str, ...]
    """What was understood, a sentence each."""
    rows: RowKind | None
    """What the rows are by the name of the column that identifies them; None if it does not say."""
    called: Mapping[str, str]
    """Our names of columns to those that the table has for them, where they differ."""


def identified(table: Table, fields: Sequence[Field], reading: Reading) -> Identified:
    """A table with ``sample_id``, bare of suffixes of files, and what was understood.

    Rows that are wholly empty are gone. A table of patients alone is a table whose samples are the
    patients.

    Raises:
        InputError: A chosen column is missing, two columns could be meant, or a name does not fit
            the pattern.
    """
    wanted = {field.word for field in fields}
    chosen = {word: name for word, name in reading.columns.items() if word in wanted}
    table, names = with_our_names(table, fields, chosen)
    table.check_clear(names.get(one.column, one.column) for one in fields)
    notes, frame = list(in_words(table, names)), table.frame
    rows: RowKind | None = "sample"
    if names.get(SAMPLE.column, "").lower() == OF_ANYTHING and SAMPLE.word not in chosen:
        rows = None
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any() and not empty.all():
        frame = frame.filter(~empty)
        notes.append(f"{table.source}: {int(empty.sum())} empty rows are left out")
    if SAMPLE.column not in frame.columns and PATIENT.column in frame.columns:
        frame, rows = frame.with_columns(pl.col(PATIENT.column).alias(SAMPLE.column)), "patient"
        notes.append(f"{table.source}: {EACH_IS_ONE}")
    table = replace(table, frame=frame)
    if SAMPLE.column not in frame.columns:
        return Identified(table, tuple(notes), rows, names)
    given = text_column(table, SAMPLE.column)
    found = bare_names(given)
    pattern = pattern_of(reading.id_pattern, reading.id_length)
    n_suffixes = sum(a != b for a, b in zip(given, found, strict=True))
    if n_suffixes:
        notes.append(
            f"{table.source}: suffixes of files, as in '{_first_changed(given, found)}', are no part of "
            f"{n_suffixes} names"
        )
    if pattern is not None:
        found = shortened(table.source, SAMPLE.column, found, pattern)
    named = pl.Series(SAMPLE.column, found, dtype=pl.String)
    return Identified(replace(table, frame=frame.with_columns(named)), tuple(notes), rows, names)


def _first_changed(given: Sequence[str | None], found: Sequence[str | None]) -> str | None:
    return next(a for a, b in zip(given, found, strict=True) if a != b)
