"""Frames of ``predict_proba`` (AutoGluon, scikit-learn): an unnamed index, columns named by class."""

from collections.abc import Collection
from dataclasses import replace

from pathfuse.files.fields import Field
from pathfuse.files.tables import Table, text_column
from pathfuse.study.fields import PREDICTION_FIELDS, SAMPLE

UNNAMED = ("", "Unnamed: 0", "__index_level_0__", "index")
"""What the index of a data frame is called in a file."""


def named_index(table: Table) -> tuple[Table, tuple[str, ...]]:
    """A table whose unnamed first column is ``sample_id``, where no other column names samples."""
    header = table.frame.columns
    known = {name for field in PREDICTION_FIELDS for name in _names(field)}
    if header[0] not in UNNAMED or any(name.lower() in known for name in header):
        return table, ()
    cells = text_column(table, header[0])
    counted = cells == [str(n) for n in range(len(cells))]
    if None in cells or counted:
        return table, ()
    frame = table.frame.rename({header[0]: SAMPLE.column})
    return replace(table, frame=frame), (
        f"{table.source}: the first column, which has no name, is taken as {SAMPLE.column}",
    )


def _names(field: Field) -> Collection[str]:
    return {field.column, *field.others}
