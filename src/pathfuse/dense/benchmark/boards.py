"""What the page shows of one data set and strategy: lines with their ranks and gains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pathfuse.dense.benchmark.columns import ALL_SEEDS
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.dense.evaluation.metrics import MEAN_IOU, METRICS
from pathfuse.dense.evaluation.registry import PRINCIPAL, find_metric
from pathfuse.dense.fusion.fused_model import BEST, FUSED

FIRST, FIRST_LABEL = PRINCIPAL.name, PRINCIPAL.label
"""What tables are ordered by, and what a reader calls it."""
DATASETS = "datasets"
"""Folder of the data sets' pages."""
SHOWN = {metric.name: metric.label for metric in METRICS if metric.on_page}
"""Metrics of pixels that the page shows, and what it calls them."""
OF_INSTANCES = {metric.name: metric.label for metric in INSTANCE_METRICS if metric.on_page}
"""Further columns, where a data set has instances."""
BRIEF = {metric.name: metric.label for metric in METRICS if metric.brief} | {
    MEAN_IOU.name: MEAN_IOU.label
}
"""Metrics of pixels that stand in the first table, which has to fit a screen."""
CHOSEN = FUSED
"""The fusion that validation chose; the headline speaks of no other."""
BASE = BEST
"""The method that fusions are held against: the single model that is best on the validation images."""


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    name: str
    fusion: bool
    facts: Mapping[str, Any]
    """What the leaderboard says of it apart from metrics."""
    metrics: Mapping[str, Mapping[str, Any]]
    """Per metric ``value``, ``ci_low``, ``ci_high``."""
    rank: tuple[int, int] | None
    """Best and worst place that its paired intervals allow; None for a fusion, or without a value."""
    gain: Mapping[str, Any] | None
    """Of a fusion: the paired difference to the best single model."""
    of_seeds: tuple[float, ...]
    """Its first metric with each seed."""

    @property
    def place(self) -> str:
        """The rank in words: ``2``, or ``1–3`` where three are not told apart."""
        if self.rank is None:
            return "—"
        low, high = self.rank
        return str(low) if low == high else f"{low}–{high}"


@dataclass(frozen=True)
class Board:
    """One data set and strategy."""

    dataset: str
    strategy: str
    lines: tuple[Line, ...]
    failed: tuple[Mapping[str, Any], ...]
    examples: tuple[Any, ...] = ()
    """Images with outlines, of the page of the data set."""

    @property
    def shown_of_instances(self) -> dict[str, str]:
        """Metrics of instances and what the page calls them, if the data set has any."""
        there = {metric for line in self.lines for metric in line.metrics}
        return {metric: called for metric, called in OF_INSTANCES.items() if metric in there}

    @property
    def brief(self) -> dict[str, str]:
        """Metrics of its first table."""
        return BRIEF | self.shown_of_instances

    @property
    def further(self) -> dict[str, str]:
        """Metrics of its second table."""
        return {name: called for name, called in SHOWN.items() if name not in self.brief}

    @property
    def page(self) -> str:
        """Its data set's page, from the benchmark's folder."""
        return f"{DATASETS}/{self.dataset}.html"

    @property
    def chosen(self) -> Line | None:
        """The fusion that validation chose."""
        return next((line for line in self.lines if line.name == CHOSEN), None)

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return f"table-{self.strategy}"

    @property
    def winner(self) -> Line | None:
        """The model with the best first metric."""
        return next((line for line in self.lines if line.rank is not None), None)

    @property
    def tied(self) -> tuple[str, ...]:
        """Models that are not told apart from it."""
        return tuple(
            line.name
            for line in self.lines
            if line is not self.winner and line.rank and line.rank[0] == 1
        )


def boards(
    leaderboard: pl.DataFrame, comparisons: pl.DataFrame, failed: Sequence[Mapping[str, Any]]
) -> Iterator[Board]:
    """Each data set and strategy in the order of the leaderboard.

    Those with failures only come last.
    """
    keys = dict.fromkeys(leaderboard.select("dataset", "strategy").iter_rows())
    keys |= dict.fromkeys((one["dataset"], one["strategy"]) for one in failed)
    for dataset, strategy in keys:
        here = (pl.col("dataset") == dataset) & (pl.col("strategy") == strategy)
        own = leaderboard.filter(here)
        seeds = own["seed"].unique().to_list()
        overall = ALL_SEEDS if ALL_SEEDS in seeds else None
        whole = own if overall is None else own.filter(pl.col("seed") == overall)
        pairs = comparisons.filter(here & (pl.col("metric") == FIRST))
        pairs = pairs if overall is None else pairs.filter(pl.col("seed") == overall)
        lost = tuple(
            one for one in failed if (one["dataset"], one["strategy"]) == (dataset, strategy)
        )
        yield Board(dataset, strategy, tuple(_lines(whole, own, pairs)), lost)


def _lines(whole: pl.DataFrame, own: pl.DataFrame, pairs: pl.DataFrame) -> list[Line]:
    """Best first."""
    metrics: dict[str, dict[str, dict[str, Any]]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for row in whole.iter_rows(named=True):
        metrics.setdefault(row["model"], {})[find_metric(row["metric"]).name] = row
        facts.setdefault(row["model"], row)
    models = [
        name
        for name, row in facts.items()
        if row["kind"] == "model" and metrics[name][FIRST]["value"] is not None
    ]
    places = rank_intervals(models, pairs)
    by_seed = own.filter((pl.col("metric") == FIRST) & (pl.col("seed") != ALL_SEEDS))
    found = [
        Line(
            name,
            row["kind"] == "fusion",
            row,
            metrics[name],
            places.get(name),
            paired(name, BASE, pairs) if row["kind"] == "fusion" and name != BASE else None,
            tuple(by_seed.filter(pl.col("model") == name)["value"].drop_nulls()),
        )
        for name, row in facts.items()
    ]
    return sorted(found, key=value_of, reverse=True)


def value_of(line: Line) -> float:
    """Its first metric; below all where it has none."""
    value = line.metrics[FIRST]["value"]
    return float("-inf") if value is None else float(value)


def rank_intervals(models: Sequence[str], pairs: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Best and worst rank of each model that the paired intervals allow.

    A model is surely behind another if the interval of their difference lies beyond 0; pairs
    without an interval decide nothing.

    Args:
        models: Which to rank.
        pairs: ``method, reference, ci_low, ci_high``, higher is better.
    """
    behind, ahead = dict.fromkeys(models, 0), dict.fromkeys(models, 0)
    for row in pairs.iter_rows(named=True):
        one, other = row["method"], row["reference"]
        if one not in behind or other not in behind or row["ci_low"] is None:
            continue
        if row["ci_low"] > 0:
            one, other = other, one
        elif not row["ci_high"] < 0:
            continue
        behind[one] += 1
        ahead[other] += 1
    return {name: (1 + behind[name], len(models) - ahead[name]) for name in models}


def paired(name: str, reference: str, pairs: pl.DataFrame) -> Mapping[str, Any] | None:
    """The paired difference of one to another, whichever stands first in the pair."""
    for row in pairs.iter_rows(named=True):
        if (row["method"], row["reference"]) == (name, reference):
            return row
        if (row["method"], row["reference"]) == (reference, name):
            low, high = row["ci_low"], row["ci_high"]
            turned = {
                "ci_low": None if high is None else -high,
                "ci_high": None if low is None else -low,
            }
            return {**row, "difference": -row["difference"], **turned}
    return None
