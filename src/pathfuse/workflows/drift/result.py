"""What ``drift`` found: a table, a few numbers, a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pathfuse.drift.figures import Figure
from pathfuse.drift.reference import Reference
from pathfuse.drift.sequential import Watch
from pathfuse.drift.verdict import BatchVerdict, Finding, in_words
from pathfuse.files.write import new_folder, write_json, write_table
from pathfuse.report.drawings import save_drawings
from pathfuse.report.drift import DriftContent, drawings, render
from pathfuse.report.words import counted

SCHEMA = {
    "figure": pl.String,
    "kind": pl.String,
    "expert": pl.String,
    "task": pl.String,
    "outcome": pl.String,
    "compared": pl.String,
    "probability_higher": pl.Float64,
    "shift": pl.Float64,
    "z": pl.Float64,
    "p_value": pl.Float64,
    "batch_alarm": pl.Boolean,
    "stream_peak": pl.Float64,
    "stream_alarm": pl.String,
    "stream_onset": pl.String,
}


@dataclass(frozen=True)
class Stream:
    """What the sequential test showed."""

    watch: Watch
    limit: float
    horizon: int
    """Patients within which a false alarm is given at the stated rate."""
    last: Sequence[str]
    """The last sample of each patient, in order."""
    first: tuple[Figure, bool] | None
    """The figure that gave the first alarm, and whether by its spread; None: no alarm."""
    unit: str = "patient"
    """What is counted, in words."""

    @property
    def alarm(self) -> str | None:
        """The sample at which the first alarm was given."""
        column = self.watch.first
        return None if column < 0 else self.last[self.watch.alarm[column]]

    @property
    def onset(self) -> str | None:
        """The sample from which on that figure was off."""
        column = self.watch.first
        return None if column < 0 else self.last[self.watch.onset[column]]

    @property
    def in_words(self) -> str:
        """What was found, in one clause."""
        if self.first is None:
            return "no alarm"
        column = self.watch.first
        number, since = self.watch.alarm[column] + 1, self.watch.onset[column] + 1
        figure, spread = self.first
        varies = spread and not figure.share  # a share that is off is said as such
        what = f"{figure.words} {'varies otherwise than usual' if varies else 'is off'}"
        return (
            f"alarm at {self.unit} {number} of {len(self.last)} ('{self.alarm}'): {what}, "
            f"probably since {self.unit} {since} ('{self.onset}')"
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alarm": self.first is not None,
            "largest": float(self.watch.path.max(initial=0.0)),
            "limit": self.limit,
            "horizon": self.horizon,
            "patients_in_a_step": self.watch.step,
            "alarm_sample": self.alarm,
            "onset_sample": self.onset,
            "figure": None if self.first is None else self.first[0].words,
        }


@dataclass(frozen=True, repr=False)
class DriftResult:
    """What was found. ``save`` writes its tables and its page."""

    table: pl.DataFrame
    """Content of ``drift.csv``: per figure how new samples lie beside the fit rows, those with an
    alarm first."""
    windows: pl.DataFrame | None
    """Content of ``windows.csv``: loss and calibration over time; None without truths."""
    summary: dict[str, Any]
    """Content of ``drift.json``."""
    batch: BatchVerdict = field(repr=False)
    stream: Stream = field(repr=False)

    @property
    def found(self) -> bool:
        """Whether either test gave an alarm."""
        return bool(self.batch.drifted) or self.stream.first is not None

    @property
    def drifted(self) -> tuple[Finding, ...]:
        """The figures that gave an alarm of the batch test."""
        return self.batch.drifted

    @property
    def headline(self) -> str:
        """The answer in a sentence or two."""
        n, patients = self.summary["samples"], self.summary["patients"]
        bare = self.summary["samples_without_patient"]
        of = f"{n} samples"
        if self.summary["patients_named"] and patients < n:
            of = counted({"fit": n, "patients_fit": patients, "fit_without_patient": bare}, "fit")
        rate = f"{100 * self.summary['false_alarms']:g} % false alarms"
        if not self.found:
            return f"No drift found among {of} ({rate})."
        parts = []
        if self.batch.drifted:
            parts.append(f"taken together: {in_words(self.batch.drifted)}")
        if self.stream.first is not None:
            parts.append(f"one after the other: {self.stream.in_words}")
        return f"Drift found among {of} ({rate}); {'; '.join(parts)}."

    @property
    def warning(self) -> str | None:
        """That the model was fitted on some of the samples; None if it was on none."""
        n_seen, n = self.summary["samples_seen_in_fit"], self.summary["samples"]
        if not n_seen:
            return None
        return (
            f"{n_seen:,} of the {n:,} samples {'was' if n_seen == 1 else 'were'} among the fit rows of the model: they "
            "are like the fit rows, and hide a change of the others; give new samples alone"
        )

    def __repr__(self) -> str:
        return f"DriftResult({self.headline})"

    def save(self, folder: str | Path, force: bool = False) -> Path:
        """Writes a complete folder or none: ``drift.csv``, ``drift.json``, ``drift.html``,
        ``figures/``, and ``windows.csv`` where truths are known.

        Args:
            folder: Where to; must not exist unless ``force``.
            force: Overwrite.

        Raises:
            InputError: The folder exists, or cannot be written.
        """
        content = DriftContent(
            self.headline,
            self.found,
            self.table,
            self.windows,
            self.summary,
            self.stream.watch.path,
            self.stream.limit,
            self.warning,
        )
        drawn = drawings(content)
        with new_folder(Path(folder), force) as place:
            write_table(self.table, place / "drift.csv")
            if self.windows is not None:
                write_table(self.windows, place / "windows.csv")
            write_json({**self.summary, "found": self.found}, place / "drift.json")
            save_drawings(drawn, place / "figures")
            (place / "drift.html").write_text(render(content, drawn), encoding="utf-8")
        return Path(folder)


def table_of(
    reference: Reference, batch: BatchVerdict, stream: Stream, truth: bool
) -> pl.DataFrame:
    """``drift.csv``."""
    columns = {
        reference.figure(int(feature)): column
        for column, feature in enumerate(reference.watched(truth))
    }
    rows = []
    for one in batch.findings:
        figure, column = one.figure, columns[one.figure, one.spread]
        alarm, onset = (int(x[column]) for x in (stream.watch.alarm, stream.watch.onset))
        rows.append(
            {
                "figure": figure.words,
                **figure.as_dict(),
                "compared": "spread" if one.spread else "size",
                "probability_higher": None if one.spread else float(np.clip(0.5 + one.shift, 0, 1)),
                "shift": one.shift,
                "z": one.z,
                "p_value": one.p,
                "batch_alarm": one.drifted,
                "stream_peak": float(stream.watch.peak[column]),
                "stream_alarm": stream.last[alarm] if alarm >= 0 else None,
                "stream_onset": stream.last[onset] if alarm >= 0 else None,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
