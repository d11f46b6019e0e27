"""Tables of a benchmark: all models and fusions of a data set and strategy on the same images, by the
same resamples.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import polars as pl

from pathfuse.dense.benchmark.cells import CellTask
from pathfuse.dense.benchmark.columns import (
    ALL_SEEDS,
    FACTS,
    FIGURES,
    KEYS,
    PAIRS,
    STRATEGY_FIGURES,
    STRATEGY_PAIRS,
)
from pathfuse.dense.benchmark.entries import (
    Entry,
    Images,
    counted,
    entries_by_seed,
    over_seeds,
)
from pathfuse.dense.benchmark.fusions import FusionTask
from pathfuse.dense.benchmark.strategies import compare_strategies
from pathfuse.dense.data.records import Split
from pathfuse.dense.evaluation.verdict import evaluate_columns


class Tables(NamedTuple):
    """The tables of a whole benchmark."""

    leaderboard: pl.DataFrame
    """``KEYS``, ``FIGURES`` without ``output``, ``FACTS``: metrics over all classes."""
    classes: pl.DataFrame
    """The same per class, without ``FACTS``."""
    comparisons: pl.DataFrame
    """``PAIRS``: paired differences of every two of a data set, strategy and seed."""
    strategies: pl.DataFrame
    """``STRATEGY_FIGURES``: per data set and strategy the mean over models; over all seeds."""
    strategy_comparisons: pl.DataFrame
    """``STRATEGY_PAIRS``: paired differences of every two strategies of a data set."""
    warnings: list[str]

    @property
    def files(self) -> dict[str, pl.DataFrame]:
        """What is written of it, by file."""
        return {
            f"{name}.csv": table
            for name, table in self._asdict().items()
            if isinstance(table, pl.DataFrame)
        }


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
    figures, strategy_pairs = (
        [pl.DataFrame(schema=STRATEGY_FIGURES)],
        [pl.DataFrame(schema=STRATEGY_PAIRS)],
    )
    for dataset, of_dataset in groupby(tasks, key=lambda one: one.cell.dataset):
        in_dataset, overall, images = list(of_dataset), {}, Images((), ())
        split = in_dataset[0].split
        patient_of = {item.image_id: item.patient_id for item in split.test}
        for strategy, group in groupby(in_dataset, key=lambda one: one.cell.strategy):
            made = [f for f in fusions if (f.dataset, f.strategy) == (dataset, strategy)]
            by_seed, images = entries_by_seed(list(group), made)
            if len(by_seed) > 1:
                by_seed[ALL_SEEDS] = over_seeds(by_seed)
            overall[strategy] = by_seed[next(reversed(by_seed))]
            for seed, entries in by_seed.items():
                keys = {"dataset": dataset, "strategy": strategy, "seed": seed}
                found = _tables(entries, images, patient_of, split, n_resamples, keys)
                boards.append(found[0])
                classes.append(found[1])
                pairs.append(found[2])
            warnings += [f"{dataset}, {strategy}: {warning}" for warning in found[3]]
        if len(overall) > 1:
            compared = compare_strategies(
                dataset, overall, images, patient_of, split.class_names, n_resamples
            )
            figures.append(compared.figures)
            strategy_pairs.append(compared.pairs)
    return Tables(
        pl.concat(boards),
        pl.concat(classes),
        pl.concat(pairs),
        pl.concat(figures),
        pl.concat(strategy_pairs),
        warnings,
    )


def _tables(
    entries: Mapping[str, Entry],
    images: Images,
    patient_of: Mapping[str, str],
    split: Split,
    n_resamples: int,
    keys: Mapping[str, str],
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, list[str]]:
    """Lines over all classes and of each, pairs, and warnings, of one data set, strategy and seed."""
    verdict = evaluate_columns(
        *counted(entries, images), patient_of, n_resamples, classes=split.class_names
    )
    board = _board(verdict.metrics, entries, keys)
    every = pl.col("output") == "all"
    return (
        board.filter(every).drop("output"),
        board.filter(~every).drop(*FACTS),
        _constant(verdict.comparisons.filter(every), keys).select(*PAIRS),
        verdict.warnings,
    )


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
