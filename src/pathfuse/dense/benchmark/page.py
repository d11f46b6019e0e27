"""``leaderboard.html``: models and fusions per data set and strategy, as one sortable page that
opens offline.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pathfuse.dense.benchmark.columns import ALL_SEEDS
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.dense.evaluation.metrics import METRICS
from pathfuse.dense.evaluation.registry import PRINCIPAL, find_metric
from pathfuse.dense.fusion.fused_model import BEST, FUSED
from pathfuse.evaluation.ranking import ranks
from pathfuse.report.template import render_page
from pathfuse.report.words import several

FIRST = PRINCIPAL.name
"""What tables are ordered by."""
SHOWN = {metric.name: metric.label for metric in METRICS if metric.on_page}
"""Metrics of pixels that the page shows, and what it calls them."""
OF_INSTANCES = {metric.name: metric.label for metric in INSTANCE_METRICS if metric.on_page}
"""Further columns, where a data set has instances."""
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

    @property
    def shown(self) -> dict[str, str]:
        """Metrics of its table and what the page calls them."""
        return SHOWN | self.shown_of_instances

    @property
    def shown_of_instances(self) -> dict[str, str]:
        """Those of instances, if the data set has any."""
        there = {metric for line in self.lines for metric in line.metrics}
        return {metric: called for metric, called in OF_INSTANCES.items() if metric in there}

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return f"{self.dataset}-{self.strategy}"

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


def render(
    leaderboard: pl.DataFrame,
    comparisons: pl.DataFrame,
    failed: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
) -> str:
    """The page as text.

    Args:
        leaderboard: As in ``leaderboard.csv``.
        comparisons: As in ``comparisons.csv``: paired differences in the first metric are read.
        failed: Per cell that failed: ``dataset``, ``strategy``, ``model``, ``seed``, ``sentence``.
        manifest: ``pathfuse``, ``resamples``, ``warnings``.
    """
    found = list(boards(leaderboard, comparisons, failed))
    return render_page(
        "dense/benchmark/page.html",
        {"count": count, "span": span},
        headline=headline(found, failed),
        boards=found,
        overall=mean_ranks(found),
        shown=SHOWN,
        first=FIRST,
        base=BASE,
        failed=failed,
        manifest=manifest,
        sizes=len(
            {
                line.facts["size_policy"]
                for board in found
                for line in board.lines
                if not line.fusion
            }
        )
        > 1,
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
    return sorted(found, key=_value, reverse=True)


def _value(line: Line) -> float:
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


def mean_ranks(found: Sequence[Board]) -> list[dict[str, Any]]:
    """Mean rank and first metric of the models that stand on every board, best first.

    Ties share their mean rank.
    """
    tables = [
        {line.name: _value(line) for line in board.lines if line.rank is not None}
        for board in found
    ]
    tables = [table for table in tables if table]
    names = [name for name in tables[0] if all(name in table for table in tables)] if tables else []
    if len(tables) < 2 or len(names) < 2:
        return []
    values = np.array([[table[name] for name in names] for table in tables])
    places = ranks(values)
    rows = [
        {
            "model": name,
            "mean_rank": float(places[:, k].mean()),
            "mean": float(values[:, k].mean()),
            "wins": int((places[:, k] == places.min(axis=1)).sum()),
            "n": len(tables),
        }
        for k, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: row["mean_rank"])


def headline(found: Sequence[Board], failed: Sequence[Mapping[str, Any]]) -> str:
    """What a reader asks first, in two or three sentences."""
    ranked = [board for board in found if board.winner is not None]
    if not ranked:
        return "No cell of the benchmark could be evaluated; the reasons are below."
    sets, strategies = (
        {getattr(board, key) for board in ranked} for key in ("dataset", "strategy")
    )
    kinds = "strategies" if len(strategies) > 1 else "strategy"
    sentences = f"{several(len(sets), 'data set')}, {len(strategies)} {kinds}."
    unresolved = sum(bool(board.tied) for board in ranked)
    sentences += (
        f" In {unresolved} of {len(ranked)} tables the best model cannot be told from another."
    )
    fused = [line.gain for board in ranked for line in board.lines if line.name == CHOSEN]
    gains = [one for one in fused if one is not None]
    if gains:
        above = sum(one["difference"] >= 0 for one in gains)
        clear = sum(one["ci_low"] is not None and one["ci_low"] > 0 for one in gains)
        sentences += (
            f" The fusion is at or above the single model that validation chose in {above} of {len(gains)}, "
            f"with its whole interval in {clear}."
        )
    return sentences + (f" {several(len(failed), 'cell')} failed." if failed else "")


def count(value: float | None) -> str:
    """A whole number with separators; an em dash where there is none."""
    return "—" if value is None else f"{value:,.0f}"


def span(values: Sequence[float]) -> str:
    """Least and largest of some values."""
    return "—" if not values else f"{min(values):.3f}–{max(values):.3f}"
