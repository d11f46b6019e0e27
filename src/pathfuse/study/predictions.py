"""The experts' tables: one file per expert, a folder of them, or one long table.

See docs/reference/tables.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from pathfuse.endpoints.base import Endpoint, LabelMap, PredictionHints
from pathfuse.endpoints.columns import Columns
from pathfuse.errors import InputError, raise_faults, tried
from pathfuse.files.spelling import BLANKS, check_spelling
from pathfuse.files.tables import (
    Table,
    id_column,
    number_column,
    read_table,
    split_sheet,
    stem_of,
    table_in_memory,
    text_column,
)
from pathfuse.study.carried_truth import CarriedTruth, carried_truth
from pathfuse.study.class_order import with_class_names
from pathfuse.study.fields import PREDICTION_FIELDS, SAMPLE, id_names, shared_with
from pathfuse.study.formats.base import Numbered, Source
from pathfuse.study.formats.registry import sources_at, understood
from pathfuse.study.formats.stamp import check_not_twice
from pathfuse.study.identify import RowKind, identified
from pathfuse.study.reading import DEFAULT, Reading

PredictionInput: TypeAlias = str | Path | Any | Sequence[str | Path] | Mapping[str, Any]
"""A path, a folder, a data frame in long form, several paths, or a mapping of expert names to paths
or frames."""


SEEN = "seen_in_fit"
"""Optional column: whether the model that predicted a sample was fitted on it."""
NO_LABELS: Mapping[str, str] = {}
IN_MEMORY = "in memory"
"""Stands for the file of a data frame without a name, which must be a long table."""


@dataclass(frozen=True)
class PredictionTable:
    """One expert's rows before an endpoint has read them."""

    name: str
    table: Table
    numbered: Numbered | None = None
    """Its columns that name their class by a number."""
    targets: Mapping[str, str] = field(default_factory=dict)
    """What the table says is predicted: a word of ``--columns`` to the column."""
    folds: Mapping[str, str] = field(default_factory=dict)
    """Fold of each sample, where the files are the test rows of folds."""
    formats: tuple[str, ...] = ()
    """Names of the formats that its place and its columns are of."""
    inputs: Mapping[str, str | None] = field(default_factory=dict)
    """Files that the table was put together from, with their SHA-256, if they are several."""
    header: tuple[str, ...] = ()
    """Names of its columns as the file has them."""
    rows: RowKind | None = None
    """What its rows are by the name of the column that identifies them; None if it does not say."""


@dataclass(frozen=True)
class Expert:
    """One expert's predictions, read."""

    name: str
    source: str
    ids: list[str]
    """``sample_id`` of each row."""
    outputs: dict[str, Any]
    """Per task: ``ExpertColumns``, or ``ExpertMoments`` for regression."""
    label_map: LabelMap | None
    seen: frozenset[str] = frozenset()
    """Samples that the model behind the predictions was fitted on, as far as the table says."""
    notes: tuple[str, ...] = ()
    """How the table was understood, a sentence each."""
    class_order: tuple[str, ...] = ()
    """Classes of its numbered columns; empty if they have names."""
    truth: tuple[CarriedTruth, ...] = ()
    """Columns of its table that say what was observed."""


def gather(predictions: PredictionInput, reading: Reading = DEFAULT) -> list[PredictionTable]:
    """All experts' tables, sorted by the experts' names.

    Args:
        predictions: Where they are.
        reading: What a person said about the tables.

    Raises:
        InputError: A file is missing or two experts have one name.
    """
    found, faults = gather_what_can_be(predictions, reading)
    raise_faults(faults)
    return found


def gather_what_can_be(
    predictions: PredictionInput, reading: Reading = DEFAULT
) -> tuple[list[PredictionTable], list[str]]:
    """The same of the tables that can be read, and what is wrong with the others.

    Raises:
        InputError: Two experts have one name.
    """
    items, missing = _items_that_can_be(predictions)
    check_not_twice([f for _, item in items if isinstance(item, Source) for f in item.files])
    read, faults = tried(items, lambda item: _tables_of(*item, reading))
    found = [table for tables in read for table in tables]
    found.sort(key=lambda expert: expert.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            if one.table.source == other.table.source:
                raise InputError(f"the predictions {one.table.source} were given twice")
            raise InputError(
                f"two experts have the name '{one.name}': {one.table.source} and {other.table.source}"
            )
    return found, [*missing, *faults]


def _items_that_can_be(predictions: PredictionInput) -> tuple[list[tuple[str, Any]], list[str]]:
    """The sources at every place that there is, and what is wrong with the other places."""
    places: list[Any] = [predictions]
    if isinstance(predictions, Mapping):
        places = [{name: item} for name, item in predictions.items()]
    elif isinstance(predictions, list | tuple):
        places = list(predictions)
    found, faults = tried(places, lambda place: list(_items(place)))
    return _by_sheet([item for items in found for item in items]), faults


def _by_sheet(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Experts from several sheets of one workbook are called as their sheets."""
    books = {}
    for n, (name, item) in enumerate(items):
        if isinstance(item, Source) and len(item.files) == 1:
            book, sheet = split_sheet(item.files[0])
            if sheet is not None and name == stem_of(book):
                books[n] = (book, sheet)
    count = Counter(book for book, _ in books.values())
    named = list(items)
    for n, (book, sheet) in books.items():
        if count[book] > 1:
            named[n] = (sheet, replace(items[n][1], name=sheet))
    return named


def _tables_of(name: str, item: Any, reading: Reading) -> list[PredictionTable]:
    """The experts' tables in one source or frame."""
    whole = (
        _read(item, reading)
        if isinstance(item, Source)
        else _identified(
            name, table_in_memory(f"predictions '{name}'", item, id_names(reading)), reading
        )
    )
    if name == IN_MEMORY and "expert" not in whole.table.frame.columns:
        raise InputError(
            "a data frame of predictions needs a name: predictions={'uni': frame, 'virchow2': ...}"
        )
    return _by_expert(whole) if "expert" in whole.table.frame.columns else [whole]


def _items(predictions: PredictionInput) -> Iterable[tuple[str, Any]]:
    """Names with a ``Source`` or a data frame."""
    if isinstance(predictions, Mapping):
        for name, item in predictions.items():
            given = str(name).strip(BLANKS)
            if isinstance(item, str | Path):
                yield given, _only(given, sources_at(Path(item)), item)
            else:
                yield given, item
    elif isinstance(predictions, str | Path):
        yield from ((one.name.strip(BLANKS), one) for one in sources_at(Path(predictions)))
    elif isinstance(predictions, list | tuple):
        for item in predictions:
            yield from _items(item)
    else:
        yield IN_MEMORY, predictions


def _only(name: str, sources: list[Source], place: str | Path) -> Source:
    if len(sources) > 1:
        raise InputError(
            f"{place} holds the predictions of {len(sources)} experts, not of '{name}'"
        )
    return replace(sources[0], name=name)


def _identified(name: str, table: Table, reading: Reading) -> PredictionTable:
    """An expert's table with our columns, as far as the table alone allows."""
    header = tuple(table.frame.columns)
    own = shared_with(reading, header)
    found = understood(table, own)
    ids = identified(found.table, PREDICTION_FIELDS, own)
    unnamed = SAMPLE.column in found.table.frame.columns and SAMPLE.column not in header
    table = replace(ids.table, notes=(*ids.table.notes, *found.notes, *ids.notes))
    formats = (found.format,) if found.format else ()
    return PredictionTable(
        name,
        table,
        found.numbered,
        found.targets,
        formats=formats,
        rows=None if unnamed else ids.rows,
        header=header,
    )


def _read(source: Source, reading: Reading) -> PredictionTable:
    """An expert's files as one table.

    Raises:
        InputError: One cannot be read, or they do not go together.
    """
    name = source.name.strip(BLANKS)
    parts = [
        _identified(name, source.read(file, id_names(reading)), reading) for file in source.files
    ]
    formats = (*((source.format,) if source.format else ()), *parts[0].formats)
    one = replace(parts[0], formats=tuple(dict.fromkeys(formats)))
    if len(parts) == 1:
        table = replace(one.table, notes=(*source.notes, *one.table.notes))
        return replace(one, table=table, folds=_folds_of(source, parts))
    header = one.table.frame.columns
    other = next((part for part in parts if part.table.frame.columns != header), None)
    if other is not None:
        raise InputError(
            f"{other.table.source} has other columns ({', '.join(other.table.frame.columns)}) than "
            f"{one.table.source} ({', '.join(header)})"
        )
    _check_once(parts)
    blanks: dict[str, int] = {}
    for part in parts:
        for column, n in part.table.blanks.items():
            blanks[column] = blanks.get(column, 0) + n
    own = tuple(note.replace(one.table.source, str(source.place)) for note in one.table.notes)
    frame = pl.concat([part.table.frame for part in parts], how="vertical_relaxed")
    table = Table(
        str(source.place), frame, None, one.table.metadata, blanks, notes=(*source.notes, *own)
    )
    inputs = {part.table.source: part.table.sha256 for part in parts}
    return replace(one, table=table, folds=_folds_of(source, parts), inputs=inputs)


def _folds_of(source: Source, parts: Sequence[PredictionTable]) -> dict[str, str]:
    return {
        str(i): fold
        for part, fold in zip(parts, source.folds, strict=bool(source.folds))
        for i in part.table.frame.get_column("sample_id", default=pl.Series([], dtype=pl.String))
    }


def _check_once(parts: Sequence[PredictionTable]) -> None:
    first: dict[str, str] = {}
    for part in parts:
        for i in text_column(part.table, "sample_id"):
            there = first.setdefault(i or "", part.table.source)
            if there != part.table.source:
                raise InputError(
                    f"'{i}' is in {there} and in {part.table.source}: files of folds must hold the test rows of "
                    "their fold alone"
                )


def _by_expert(whole: PredictionTable) -> list[PredictionTable]:
    table = whole.table
    names = text_column(table, "expert")
    if None in names:
        raise InputError(f"{table.source}, column 'expert': row {names.index(None) + 1} is empty")
    check_spelling(table.source, "expert", names)
    frame = table.frame.with_columns(pl.Series("expert", names))
    parts = frame.partition_by("expert", as_dict=True, include_key=False)
    experts = []
    for (name,), part in parts.items():
        # In a long table an expert's columns are those that it fills.
        filled = [c for c in part.columns if part[c].null_count() < part.height]
        own = replace(table, frame=part.select(filled))
        experts.append(replace(whole, name=str(name), table=own))
    return experts


def read_expert(
    expert: PredictionTable,
    endpoint: Endpoint,
    label_map: LabelMap | None,
    reading: Reading = DEFAULT,
    positive: str | None = None,
    labels: Mapping[str, str] = NO_LABELS,
    order: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> Expert:
    """Reads one expert's table in the terms of an endpoint.

    Args:
        expert: Its table.
        endpoint: What is predicted.
        label_map: From the study's labels to the expert's own.
        reading: What a person said about the tables.
        positive: The class that a single probability per sample is of.
        labels: True class of each sample, as far as known.
        order: Classes in the order of numbered columns; default: as ``reading`` says.
        targets: Columns of the samples table that say what was observed.

    Raises:
        InputError: An identifier occurs twice, a column is unknown, or a value is wrong.
    """
    source = expert.table.source
    if stem_of(Path(source)) != expert.name and "'" not in source:
        source = f"{source} (expert '{expert.name}')"
    hints = PredictionHints(positive, reading.percent, reading.drop_absent_classes)
    table = replace(expert.table, source=source)
    named: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    if expert.numbered is not None:
        table, named, classes = with_class_names(
            table,
            expert.numbered,
            endpoint,
            labels,
            order or reading.class_names,
            mapped=label_map is not None,
        )
    table, found = endpoint.understand_predictions(table, label_map, hints)
    ids = id_column(table)
    header = [name for name in table.frame.columns if name != "sample_id"]
    carrying = set(endpoint.prediction_columns(header))
    if endpoint.blank_columns:
        carrying = {name for name in carrying if table.frame[name].null_count() < len(ids)}
    table.check_clear(carrying)
    values = {name: number_column(table, name, ids) for name in header if name in carrying}
    outputs = endpoint.read_expert(Columns(source, ids, values, tuple(header)), label_map)
    seen = _seen(table, ids) if SEEN in header else frozenset()
    idle = tuple(name for name in header if name not in carrying and name != SEEN)
    outputs = {
        task: replace(output, ignored=(*output.ignored, *idle)) for task, output in outputs.items()
    }
    notes = (*table.notes, *named, *found)
    truth = carried_truth(table, targets, endpoint, reading, expert.targets, idle)
    return Expert(expert.name, source, ids, outputs, label_map, seen, notes, classes, truth)


def _seen(table: Table, ids: list[str]) -> frozenset[str]:
    words = {None: False, "false": False, "0": False, "true": True, "1": True}
    texts = [text if text is None else text.lower() for text in text_column(table, SEEN)]
    bad = next((row for row, text in enumerate(texts) if text not in words), None)
    if bad is not None:
        raise InputError(
            f"{table.source}, column '{SEEN}', sample '{ids[bad]}': '{texts[bad]}' is neither true nor false"
        )
    return frozenset(i for i, text in zip(ids, texts, strict=True) if words[text])


def label_map_table(name: str, source: str | Path | Any) -> Table:
    """The table of a label map that is not a mapping.

    Raises:
        InputError: It cannot be read.
    """
    is_path = isinstance(source, str | Path)
    return (
        read_table(Path(source)) if is_path else table_in_memory(f"label map of '{name}'", source)
    )


def read_label_map(name: str, source: str | Path | Any) -> LabelMap:
    """A two-column table ``label,expert_label``, a mapping, or a data frame.

    Raises:
        InputError: A column is missing, a cell is empty, or a label occurs twice.
    """
    if isinstance(source, Mapping):
        return {str(k).strip(BLANKS): str(v).strip(BLANKS) for k, v in source.items()}
    table = label_map_table(name, source)
    labels, targets = text_column(table, "label"), text_column(table, "expert_label")
    result: dict[str, str] = {}
    for row, (label, target) in enumerate(zip(labels, targets, strict=True)):
        if label is None or target is None:
            raise InputError(f"{table.source}: row {row + 1} is not complete")
        if label in result:
            raise InputError(f"{table.source}, column 'label': '{label}' occurs twice")
        result[label] = target
    return result
