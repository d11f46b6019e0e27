"""Tables of a benchmark: all models and fusions of a data set and strategy on the same images, by the
same resamples.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64

from pathfuse.dense.benchmark.cells import CONFUSION, INSTANCES, CellTask, facts
from pathfuse.dense.benchmark.columns import ALL_SEEDS, FACTS, FIGURES, KEYS, PAIRS
from pathfuse.dense.benchmark.fusions import FusionTask
from pathfuse.dense.evaluation.confusion import Confusions, ConfusionTable, read_confusions
from pathfuse.dense.evaluation.counting import Counted
from pathfuse.dense.evaluation.instance_table import InstanceTable, read_instance_table
from pathfuse.dense.evaluation.verdict import evaluate_columns


class Tables(NamedTuple):
    """The tables of a whole benchmark."""

    leaderboard: pl.DataFrame
    """``KEYS``, ``FIGURES`` without ``output``, ``FACTS``: metrics over all classes."""
    classes: pl.DataFrame
    """The same per class, without ``FACTS``."""
    comparisons: pl.DataFrame
    """``PAIRS``: paired differences of every two of a data set, strategy and seed."""
    warnings: list[str]


Instances: TypeAlias = Mapping[str, Float64[np.ndarray, " image"]]
"""Per instance metric its values on the images with instances; NaN where an image defines none."""


class Entry(NamedTuple):
    """One model or fusion with one seed."""

    kind: str
    cms: Confusions
    instances: Instances | None
    facts: Mapping[str, Any]


class Images(NamedTuple):
    """Images in the order of the matrices and of the instances' values."""

    with_mask: tuple[str, ...]
    with_instances: tuple[str, ...]


def evaluate_benchmark(
    tasks: Sequence[CellTask], fusions: Sequence[FusionTask], n_resamples: int
) -> Tables:
    """Evaluates all cells that are done.

    Args:
        tasks: Finished cells, data sets slowest.
        fusions: Finished fusions of them.
        n_resamples: Of the bootstrap by patient.
    """
    boards, classes, pairs, warnings = [], [], [], []
    for (dataset, strategy), group in groupby(
        tasks, key=lambda one: (one.cell.dataset, one.cell.strategy)
    ):
        own = list(group)
        by_seed, images = _entries(
            own, [f for f in fusions if (f.dataset, f.strategy) == (dataset, strategy)]
        )
        if len(by_seed) > 1:
            by_seed[ALL_SEEDS] = over_seeds(by_seed)
        split = own[0].split
        patient_of = {item.image_id: item.patient_id for item in split.test}
        for seed, entries in by_seed.items():
            tables = _counted(entries, images)
            verdict = evaluate_columns(*tables, patient_of, n_resamples, classes=split.class_names)
            keys = {"dataset": dataset, "strategy": strategy, "seed": seed}
            board = _board(verdict.metrics, entries, keys)
            boards.append(board.filter(pl.col("output") == "all").drop("output"))
            classes.append(board.filter(pl.col("output") != "all").drop(*FACTS))
            pairs.append(
                _constant(verdict.comparisons.filter(pl.col("output") == "all"), keys).select(
                    *PAIRS
                )
            )
            if seed == next(reversed(by_seed)):
                warnings += [f"{dataset}, {strategy}: {warning}" for warning in verdict.warnings]
    return Tables(pl.concat(boards), pl.concat(classes), pl.concat(pairs), warnings)


def _entries(
    tasks: Sequence[CellTask], fusions: Sequence[FusionTask]
) -> tuple[dict[str, dict[str, Entry]], Images]:
    """Per seed, models before fusions; and the images."""
    by_seed: dict[str, dict[str, Entry]] = {}
    images = Images((), ())
    for task in tasks:
        table, name = read_confusions(task.place / CONFUSION, task.split.n_classes), task.cell.model
        file = task.place / INSTANCES
        nuclei = read_instance_table(file) if file.is_file() else None
        images = Images(table.image_ids, () if nuclei is None else nuclei.image_ids)
        entry = Entry(
            "model", table.cms[name], None if nuclei is None else nuclei.values[name], facts(task)
        )
        by_seed.setdefault(str(task.cell.seed), {})[name] = entry
    for fusion in fusions:
        (table, nuclei), facts_of = fusion.read()
        for method, cms in table.cms.items():
            values = None if nuclei is None else nuclei.values[method]
            by_seed[str(fusion.seed)][method] = Entry(
                "fusion", cms, values, facts_of.get(method, {})
            )
    return by_seed, images


def _counted(entries: Mapping[str, Entry], images: Images) -> Counted:
    def every(ids: tuple[str, ...]) -> dict[str, Bool[np.ndarray, " image"]]:
        return {name: np.ones(len(ids), dtype=bool) for name in entries}

    cms = {name: entry.cms for name, entry in entries.items()}
    values = {
        name: entry.instances for name, entry in entries.items() if entry.instances is not None
    }
    nuclei = (
        InstanceTable(images.with_instances, values, every(images.with_instances))
        if values
        else None
    )
    return Counted(ConfusionTable(images.with_mask, cms, every(images.with_mask)), nuclei)


def over_seeds(by_seed: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
    """Over seeds: matrices and seconds summed, AJI and PQ averaged, the largest memory, notes that
    they share.
    """
    gathered: dict[str, list[Entry]] = {}
    for entries in by_seed.values():
        for name, entry in entries.items():
            gathered.setdefault(name, []).append(entry)
    models_first = sorted(gathered, key=lambda name: gathered[name][0].kind == "fusion")
    return {name: _summed(gathered[name]) for name in models_first}


def _summed(entries: Sequence[Entry]) -> Entry:
    def values(key: str) -> list[Any]:
        return [entry.facts.get(key) for entry in entries]

    known = dict(entries[0].facts)
    for key, how in (("seconds", sum), ("memory_mb", max)):
        known[key] = None if None in values(key) else how(values(key))
    if len(set(values("note"))) > 1:
        known["note"] = "; ".join(dict.fromkeys(note for note in values("note") if note))
    found = [entry.instances for entry in entries if entry.instances is not None]
    nuclei = (
        {metric: _means(np.stack([one[metric] for one in found])) for metric in found[0]}
        if found
        else None
    )
    return Entry(entries[0].kind, np.sum([entry.cms for entry in entries], axis=0), nuclei, known)


def _means(values: Float64[np.ndarray, "seed image"]) -> Float64[np.ndarray, " image"]:
    """Over the seeds that define a value."""
    there = ~np.isnan(values)
    total, n = np.where(there, values, 0).sum(axis=0), there.sum(axis=0)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def _board(
    metrics: pl.DataFrame, entries: Mapping[str, Entry], keys: Mapping[str, str]
) -> pl.DataFrame:
    recorded = pl.DataFrame(
        [
            {"model": name, "kind": e.kind, **{key: e.facts.get(key) for key in FACTS}}
            for name, e in entries.items()
        ],
        schema={"model": pl.String, "kind": pl.String, **FACTS},
    )
    named = metrics.rename({"method": "model", "n": "n_images"}).join(
        recorded, on="model", maintain_order="left"
    )
    columns = {**KEYS, **FIGURES, **FACTS}
    return _constant(named, keys).select(pl.col(name).cast(kind) for name, kind in columns.items())


def _constant(table: pl.DataFrame, keys: Mapping[str, str]) -> pl.DataFrame:
    return table.with_columns(
        pl.lit(value, dtype=pl.String).alias(name) for name, value in keys.items()
    )
