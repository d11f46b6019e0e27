"""The record of a stream: which sample came when, and which label was learned when.

It only grows: what was predicted or learned stays. Each call that brings something new is an
*update* with a number, and taking updates back cuts the record there, so that everything that is
computed from it is as it was, byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int

from pathfuse.errors import InputError
from pathfuse.files.digests import files_digest
from pathfuse.files.model_folder import read_model, write_model
from pathfuse.files.tables import parquet_frame
from pathfuse.files.write import write_table

NAME = "stream"
RECORD = f"{NAME}.json"
"""Without it a folder holds no stream."""
FILES = (RECORD, f"{NAME}.parquet", f"{NAME}.safetensors")
SCHEMA = 1
NOT_YET = -1
"""In place of a number of something that has not happened."""
Numbers = Int[np.ndarray, " sample"]


@dataclass(frozen=True)
class Journal:
    """A stream so far; samples in the order in which they were predicted."""

    about: dict[str, Any]
    """What must not change from call to call: the model, the method."""
    ids: tuple[str, ...]
    patients: tuple[str | None, ...]
    """None: not given."""
    predicted_in: Numbers
    """The update in which each sample was predicted."""
    n_known: Numbers
    """How many labels had been learned then."""
    labelled_in: Numbers
    """The update that brought its label."""
    learned_in: Numbers
    """The update in which it was learned."""
    learned: Numbers
    """Which label it was, from 0, in the order of learning."""
    logits: Mapping[str, np.ndarray]
    """Per task what the experts said: Float, (sample, expert, outcome)."""
    observed: Mapping[str, np.ndarray]
    """Per task the labels: Float, (sample, outcome); NaN where there is none."""

    @property
    def units(self) -> tuple[str, ...]:
        """The patient of each sample; one without stands for itself."""
        return tuple(i if p is None else p for i, p in zip(self.ids, self.patients, strict=True))

    @property
    def n_updates(self) -> int:
        """How many updates there were."""
        return int(max(a.max(initial=0) for a in self._updates))

    @property
    def n_learned(self) -> int:
        """How many labels have been learned."""
        return int((self.learned != NOT_YET).sum())

    @property
    def learned_order(self) -> Numbers:
        """The samples in the order in which their labels were learned."""
        there = np.flatnonzero(self.learned != NOT_YET)
        return there[np.argsort(self.learned[there])]

    @property
    def _updates(self) -> tuple[Numbers, ...]:
        return self.predicted_in, self.labelled_in, self.learned_in

    def without_last(self, n_updates: int) -> "Journal":
        """As it was before its last updates.

        Raises:
            InputError: There are not so many.
        """
        last = self.n_updates - n_updates
        if n_updates < 1 or last < 1:
            raise InputError(
                f"--undo {n_updates} is out of range: the folder has {self.n_updates} "
                f"update{'' if self.n_updates == 1 else 's'}, and the first stays; remove the folder to begin anew"
            )
        kept = np.flatnonzero(self.predicted_in <= last)
        cut = self.rows(kept)
        labelled = cut.labelled_in <= last
        done = cut.learned_in <= last
        return replace(
            cut,
            labelled_in=np.where(labelled, cut.labelled_in, NOT_YET),
            learned_in=np.where(done, cut.learned_in, NOT_YET),
            learned=np.where(done, cut.learned, NOT_YET),
            observed={
                task: np.where((labelled & (cut.labelled_in != NOT_YET))[:, None], one, np.nan)
                for task, one in cut.observed.items()
            },
        )

    def rows(self, index: np.ndarray) -> "Journal":
        """Some of the samples."""
        return replace(
            self,
            ids=tuple(self.ids[n] for n in index),
            patients=tuple(self.patients[n] for n in index),
            predicted_in=self.predicted_in[index],
            n_known=self.n_known[index],
            labelled_in=self.labelled_in[index],
            learned_in=self.learned_in[index],
            learned=self.learned[index],
            logits={task: one[index] for task, one in self.logits.items()},
            observed={task: one[index] for task, one in self.observed.items()},
        )

    def write(self, folder: Path) -> None:
        """Writes ``stream.parquet``, ``stream.json`` and ``stream.safetensors``."""
        columns = {
            "predicted_in": self.predicted_in,
            "n_labels": self.n_known,
            "labelled_in": self.labelled_in,
            "learned_in": self.learned_in,
            "label": self.learned + (self.learned != NOT_YET),  # people count from 1
        }
        patients = pl.Series(self.patients, dtype=pl.String)
        frame = pl.DataFrame({"sample_id": self.ids, "patient_id": patients, **columns})
        absent = [pl.col(name).replace(NOT_YET, None) for name in columns]
        write_table(frame.with_columns(absent), folder / f"{NAME}.parquet")
        tensors = {}
        for t, task in enumerate(self.logits):
            tensors[f"{t}/experts"] = np.ascontiguousarray(self.logits[task])
            tensors[f"{t}/observed"] = np.ascontiguousarray(self.observed[task])
        content = {"schema": SCHEMA, "tasks": list(self.logits), **self.about}
        write_model(folder, NAME, content, tensors)


def empty(about: dict[str, Any], shapes: Mapping[str, tuple[int, int]]) -> Journal:
    """A stream before anything came; ``shapes``: per task the numbers of experts and outcomes."""
    none = np.zeros(0, dtype=np.int64)
    return Journal(
        about,
        (),
        (),
        none,
        none,
        none,
        none,
        none,
        {task: np.zeros((0, m, c)) for task, (m, c) in shapes.items()},
        {task: np.zeros((0, c)) for task, (_, c) in shapes.items()},
    )


def is_journal(folder: Path) -> bool:
    """Whether a folder holds a stream."""
    return (folder / RECORD).is_file()


def has_remains(folder: Path) -> bool:
    """Whether a folder holds any file of a stream."""
    return any((folder / name).is_file() for name in FILES)


def state_of(folder: Path) -> str:
    """A digest of the files of a stream: another one if another call has written it."""
    files = (folder / name for name in FILES)
    return files_digest(file for file in files if file.is_file())


def read_journal(folder: Path) -> Journal:
    """The stream that a folder holds.

    Raises:
        InputError: It holds none, it is damaged, or a newer version wrote it.
    """
    with read_model(folder, NAME, SCHEMA, "stream of adapt") as (content, tensors):
        try:
            frame = parquet_frame(folder / f"{NAME}.parquet")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise ValueError(f"{NAME}.parquet cannot be read") from error
        tasks = content.pop("tasks")
        content.pop("schema")

        def numbers(name: str) -> Numbers:
            found = frame[name].cast(pl.Int64).fill_null(NOT_YET)
            return np.array(found.to_numpy(), dtype=np.int64)

        label = numbers("label")
        journal = Journal(
            content,
            tuple(frame["sample_id"].to_list()),
            tuple(frame["patient_id"].to_list()),
            numbers("predicted_in"),
            numbers("n_labels"),
            numbers("labelled_in"),
            numbers("learned_in"),
            np.where(label > 0, label - 1, NOT_YET),
            {task: tensors[f"{t}/experts"] for t, task in enumerate(tasks)},
            {task: tensors[f"{t}/observed"] for t, task in enumerate(tasks)},
        )
        lengths = {len(one) for one in [*journal.logits.values(), *journal.observed.values()]}
        if lengths != {len(journal.ids)}:
            raise ValueError(f"{NAME}.parquet and {NAME}.safetensors differ in their samples")
        return journal
