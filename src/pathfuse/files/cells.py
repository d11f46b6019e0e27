"""What is done to the cells of every table: blanks around them go, and words for a missing value."""

from collections import Counter
from dataclasses import replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS
from pathfuse.files.table import Table

MINUS = "-"
MISSING = (
    "na", "n/a", "nan", "null", MINUS, "#n/a", "#null!", "<na>", "'--",
    "[not available]", "[not applicable]", "[not evaluated]", "[unknown]", "[discrepancy]",
)  # fmt: skip
"""What stands for a missing value, in any case of letters; never a class or a name. Those in brackets
are TCGA's."""


def tidy(table: Table) -> Table:
    """The table without blanks around its text and the names of its columns, and how many there
    were.

    Raises:
        InputError: Two columns have one name without them.
    """
    names = [name.strip(BLANKS) for name in table.frame.columns]
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise InputError(
            f"{table.source} has two columns named '{twice}', but for blanks around the name"
        )
    changed = sum(a != b for a, b in zip(names, table.frame.columns, strict=True))
    blanks, missing, minus = {"": changed} if changed else {}, dict[str, int](), dict[str, int]()
    frame = table.frame.rename(dict(zip(table.frame.columns, names, strict=True)))
    frame, durations = _in_days(frame)
    notes = tuple(
        f"{table.source}: {name} holds durations, which are taken in days" for name in durations
    )
    changed_cells = list[pl.Series]()
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
                n_minus = int((bare == MINUS).sum())
                if n_minus and bare.filter(~absent).str.contains(r"^\++$").any():
                    minus[name] = n_minus
            if n or absent.any():
                cells = bare.replace("", None).to_frame().with_columns(absent.alias(" absent"))
                kept = pl.when(~pl.col(" absent")).then(pl.col(name)).alias(name)
                changed_cells.append(cells.select(kept).to_series())
    return replace(
        table,
        frame=frame.with_columns(changed_cells),
        blanks=blanks,
        missing=missing,
        minus=minus,
        notes=(*table.notes, *notes),
    )


def _in_days(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Durations as numbers of days, and the names of their columns."""
    names = [name for name in frame.columns if isinstance(frame[name].dtype, pl.Duration)]
    day = 24 * 60 * 60 * 1e6
    days = [pl.col(name).dt.total_microseconds() / day for name in names]
    return frame.with_columns(days), names
