"""What a call of ``adapt`` brings: samples in their order, and labels with the time when they came."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.table import Table, id_column, text_column
from pathfuse.online.stream import NEVER
from pathfuse.study.fields import PATIENT, SAMPLES_FIELDS
from pathfuse.study.identify import identified
from pathfuse.study.intake import samples_table, take_in
from pathfuse.study.reading import Reading
from pathfuse.study.samples import read_samples
from pathfuse.workflows.adapting.candidates import observed_of
from pathfuse.workflows.model import FusedModel

LAST = np.inf
"""The time of samples that have none: after all others."""


@dataclass(frozen=True)
class Incoming:
    """What a samples table says; empty without one."""

    place: dict[str, int] = field(default_factory=dict)
    """Of each sample in the order of the stream."""
    patients: dict[str, str] = field(default_factory=dict)
    """Of the samples that have one."""
    observed: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    """Per sample with a label and task, its observed set: Float, (outcome,)."""
    times: dict[str, float] = field(default_factory=dict)
    """When each sample came; empty without ``--order``."""
    labelled: dict[str, float] = field(default_factory=dict)
    """When each label came; empty without ``--labelled-at``."""
    cells: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each sample both times as the table says them; empty without ``--labelled-at``."""
    source: str = ""
    """The table."""

    def in_order(self, ids: list[str]) -> list[str]:
        """Samples as they came; those that the table lacks last, by name."""
        return sorted(ids, key=lambda i: (self.place.get(i, len(self.place)), i))


@dataclass(frozen=True)
class Timing:
    """When labels come."""

    delay: int = 0
    """So many samples after the next one."""
    order: str | None = None
    """Column of the samples table with the time or number of each sample."""
    labelled_at: str | None = None
    """Column with the time when each label came."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named."""
        return tuple(name for name in (self.order, self.labelled_at) if name is not None)

    def check(self) -> None:
        """Refuses what contradicts itself.

        Raises:
            InputError: In words.
        """
        if self.delay < 0:
            raise InputError(f"--delay {self.delay} is negative")
        if self.delay and self.labelled_at is not None:
            raise InputError(
                "--delay and --labelled-at both say when labels come; give one of them"
            )
        if self.labelled_at is not None and self.order is None:
            raise InputError("--labelled-at needs --order COLUMN, which says when the samples came")


def read_incoming(
    model: FusedModel, samples: str | Path | Any, timing: Timing, reading: Reading
) -> Incoming:
    """Reads a samples table of which some, or no, rows have a label.

    Raises:
        InputError: The table is wrong, or names an outcome that the model does not know.
    """
    table = samples_table(samples, reading)
    rows = identified(table, SAMPLES_FIELDS, reading).table
    ids = id_column(rows)
    patients: dict[str, str] = {}
    if PATIENT.column in rows.frame.columns:
        given = text_column(rows, PATIENT.column)
        patients = {i: p for i, p in zip(ids, given, strict=True) if p is not None}
    times = _times(rows, timing.order, "--order", ids, whole=True)
    keys = [times.get(i, 0.0) for i in ids]
    place = {ids[n]: p for p, n in enumerate(np.argsort(keys, kind="stable").tolist())}
    labelled = _times(rows, timing.labelled_at, "--labelled-at", ids, whole=False)
    cells: dict[str, tuple[str, str]] = {}
    if timing.order is not None and timing.labelled_at is not None:
        both = (rows.frame[name].cast(pl.String).to_list() for name in timing.columns)
        cells = {i: (came, said) for i, came, said in zip(ids, *both, strict=True)}
    observed = _observed(model, table, reading)
    return Incoming(place, patients, observed, times, labelled, cells, rows.source)


def _observed(
    model: FusedModel, table: Table, reading: Reading
) -> dict[str, dict[str, np.ndarray]]:
    """The labels that are there. Most samples may have none yet."""
    some = reading.model_copy(update={"allow_partial": True})
    intake = take_in(table, model.endpoint.kind, some)
    if not intake.table.frame.height:
        return {}
    people = read_samples(intake.table)
    truth = model.endpoint.truth(people.columns(intake.targets))
    found: dict[str, dict[str, np.ndarray]] = {}
    for row, name in enumerate(people.ids.tolist()):
        sets = {task: observed_of(truth, task, row) for task in model.fusions}
        if known := {task: one for task, one in sets.items() if one is not None}:
            found[name] = known
    return found


def _times(
    table: Table, column: str | None, option: str, ids: list[str], *, whole: bool
) -> dict[str, float]:
    """A column of numbers or ISO dates as numbers that grow with time; ``whole``: no cell is empty."""
    if column is None:
        return {}
    if column not in table.frame.columns:
        raise InputError(f"{option} {column}: {table.source} has no column '{column}'")
    cells = table.frame[column]
    values = in_time(cells)
    said = cells.is_not_null() & (cells.cast(pl.String) != "")
    bad = (said & values.is_null()) if not whole else values.is_null()
    if bad.any():
        row = int(bad.arg_true()[0])
        shown = f"'{cells[row]}'" if said[row] else "an empty cell"
        raise InputError(
            f"{table.source}, column '{column}', sample '{ids[row]}': {shown} is neither a number nor a date "
            "such as 2026-03-31 or 2026-03-31T09:30, as the rest of the column is"
        )
    return {i: float(v) for i, v in zip(ids, values, strict=True) if v is not None}


def in_time(cells: pl.Series) -> pl.Series:
    """Numbers as they are, dates and times as seconds; null where a cell is neither."""
    if cells.dtype.is_numeric():
        return cells.cast(pl.Float64)
    if not cells.dtype.is_temporal():
        text = cells.cast(pl.String)
        numbers = text.cast(pl.Float64, strict=False)
        if numbers.is_not_null().any() or not text.is_not_null().any():
            return numbers
        cells = _dates(text)
    return cells.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6


def _dates(text: pl.Series) -> pl.Series:
    """ISO 8601 text as times."""
    found = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    formats = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f")
    for one in (*formats, *(form.replace("T", " ") for form in formats[1:])):
        read = text.str.strptime(pl.Datetime("us"), one, strict=False, exact=True)
        found = found.fill_null(read)
    return found


def check_times(ids: list[str], incoming: Incoming, timing: Timing) -> None:
    """Refuses labels without a time, and labels that came before their own sample.

    Either would be known to samples that were predicted before anybody knew it.

    Args:
        ids: Samples of the stream whose label this table brings.
        incoming: What the table says.
        timing: Of the labels.

    Raises:
        InputError: Naming the first of them, and how many there are.
    """
    if timing.labelled_at is None:
        return
    blank = [i for i in ids if i not in incoming.labelled]
    if blank:
        raise InputError(
            f"{incoming.source}, column '{timing.labelled_at}': the label of sample '{blank[0]}' has no time"
            f"{_so_many(blank)}; with --labelled-at every label needs the time when it came"
        )
    early = [i for i in ids if incoming.labelled[i] < incoming.times[i]]
    if early:
        came, said = incoming.cells[early[0]]
        raise InputError(
            f"{incoming.source}: the label of sample '{early[0]}' came at {said} (column '{timing.labelled_at}'), "
            f"before the sample itself at {came} (column '{timing.order}'){_so_many(early)}; are the columns swapped?"
        )


def _so_many(found: list[str]) -> str:
    return f", and so it is with {len(found) - 1} more" if len(found) > 1 else ""


def due_of(
    ids: list[str],
    known: np.ndarray,
    n_before: int,
    incoming: Incoming,
    timing: Timing,
) -> np.ndarray:
    """For each sample of the stream the first position whose prediction may know its label.

    Args:
        ids: Of the whole stream.
        known: Bool, (sample,): whose label is there and has not been learned.
        n_before: Samples that were predicted in earlier calls.
        incoming: With the times, if labels have any.
        timing: Of the labels.
    """
    own = np.arange(len(ids))
    due = own + timing.delay + 1
    if timing.labelled_at is not None:
        arrived = np.sort([incoming.times.get(i, LAST) for i in ids[n_before:]])
        labels = np.array([incoming.labelled.get(i, -LAST) for i in ids])
        due = np.maximum(n_before + np.searchsorted(arrived, labels, side="right"), own + 1)
    return np.where(known, due, NEVER)
