"""Column names as tools write them, and which of our columns each stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.files.names import bare_names


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


ROLE_WORDS = {
    "fit": "fit", "val": "fit", "valid": "fit", "validation": "fit", "tune": "fit", "dev": "fit",
    "test": "test", "testing": "test", "holdout": "test",
    "train": "train", "training": "train",
}  # fmt: skip
"""Roles as tables have them. Rows that were held out while the experts were trained are fit rows."""

SAMPLE = Field(
    "sample_id",
    "sample",
    ("slide_id", "slide", "filename", "image_id", "image", "image_name", "wsi_id", "wsi", "slide_name",
     "file_name", "id"),
)  # fmt: skip
PATIENT = Field(
    "patient_id",
    "patient",
    ("case_id", "patient", "patientid", "submitter_id", "case_submitter_id", "bcr_patient_barcode",
     "patient_barcode", "case_barcode", "case", "subject_id", "subject", "participant_id"),
)  # fmt: skip
SPLIT = Field(
    "split", "split", ("role", "partition", "subset", "set", "phase"), frozenset(ROLE_WORDS)
)
FOLD = Field("fold", "fold", ("fold_id", "cv_fold", "kfold"))
SITE = Field("site", "site", ())
FIELDS = (SAMPLE, PATIENT, SPLIT, FOLD, SITE)


def with_our_names(
    table: Table, fields: Sequence[Field], chosen: Mapping[str, str]
) -> tuple[Table, list[str]]:
    """A table whose columns have our names, and what stands for what, in words.

    A column that has our name already is that column. Where there is none, other names are tried.
    A table of patients alone is a table whose samples are the patients.

    Args:
        table: The table.
        fields: Columns to look for.
        chosen: Word of a field to the name of its column, from ``--columns``.

    Raises:
        InputError: A chosen column is missing, or two columns could be meant and differ.
    """
    frame, notes = table.frame, []
    for field in fields:
        name = _chosen(table, field, chosen) or _found(table, frame, field)
        if name is None or name == field.column:
            continue
        if field.column in frame.columns:  # another one was chosen
            frame = frame.drop(field.column)
        frame = frame.rename({name: field.column})
        notes.append(f"{table.source}: the column '{name}' is taken as {field.column}")
    if {SAMPLE, PATIENT} <= set(fields) and SAMPLE.column not in frame.columns:
        if PATIENT.column in frame.columns:
            frame = frame.with_columns(pl.col(PATIENT.column).alias(SAMPLE.column))
            notes.append(
                f"{table.source}: no column names the samples, so each patient is a sample"
            )
    return replace(table, frame=frame), notes


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


def parse_columns(items: Sequence[str], words: Sequence[str]) -> dict[str, str]:
    """``patient=case_id`` items, also several in one with commas, as a mapping.

    Raises:
        InputError: An item has no ``=``, a word is unknown, or one is given twice.
    """
    chosen: dict[str, str] = {}
    for item in (part for text in items for part in text.split(",")):
        word, mark, column = (part.strip() for part in item.partition("="))
        if not (word and mark and column):
            raise InputError(f"--columns '{item}' must read patient=NAME_OF_COLUMN")
        if word not in words:
            raise InputError(
                f"--columns '{word}' is unknown; what can be named: {', '.join(words)}"
            )
        if chosen.setdefault(word, column) != column:
            raise InputError(f"--columns names two columns for '{word}'")
    return chosen
