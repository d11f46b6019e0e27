"""``leaderboard.html``: what a benchmark answers as a whole; each data set has a page of its own.

Both open offline; tables are sortable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pathfuse.dense.benchmark.boards import BASE, CHOSEN, FIRST, FIRST_LABEL, Board, boards, paired
from pathfuse.dense.benchmark.columns import ALL_MODELS
from pathfuse.dense.benchmark.figures import drawings
from pathfuse.dense.benchmark.questions import mean_ranks
from pathfuse.dense.benchmark.strategies import SHOWN
from pathfuse.dense.benchmark.tables import Tables
from pathfuse.dense.evaluation.registry import find_metric
from pathfuse.report.template import render_page
from pathfuse.report.words import several, signed

BOXES = "strategies"
"""The figure that stands with the table of strategies."""


def render(tables: Tables, failed: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> str:
    """The page of the whole benchmark as text.

    Args:
        tables: What was evaluated.
        failed: Per cell that failed: ``dataset``, ``strategy``, ``model``, ``seed``, ``sentence``.
        manifest: ``pathfuse``, ``resamples``, ``warnings``.
    """
    found = list(boards(tables.leaderboard, tables.comparisons, failed))
    drawn = {one.name: one for one in drawings(tables.leaderboard)}
    boxes = drawn.pop(BOXES, None)
    return render_page(
        "dense/benchmark/page.html",
        {"signed": signed},
        title="pathfuse dense leaderboard",
        headline=headline(found, failed),
        boards=found,
        strategies=strategy_tables(tables),
        boxes=boxes,
        ranked_strategies=mean_ranks(tables.leaderboard, "strategy"),
        models=mean_ranks(tables.leaderboard, "model"),
        figures=list(drawn.values()),
        principal=FIRST,
        first=FIRST_LABEL,
        base=BASE,
        failed=failed,
        manifest=manifest,
    )


def strategy_tables(tables: Tables) -> list[dict[str, Any]]:
    """Per data set with several strategies, its strategies by their mean over models, best first."""
    found = []
    for (dataset,), own in tables.strategies.group_by("dataset", maintain_order=True):
        names = own["strategy"].unique(maintain_order=True).to_list()
        pairs = tables.strategy_comparisons.filter(
            (pl.col("dataset") == dataset)
            & (pl.col("model") == ALL_MODELS)
            & (pl.col("metric") == FIRST)
        ).rename({"strategy": "method"})
        metrics = [name for name in SHOWN if name in own["metric"]]
        cells = {(row["strategy"], row["metric"]): row for row in own.iter_rows(named=True)}
        rows = [
            {
                "strategy": name,
                "metrics": {metric: cells[name, metric] for metric in metrics},
                "less": paired(name, names[0], pairs),
            }
            for name in names
        ]
        value = {name: cells[name, FIRST]["value"] for name in names}
        found.append(
            {
                "dataset": dataset,
                "reference": names[0],
                "metrics": {name: find_metric(name).label for name in metrics},
                "rows": sorted(
                    rows,
                    key=lambda row: -1.0 if (v := value[row["strategy"]]) is None else v,
                    reverse=True,
                ),
                "n_models": own["n_models"][0],
                "n_images": own["n_images"][0],
            }
        )
    return found


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
