"""MedMNIST result files: ``<data set>_<split>_[AUC]0.9_[ACC]0.8@<run>.csv``, rows without a header.

Each row is the number of an image and its scores of classes 0, 1, ... (of two classes perhaps one).
"""

import csv
import hashlib
import re
from collections.abc import Collection
from pathlib import Path

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.steady import read_steady
from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Numbered, Predicted, Source, numbered_columns
from pathfuse.study.reading import Reading

NAME = r"(.+)_\[AUC\][0-9.]+_\[ACC\][0-9.]+(?:@(.+))?\.csv"
COLUMN = "medmnist score "


def find(path: Path) -> list[Source] | None:
    """See ``Format``."""
    match = re.fullmatch(NAME, path.name) if path.is_file() else None
    if match is None:
        return None
    note = f"{path}: a result file of MedMNIST; samples are the numbers of its rows"
    return [Source(match[2] or match[1], (path,), notes=(note,), read=read)]


def read(path: Path, _ids: Collection[str] = ()) -> Table:
    """The rows with names for their columns.

    Raises:
        InputError: A row has another number of values than the first.
    """
    raw = read_steady(path)
    rows = [row for row in csv.reader(raw.decode("utf-8-sig").splitlines()) if row]
    if not rows or any(len(row) != len(rows[0]) for row in rows) or len(rows[0]) < 2:
        raise InputError(f"{path}: each row must hold a number and as many scores as the others")
    scores = [row[1:] for row in rows]
    if len(scores[0]) == 1:
        scores = [[repr(1 - float(one[0])), one[0]] for one in scores]
    columns = {f"{COLUMN}{k}": [one[k] for one in scores] for k in range(len(scores[0]))}
    frame = pl.DataFrame({"sample_id": [row[0] for row in rows], **columns})
    return Table(str(path), frame, hashlib.sha256(raw).hexdigest())


def understand(table: Table, _reading: Reading) -> Predicted | None:
    """See ``Format``."""
    columns = numbered_columns(table.frame.columns, f"{COLUMN}([0-9]+)")
    return Predicted(table, (), Numbered(columns, "prob_")) if columns else None


MEDMNIST = Format(
    "medmnist",
    "MedMNIST: result files <data set>_<split>_[AUC]..._[ACC]...@<run>.csv",
    "docs/howto/from-other-tools.md",
    find,
    understand,
)
