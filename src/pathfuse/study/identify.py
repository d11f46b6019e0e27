"""Which sample a row is about: the column that says so, and the part of its text that counts."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from pathfuse.files.fields import Field, in_words, with_our_names
from pathfuse.files.names import bare_names, pattern_of, shortened
from pathfuse.files.tables import Table, text_column
from pathfuse.study.fields import PATIENT, SAMPLE
from pathfuse.study.reading import Reading


def identified(
    table: Table, fields: Sequence[Field], reading: Reading
) -> tuple[Table, tuple[str, ...]]:
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
    notes, frame = list(in_words(table, names)), table.frame
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any() and not empty.all():
        frame = frame.filter(~empty)
        notes.append(f"{table.source}: {int(empty.sum())} empty rows are left out")
    if SAMPLE.column not in frame.columns and PATIENT.column in frame.columns:
        frame = frame.with_columns(pl.col(PATIENT.column).alias(SAMPLE.column))
        notes.append(f"{table.source}: no column names samples, so that each patient is one sample")
    table = replace(table, frame=frame)
    if SAMPLE.column not in frame.columns:
        return table, tuple(notes)
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
    return replace(table, frame=frame.with_columns(named)), tuple(notes)


def _first_changed(given: Sequence[str | None], found: Sequence[str | None]) -> str | None:
    return next(a for a, b in zip(given, found, strict=True) if a != b)
