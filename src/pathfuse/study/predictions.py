"""The experts' tables: one file per expert, a folder of them, or one long table.

See docs/reference/tables.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from pathfuse.endpoints.base import Endpoint, LabelMap, PredictionHints
from pathfuse.endpoints.columns import Columns
from pathfuse.errors import InputError, raise_faults, tried
from pathfuse.files.spelling import BLANKS, check_spelling
from pathfuse.files.tables import (
    IN_WORDS,
    Table,
    id_column,
    number_column,
    read_table,
    stem_of,
    table_in_memory,
    tables_in,
    text_column,
)
from pathfuse.study.fields import PREDICTION_FIELDS
from pathfuse.study.identify import identified
from pathfuse.study.reading import DEFAULT, Reading

PredictionInput: TypeAlias = str | Path | Any | Sequence[str | Path] | Mapping[str, Any]
"""A path, a folder, a data frame in long form, several paths, or a mapping of expert names to paths
or frames."""


SEEN = "seen_in_fit"
"""Optional column: whether the model that predicted a sample was fitted on it."""
IN_MEMORY = "in memory"
"""Stands for the file of a data frame without a name, which must be a long table."""


@dataclass(frozen=True)
class PredictionTable:
    """One expert's rows before an endpoint has read them."""

    name: str
    table: Table


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
        InputError: A folder is missing or two experts have one name.
    """
    read, faults = tried(_items(predictions), lambda item: _tables_of(*item, reading))
    found = [table for tables in read for table in tables]
    found.sort(key=lambda expert: expert.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            if one.table.source == other.table.source:
                raise InputError(f"the predictions {one.table.source} were given twice")
            raise InputError(
                f"two experts have the name '{one.name}': {one.table.source} and {other.table.source}"
            )
    return found, faults


def _tables_of(name: str, item: Any, reading: Reading) -> list[PredictionTable]:
    """The experts' tables in one file or frame."""
    table = (
        read_table(item)
        if isinstance(item, Path)
        else table_in_memory(f"predictions '{name}'", item)
    )
    table, understood = identified(table, PREDICTION_FIELDS, reading)
    table = replace(table, notes=(*table.notes, *understood))
    if name == IN_MEMORY and "expert" not in table.frame.columns:
        raise InputError(
            "a data frame of predictions needs a name: predictions={'uni': frame, 'virchow2': ...}"
        )
    return _by_expert(table) if "expert" in table.frame.columns else [PredictionTable(name, table)]


def _items(predictions: PredictionInput) -> Iterable[tuple[str, Any]]:
    if isinstance(predictions, Mapping):
        for name, item in predictions.items():
            yield str(name).strip(BLANKS), Path(item) if isinstance(item, str | Path) else item
    elif isinstance(predictions, str | Path):
        yield from ((stem_of(path).strip(BLANKS), path) for path in _files(Path(predictions)))
    elif isinstance(predictions, list | tuple):
        for item in predictions:
            yield from _items(item)
    else:
        yield IN_MEMORY, predictions


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            if not path.exists():
                raise InputError(f"{path} does not exist")
            return [path]
        files = tables_in(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not files:
        raise InputError(f"the folder {path} holds no table ({IN_WORDS})")
    return files


def _by_expert(table: Table) -> list[PredictionTable]:
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
        experts.append(PredictionTable(str(name), own))
    return experts


def read_expert(
    expert: PredictionTable,
    endpoint: Endpoint,
    label_map: LabelMap | None,
    reading: Reading = DEFAULT,
    positive: str | None = None,
) -> Expert:
    """Reads one expert's table in the terms of an endpoint.

    Args:
        expert: Its table.
        endpoint: What is predicted.
        label_map: From the study's labels to the expert's own.
        reading: What a person said about the tables.
        positive: The class that a single probability per sample is of.

    Raises:
        InputError: An identifier occurs twice, a column is unknown, or a value is wrong.
    """
    source = expert.table.source
    if stem_of(Path(source)) != expert.name and "'" not in source:
        source = f"{source} (expert '{expert.name}')"
    hints = PredictionHints(positive, reading.percent, reading.drop_absent_classes)
    table = replace(expert.table, source=source)
    table, found = endpoint.understand_predictions(table, label_map, hints)
    ids = id_column(table)
    header = [name for name in table.frame.columns if name != "sample_id"]
    carrying = set(endpoint.prediction_columns(header))
    if endpoint.blank_columns:
        carrying = {name for name in carrying if table.frame[name].null_count() < len(ids)}
    values = {name: number_column(table, name, ids) for name in header if name in carrying}
    outputs = endpoint.read_expert(Columns(source, ids, values), label_map)
    seen = _seen(table, ids) if SEEN in header else frozenset()
    idle = tuple(name for name in header if name not in carrying and name != SEEN)
    outputs = {
        task: replace(output, ignored=(*output.ignored, *idle)) for task, output in outputs.items()
    }
    notes = (*table.notes, *found)
    return Expert(expert.name, source, ids, outputs, label_map, seen, notes)


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
