"""What is read for a stream of scores: whose files, which columns, which ranges."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import polars as pl
import pyarrow as pa
from joblib import delayed

from pathfuse.endpoints.base import PredictionHints
from pathfuse.endpoints.columns import RISK, Columns
from pathfuse.errors import InputError, WorkerError
from pathfuse.files.table import Table
from pathfuse.scale.parquet_files import ID, batches
from pathfuse.scale.partitions import Partition, partitions_of
from pathfuse.scale.places import Places, parquet_files
from pathfuse.scale.sorted_files import SortedFile, sorted_files_of
from pathfuse.scale.sources import ExpertFiles, expert_files
from pathfuse.workers import file_to_file
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.scoring.block import Rule

NUMBERS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)
"""Kinds of columns that may carry predictions."""


@dataclass(frozen=True)
class Plan:
    """All that decides the scores."""

    columns: Mapping[str, tuple[str, ...]]
    """Per expert those that carry its predictions."""
    partitions: Sequence[Partition]
    n_rows: int
    """Rows of all experts together."""
    stamp: str
    """Digest of the model, the rule, and the files with their sizes and times."""


def sources_of(model: FusedModel, places: Places) -> list[ExpertFiles]:
    """The experts' files.

    Raises:
        InputError: A place is not Parquet alone, a file is damaged or has other columns than the
            expert's others, or the model does not know an expert.
    """
    found = parquet_files(places, model.experts)
    unknown = next((name for name in found if name not in model.experts), None)
    if unknown is not None:
        raise InputError(
            f"the model does not know the expert '{unknown}'; its experts are "
            f"{', '.join(model.experts)}"
        )
    return [expert_files(name, files) for name, files in found.items()]


def plan_of(
    model: FusedModel,
    sources: Sequence[ExpertFiles],
    rule: Rule,
    spill: Path,
    shown: Path,
    n_jobs: int | None = None,
) -> Plan:
    """Reads the names of all samples once, and divides them into ranges.

    Args:
        model: The model.
        sources: From ``sources_of``.
        rule: Which samples are fused.
        spill: A folder for sorted pieces of files that are in another order.
        shown: What that folder is called in messages.
        n_jobs: Processes, as in joblib.

    Raises:
        InputError: Columns are not as the model needs them, a name is empty or occurs twice, or
            nothing can be written into ``spill``.
    """
    columns = {one.name: _carrying(model, one) for one in sources}
    tasks = [(one.name, file) for one in sources for file in one.files]
    found = dict(
        file_to_file(
            n_jobs,
            (
                delayed(_in_order)(number, name, file, columns[name], spill, shown)
                for number, (name, file) in enumerate(tasks)
            ),
            lost=_lost,
        )
    )
    files = [one for number in range(len(tasks)) for one in found[number]]
    stamp = _stamp(model, sources, columns, rule)
    return Plan(
        columns, partitions_of(files, len(sources)), sum(file.n_rows for file in files), stamp
    )


def _lost(sentence: str, _number: int, _name: str, file: Path, *_: object) -> NoReturn:
    raise WorkerError(f"{file} could not be read: {sentence}")


def _in_order(
    number: int, name: str, file: Path, columns: Sequence[str], spill: Path, shown: Path
) -> tuple[int, list[SortedFile]]:
    try:
        return number, sorted_files_of(name, file, columns, spill, number)
    except OSError as error:
        raise InputError(
            f"{file} is not in the order of its '{ID}', and cannot be sorted beside {shown}: "
            f"{os.strerror(error.errno) if error.errno else error}"
        ) from error


def _carrying(model: FusedModel, expert: ExpertFiles) -> tuple[str, ...]:
    """The columns that carry an expert's predictions, in the contract's form.

    Raises:
        InputError: There are none, one does not hold numbers, or they would need to be understood.
    """
    header = list(expert.types)
    source, head = _head(expert)
    carrying = model.endpoint.prediction_columns(header)
    if model.endpoint.blank_columns:
        blank = {name for name in carrying if head[name].null_count() == head.height}
        blank &= {name for name in blank if _is_blank(expert, name)}
        carrying = [name for name in carrying if name not in blank]
    for name in carrying:
        kind = expert.types[name]
        if not any(is_kind(kind) for is_kind in NUMBERS):
            raise InputError(f"{source}, column '{name}': {kind} is not a number")
    if RISK in carrying:
        if expert.name not in model.baselines:
            raise InputError(
                f"{source}: '{expert.name}' gives a risk, but the model was fitted on its hazards"
            )
    else:
        _check_understood(model, expert.name, Table(source, head))
    values = head.select(pl.col(carrying).cast(pl.Float64)).to_numpy()
    named = {name: values[:, k] for k, name in enumerate(carrying)}
    read = Columns(source, head[ID].to_list(), named, tuple(header))
    model.endpoint.read_expert(read, model.label_maps[expert.name])
    return tuple(carrying)


def _head(expert: ExpertFiles) -> tuple[str, pl.DataFrame]:
    """The first rows of an expert's first file that has any.

    Raises:
        InputError: None has.
    """
    for file in expert.files:
        head = next(batches(file, str(file), [ID, *expert.types], rows=1000), None)
        if head is not None and head.height:
            return str(file), head
    raise InputError(f"{expert.files[0]} has no row")


def _is_blank(expert: ExpertFiles, column: str) -> bool:
    """Whether a column has no value in any row."""
    return all(
        part[column].null_count() == part.height
        for file in expert.files
        for part in batches(file, str(file), [ID, column])
    )


def _check_understood(model: FusedModel, name: str, head: Table) -> None:
    """Refuses columns that would have to be understood first.

    Raises:
        InputError: Saying how they would be.
    """
    table, notes = model.endpoint.understand_predictions(
        head, model.label_maps[name], PredictionHints()
    )
    if notes or set(table.frame.columns) != set(head.frame.columns):
        why = notes[0] if notes else f"{head.source}: columns {', '.join(head.frame.columns)}"
        raise InputError(
            f"{why}; a table that is read in blocks must have the columns of the model's own "
            f"outcomes ({', '.join(model.endpoint.prefixes)}...); --no-stream reads it as a whole"
        )


def _stamp(
    model: FusedModel,
    sources: Sequence[ExpertFiles],
    columns: Mapping[str, Sequence[str]],
    rule: Rule,
) -> str:
    digest = hashlib.sha256()
    with TemporaryDirectory() as folder:
        model.save(Path(folder))
        for file in sorted(Path(folder).iterdir()):
            digest.update(file.read_bytes())
    files = [
        [one.name, str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns]
        for one in sources
        for file in one.files
    ]
    content = [files, {k: list(v) for k, v in columns.items()}, rule.min_experts, rule.require_all]
    digest.update(json.dumps(content).encode())
    return digest.hexdigest()
