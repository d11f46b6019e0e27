"""The samples table of new samples: whose they are, in which order they came, what became of them.

Everything but ``sample_id`` may be missing, and truths may come late: empty cells are not known yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.endpoints.columns import Columns, flags
from pathfuse.errors import InputError
from pathfuse.files.fields import with_our_names
from pathfuse.files.spelling import spelled_otherwise
from pathfuse.files.tables import Table, id_column, text_column
from pathfuse.study.fields import FOLD, PATIENT, SAMPLE, SAMPLES_FIELDS, SPLIT
from pathfuse.study.identify import identified
from pathfuse.study.intake import samples_table, take_in
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.study.samples import read_samples


@dataclass(frozen=True)
class About:
    """What is known of new samples."""

    source: str
    row: Mapping[str, int]
    """Row of each sample in the table."""
    patients: list[str] | None
    """Per row; None where the table names none. A sample without one is a patient of its own."""
    bare: frozenset[str]
    """Samples without a patient in a table that names some."""
    frame: pl.DataFrame
    truth: Mapping[str, Truth] | None
    """Per task, of the rows of ``known``; None where no truth is there."""
    known: Mapping[str, int]
    """Samples with a truth, and their places in it."""

    def of(self, ids: list[str]) -> list[int]:
        """Rows of samples that the table holds."""
        return [self.row[i] for i in ids]

    def order(self, ids: list[str], column: str) -> list[str]:
        """Samples in the order of a column: numbers by size, anything else as text (2026-11-28).

        Equal ones stay in the order in which they are.

        Raises:
            InputError: There is no such column, or a cell is empty.
        """
        cells = text_column(Table(self.source, self.frame), column)
        own = [cells[row] for row in self.of(ids)]
        blank = next((i for i, cell in zip(ids, own, strict=True) if cell is None), None)
        if blank is not None:
            raise InputError(
                f"{self.source}, column '{column}', sample '{blank}': the cell is empty"
            )
        texts = pl.Series(own, dtype=pl.String)
        numbers = texts.cast(pl.Float64, strict=False)
        keys = (texts if numbers.null_count() else numbers).to_list()
        return [ids[n] for n in sorted(range(len(ids)), key=keys.__getitem__)]

    def truth_of(self, ids: list[str], task: str) -> Truth:
        """The truth of samples; not known where the table does not say."""
        if self.truth is None:
            raise ValueError("no truth was given")
        whole = self.truth[task]
        at = np.array([self.known.get(i, -1) for i in ids], dtype=np.int64)
        found = whole.at(np.maximum(at, 0))
        return replace(found, known=found.known & (at >= 0))


def read_about(samples: str | Path | Any, endpoint: Endpoint, reading: Reading = DEFAULT) -> About:
    """Reads the samples table of new samples.

    Args:
        samples: Path or data frame with ``sample_id``; if known ``patient_id``, the target columns.
        endpoint: Of the model.
        reading: How columns are understood.

    Raises:
        InputError: A value is wrong, or the truth is of another endpoint than the model's.
    """
    table = samples_table(samples, reading)
    found = identified(table, SAMPLES_FIELDS, reading).table
    if SAMPLE.column not in found.frame.columns:
        raise InputError(f"{found.source} has no column '{SAMPLE.column}'")
    ids = id_column(found)
    patients, bare = None, frozenset[str]()
    if PATIENT.column in found.frame.columns:
        given = text_column(found, PATIENT.column)
        bare = frozenset(i for i, one in zip(ids, given, strict=True) if one is None)
        if len(bare) < len(ids):
            patients = [i if one is None else one for i, one in zip(ids, given, strict=True)]
    truth, known = _truth(found, endpoint, reading)
    row = {name: n for n, name in enumerate(ids)}
    return About(found.source, row, patients, bare, found.frame, truth, known)


def _truth(
    table: Table, endpoint: Endpoint, reading: Reading
) -> tuple[Mapping[str, Truth] | None, dict[str, int]]:
    """Truths, where the table has columns of any endpoint."""
    kind = type(endpoint)
    chosen = {
        field.word: reading.columns[field.word]
        for field in kind.fields
        if field.word in reading.columns
    }
    table, _ = with_our_names(table, kind.fields, chosen)
    targets = kind.target_columns(table.frame.columns)
    if not targets:
        return None, {}
    frame = table.frame.filter(pl.any_horizontal(pl.col(targets).is_not_null()))
    if not frame.height:
        return None, {}
    wanted = [kind.target_prefix + name for name in endpoint.named if kind.target_prefix]
    blank = [pl.lit(None, pl.String).alias(name) for name in wanted if name not in frame.columns]
    frame = frame.drop(SPLIT.column, FOLD.column, strict=False).with_columns(blank)
    if endpoint.of_labels:  # a row with one label alone has no class instead
        flagged = [flags(frame[name].cast(pl.String)) for name in wanted]
        own = Table(table.source, frame.with_columns(flagged))
        ids = id_column(own)
        cells = {name: np.array(text_column(own, name), dtype=object) for name in wanted}
        truth = endpoint.truth(Columns(table.source, ids, cells))
        return truth, {name: n for n, name in enumerate(ids)}
    intake = take_in(replace(table, frame=frame), endpoint.kind)
    people = read_samples(intake.table)
    columns = people.columns(wanted or intake.targets)
    return endpoint.truth(columns), {name: n for n, name in enumerate(people.ids.tolist())}


def only_listed(about: About, ids: list[str]) -> tuple[list[str], int]:
    """Samples that the table lists, and how many it does not.

    Raises:
        InputError: More than half are not listed.
    """
    listed = [i for i in ids if i in about.row]
    gone = [i for i in ids if i not in about.row]
    if 2 * len(gone) > len(ids):
        hint = spelled_otherwise(gone, ids, list(about.row))
        raise InputError(
            f"{about.source} does not list {len(gone)} of the {len(ids)} samples that the experts "
            f"scored, the first '{gone[0]}'{hint}"
        )
    return listed, len(gone)
