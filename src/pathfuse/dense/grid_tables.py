"""Tables of a grid: all models and fusions of a data set and strategy on the same images, by the same resamples."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pathfuse.dense.cells import CONFUSION, Task, facts
from pathfuse.dense.confusion import Confusions, read_confusions
from pathfuse.dense.grid_columns import ALL_SEEDS, FACTS, FIGURES, KEYS, PAIRS
from pathfuse.dense.grid_fuse import Fusion
from pathfuse.dense.judging import judge_dense


class Tables(NamedTuple):
    """What judging a grid gives."""

    leaderboard: pl.DataFrame
    """``KEYS``, ``FIGURES`` without ``output``, ``FACTS``: metrics over all classes."""
    classes: pl.DataFrame
    """The same per class, without ``FACTS``."""
    comparisons: pl.DataFrame
    """``PAIRS``: paired differences of every two of a data set, strategy and seed."""
    warnings: list[str]


class Entry(NamedTuple):
    """One model or fusion with one seed."""

    kind: str
    cms: Confusions
    facts: Mapping[str, Any]


def judge_grid(tasks: Sequence[Task], fusions: Sequence[Fusion], n_resamples: int) -> Tables:
    """Judges all cells that are done.

    Args:
        tasks: Finished cells, data sets slowest.
        fusions: Finished fusions of them.
        n_resamples: Of the bootstrap by patient.
    """
    boards, classes, pairs, warnings = [], [], [], []
    for (dataset, strategy), group in groupby(tasks, key=lambda one: (one.cell.dataset, one.cell.strategy)):
        own = list(group)
        by_seed, ids = _entries(own, [f for f in fusions if (f.dataset, f.strategy) == (dataset, strategy)])
        if len(by_seed) > 1:
            by_seed[ALL_SEEDS] = over_seeds(by_seed)
        split = own[0].split
        patient_of = {item.image_id: item.patient_id for item in split.test}
        patients = [patient_of[one] for one in ids]
        for seed, entries in by_seed.items():
            cms = {name: entry.cms for name, entry in entries.items()}
            verdict = judge_dense(cms, patients, n_resamples, classes=split.class_names)
            keys = {"dataset": dataset, "strategy": strategy, "seed": seed}
            board = _board(verdict.metrics, entries, keys)
            boards.append(board.filter(pl.col("output") == "all").drop("output"))
            classes.append(board.filter(pl.col("output") != "all").drop(*FACTS))
            pairs.append(_constant(verdict.comparisons.filter(pl.col("output") == "all"), keys).select(*PAIRS))
            if seed == next(reversed(by_seed)):
                warnings += [f"{dataset}, {strategy}: {said}" for said in verdict.warnings]
    return Tables(pl.concat(boards), pl.concat(classes), pl.concat(pairs), warnings)


def _entries(tasks: Sequence[Task], fusions: Sequence[Fusion]) -> tuple[dict[str, dict[str, Entry]], tuple[str, ...]]:
    """Per seed, models before fusions; and the images, in the order of the matrices."""
    by_seed: dict[str, dict[str, Entry]] = {}
    ids: tuple[str, ...] = ()
    for task in tasks:
        table = read_confusions(task.place / CONFUSION, task.split.n_classes)
        ids = table.image_ids
        entry = Entry("model", table.cms[task.cell.model], facts(task))
        by_seed.setdefault(str(task.cell.seed), {})[task.cell.model] = entry
    for fusion in fusions:
        table, said = fusion.read()
        for method, cms in table.cms.items():
            by_seed[str(fusion.seed)][method] = Entry("fusion", cms, said.get(method, {}))
    return by_seed, ids


def over_seeds(by_seed: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
    """Matrices and seconds summed over the seeds that are there, the largest memory, and notes that all seeds share."""
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
    return Entry(entries[0].kind, np.sum([entry.cms for entry in entries], axis=0), known)


def _board(metrics: pl.DataFrame, entries: Mapping[str, Entry], keys: Mapping[str, str]) -> pl.DataFrame:
    said = pl.DataFrame(
        [{"model": name, "kind": e.kind, **{key: e.facts.get(key) for key in FACTS}} for name, e in entries.items()],
        schema={"model": pl.String, "kind": pl.String, **FACTS},
    )
    named = metrics.rename({"method": "model", "n": "n_images"}).join(said, on="model", maintain_order="left")
    columns = {**KEYS, **FIGURES, **FACTS}
    return _constant(named, keys).select(pl.col(name).cast(kind) for name, kind in columns.items())


def _constant(table: pl.DataFrame, keys: Mapping[str, str]) -> pl.DataFrame:
    return table.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in keys.items())
