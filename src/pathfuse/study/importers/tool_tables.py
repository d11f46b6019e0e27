"""``pathfuse import`` of the formats of predictions that ``fuse`` and ``evaluate`` read by themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from pathfuse.endpoints.class_columns import class_names as spelled
from pathfuse.endpoints.columns import RISK
from pathfuse.endpoints.detect import ENDPOINTS, endpoint_of
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError
from pathfuse.files.manifest import software
from pathfuse.files.tables import Table, text_column
from pathfuse.study.class_order import with_class_names
from pathfuse.study.fields import PATIENT, SAMPLE
from pathfuse.study.folds import folds_of
from pathfuse.study.formats.base import Format
from pathfuse.study.importers.imported import Imported
from pathfuse.study.importers.importer import Importer, OnCommandLine
from pathfuse.study.importers.logitprod_options import class_names
from pathfuse.study.intake import samples_table, take_in
from pathfuse.study.patients import folds_by_sample, names_patients
from pathfuse.study.predictions import SEEN, PredictionTable, gather
from pathfuse.study.reading import Reading
from pathfuse.study.samples import read_samples
from pathfuse.study.study import with_targets

LABEL = Multiclass.target
FOLLOW_UP = ("time", "event")


class ToolOptions(BaseModel):
    """Options of the formats whose files name samples.

    A field's description is the help of its option.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: Annotated[
        tuple[str, ...] | None,
        OnCommandLine(parse=class_names),
        Field(description="Class names in the order of the columns: A,B,C."),
    ] = None
    samples: Annotated[
        Path | None,
        Field(description="Table of samples with patients and truth; default: what the files say."),
    ] = None


def tool_importer(one: Format) -> Importer[ToolOptions]:
    """An importer of a format."""

    def read(source: Path, options: ToolOptions) -> Imported:
        return read_tables(one, source, options)

    return Importer(one.name, one.in_words, "Folder or file of the tool.", ToolOptions, read)


def read_tables(one: Format, source: Path, options: ToolOptions) -> Imported:
    """The tables of a tool's predictions.

    Raises:
        InputError: The source is of another format, or what it says of the truth is contradictory.
    """
    classes = options.classes or ()
    reading = Reading(classes=",".join(classes) or None)
    experts = gather(source, reading)
    other = next((expert for expert in experts if one.name not in expert.formats), None)
    if other is not None:
        raise InputError(f"{other.table.source} is not of the format '{one.name}': {one.in_words}")
    if options.samples is not None:
        given = samples_table(options.samples)
        intake = take_in(given, None, with_targets(given, experts, reading))
        table, notes, inputs = intake.table, intake.notes, {given.source: given.sha256}
    else:
        table, notes, inputs = _samples_of(source, experts, classes), (), {}
    labels, people = _labels(table), read_samples(table)
    frames: dict[str, pl.DataFrame] = {}
    own_folds: list[tuple[str, Mapping[str, str]]] = []
    for expert in experts:
        own, named = _named(expert, labels, classes)
        of_patients = names_patients(expert.table, expert.rows, people, "patient")
        frames[expert.name] = own.rename({SAMPLE.column: PATIENT.column}) if of_patients else own
        own_folds.append(
            (expert.name, folds_by_sample(expert, people) if of_patients else expert.folds)
        )
        notes = (*notes, *expert.table.notes, *named)
        inputs |= expert.inputs or {expert.table.source: expert.table.sha256}
    folds, about = folds_of(people, own_folds)
    frame = people.frame
    if folds is not None:
        frame = frame.with_columns(pl.Series("fold", folds))
    manifest = {
        **software(),
        "format": one.name,
        "source": str(source),
        "options": options.model_dump(mode="json"),
        "endpoint": {"kind": endpoint_of(frame.columns, table.source)[0].kind},
        "inputs": inputs,
        "rows": _counted(frame),
        "left_out": [],
        "experts": {expert.name: expert.table.source for expert in experts},
        "notes": list(dict.fromkeys((*notes, *about))),
    }
    return Imported(frame, frames, manifest)


def _counted(frame: pl.DataFrame) -> dict[str, Any]:
    counts: dict[str, Any] = {"samples": frame.height}
    for column in ("split", "fold"):
        if column in frame.columns:
            values = frame[column].cast(pl.String).value_counts(sort=True).sort(column)
            counts[column] = dict(values.iter_rows())
    return counts


def _labels(table: Table) -> dict[str, str]:
    if LABEL not in table.frame.columns:
        return {}
    pairs = zip(text_column(table, "sample_id"), text_column(table, LABEL), strict=True)
    return {i: label for i, label in pairs if i is not None and label is not None}


def _named(
    expert: PredictionTable, labels: Mapping[str, str], classes: Sequence[str]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """An expert's columns under our names, and what was understood.

    Raises:
        InputError: Its classes are numbered, and nothing says what they are.
    """
    table, notes = expert.table, tuple[str, ...]()
    if expert.numbered is not None:
        if not labels:
            raise InputError(
                f"{table.source} says nothing of the classes of its samples; give a table of samples (--samples)"
            )
        endpoint = Multiclass(tuple(sorted(set(labels.values()))))
        table, notes, _ = with_class_names(table, expert.numbered, endpoint, labels, classes)
    prefixes = tuple(prefix for kind in ENDPOINTS.values() for prefix in kind.prefixes)
    kept = [n for n in table.frame.columns if n.startswith(prefixes) or n in (RISK, SEEN)]
    return table.frame.select("sample_id", *kept).sort("sample_id"), notes


def _samples_of(source: Path, experts: Sequence[PredictionTable], classes: Sequence[str]) -> Table:
    """The samples that the experts' own tables name, with the truth that they state.

    Raises:
        InputError: They state none, or two experts state another one.
    """
    rows: dict[str, dict[str, str]] = {}
    for expert in experts:
        columns = _truth(expert, classes)
        if not columns:
            raise InputError(
                f"{expert.table.source} does not say what is true of its samples; give a table of samples (--samples)"
            )
        ids = text_column(expert.table, "sample_id")
        for n, i in enumerate(ids):
            own = {name: cells[n] for name, cells in columns.items()}
            stated = {name: cell for name, cell in own.items() if cell is not None}
            there = rows.setdefault(i or "", stated)
            if there != stated:
                raise InputError(
                    f"{expert.table.source}: of the sample '{i}' it states {stated}, but another expert {there}"
                )
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    frame = pl.DataFrame(
        {"sample_id": sorted(rows), **{n: [rows[i].get(n) for i in sorted(rows)] for n in names}}
    )
    return Table(str(source), frame)


def _truth(expert: PredictionTable, classes: Sequence[str]) -> dict[str, list[str | None]]:
    """Our target columns that an expert's table states."""
    table = expert.table
    found: dict[str, list[str | None]] = {}
    if "patient_id" in table.frame.columns:
        found["patient_id"] = text_column(table, "patient_id")
    targets: dict[str, list[str | None]] = {}
    if expert.numbered is not None and expert.numbered.truth is not None:
        column = table.frame[expert.numbered.truth]
        numbers = spelled(column).to_list()
        targets[LABEL] = [_class(number, classes) for number in numbers]
    elif set(FOLLOW_UP) <= set(table.frame.columns):
        targets = {name: text_column(table, name) for name in FOLLOW_UP}
    else:
        there = {w: c for w, c in expert.targets.items() if c in table.frame.columns}
        targets = {word: text_column(table, column) for word, column in there.items()}
    return {**found, **targets} if targets else {}


def _class(number: str | None, classes: Sequence[str]) -> str | None:
    known = number is not None and number.isdecimal() and int(number) < len(classes)
    return classes[int(number)] if known and number is not None else number
