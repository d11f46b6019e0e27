"""A table of vectors: ``sample_id`` and one numeric column per dimension."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from pathfuse.errors import InputError
from pathfuse.features.formats.base import Header, Store, as_bag
from pathfuse.files.tables import Table, id_column, number_column, read_table
from pathfuse.study.fields import PREDICTION_FIELDS, SAMPLES_FIELDS
from pathfuse.study.identify import identified
from pathfuse.study.reading import DEFAULT
from pathfuse.types import Bag, Index

NO_FEATURES = (
    "sample_id",
    "patient_id",
    "case_id",
    "slide_id",
    "site",
    "split",
    "fold",
    "label",
    "time",
    "event",
)
"""Columns of a samples table. They are never features, or the truth would be one."""
NO_FEATURE_PREFIXES = ("label_", "target_")


class VectorStore(Store):
    """One vector per row, held in memory. Columns without any number are no features either."""

    def __init__(self, path: Path) -> None:
        found = identified(read_table(path), PREDICTION_FIELDS, DEFAULT)
        table, self.rows_are = found.table, found.rows
        ids = id_column(table)
        columns = _feature_columns(table)
        if not columns:
            raise InputError(f"{path} has no numeric column beside sample_id")
        values = np.column_stack([number_column(table, column, ids) for column in columns])
        small = all(table.frame.schema[column] in (pl.Float16, pl.Float32) for column in columns)
        self.dtype = "float32" if small else "float64"
        self.values = as_bag(values, len(columns))
        self.rows = {name: row for row, name in enumerate(ids)}
        self.paths = dict.fromkeys(ids, (path,))

    def header(self, name: str) -> Header:
        """See ``Store``."""
        return Header(1, self.values.shape[1], "slide", self.dtype, "vectors")

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """See ``Store``."""
        row = self.values[[self.rows[name]]]
        return row if rows is None else row[rows]

    def chunks(self, name: str) -> Iterator[Bag]:
        """See ``Store``."""
        yield self.read(name)


def _feature_columns(table: Table) -> list[str]:
    from pathfuse.endpoints.detect import ENDPOINTS  # brings scipy along

    fields = [*SAMPLES_FIELDS, *(field for kind in ENDPOINTS.values() for field in kind.fields)]
    other_names = {name for field in fields for name in field.others}
    names = (
        n
        for n in table.frame.columns
        if n not in NO_FEATURES
        and n.lower() not in other_names
        and not n.startswith(NO_FEATURE_PREFIXES)
    )
    return [name for name in names if _has_number(table.frame[name])]


def _has_number(column: pl.Series) -> bool:
    if column.dtype == pl.String:
        return bool(column.cast(pl.Float64, strict=False).is_not_null().any())
    return column.dtype.is_numeric()
