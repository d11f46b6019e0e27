"""What is done to the cells of every table: blanks around them go, and words for a missing value."""

from dataclasses import replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS
from pathfuse.files.table import Table

MISSING = ("na", "n/a", "nan", "null", "-", "#n/a", "<na>", "'--")
"""What stands for a missing value, in any case of letters; never a class or a name."""


def tidy(table: Table) -> Table:
    """The table without blanks around its text and the names of its columns, and how many there
    were.

    Raises:
        InputError: Two columns have one name without them.
    """
    names = [name.strip(BLANKS) for name in table.frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"{table.source} has two columns named '{twice}', but for blanks around the name"
        )
    changed = sum(a != b for a, b in zip(names, table.frame.columns, strict=True))
    blanks, missing = {"": changed} if changed else {}, dict[str, int]()
    frame = table.frame.rename(dict(zip(table.frame.columns, names, strict=True)))
    for name in names:
        column = frame[name]
        if column.dtype == pl.String or isinstance(column.dtype, pl.Categorical | pl.Enum):
            bare = column.cast(pl.String).str.strip_chars(BLANKS)
            n = int((bare != column.cast(pl.String)).sum())
            if n:
                blanks[name] = n
            absent = bare.str.to_lowercase().is_in(MISSING).fill_null(False)
            if absent.any():
                missing[name] = int(absent.sum())
            if n or absent.any():
                cells = bare.replace("", None).to_frame().with_columns(absent.alias(" absent"))
                frame = frame.with_columns(
                    cells.select(
                        pl.when(~pl.col(" absent")).then(pl.col(name)).alias(name)
                    ).to_series()
                )
    return replace(table, frame=frame, blanks=blanks, missing=missing)
