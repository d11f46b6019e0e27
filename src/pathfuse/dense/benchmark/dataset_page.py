"""``datasets/NAME.html``: all tables of one data set, and masks over images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from pathfuse.dense.benchmark.boards import BASE, FIRST, FIRST_LABEL, Board, boards, paired
from pathfuse.dense.benchmark.columns import ALL_MODELS
from pathfuse.dense.benchmark.examples import Example
from pathfuse.dense.benchmark.page import headline
from pathfuse.dense.benchmark.tables import Tables
from pathfuse.report.template import render_page
from pathfuse.report.words import signed

MEAN = "mean over models"


def render_datasets(
    tables: Tables,
    failed: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    examples: Mapping[tuple[str, str], Sequence[Example]],
    overview: str,
) -> dict[str, str]:
    """A page per data set as text, by the path that ``Board.page`` says.

    Args:
        tables: What was evaluated.
        failed: As for the page of the whole benchmark.
        manifest: ``pathfuse``, ``resamples``.
        examples: Per data set and strategy.
        overview: The file of the whole benchmark.
    """
    pages: dict[str, list[Board]] = {}
    for board in boards(tables.leaderboard, tables.comparisons, failed):
        shown = tuple(examples.get((board.dataset, board.strategy), ()))
        pages.setdefault(board.page, []).append(replace(board, examples=shown))
    return {page: _page(own, tables, manifest, overview) for page, own in pages.items()}


def _page(own: Sequence[Board], tables: Tables, manifest: Mapping[str, Any], overview: str) -> str:
    policies = {line.facts["size_policy"] for b in own for line in b.lines if not line.fusion}
    return render_page(
        "dense/benchmark/dataset.html",
        {"count": count, "span": span, "signed": signed},
        title=own[0].dataset,
        headline=headline(own, [one for board in own for one in board.failed]),
        boards=own,
        by_model=by_model(own, tables.strategy_comparisons),
        principal=FIRST,
        first=FIRST_LABEL,
        base=BASE,
        manifest=manifest,
        overview=overview,
        sizes=len(policies) > 1,
    )


def by_model(own: Sequence[Board], pairs: pl.DataFrame) -> dict[str, Any] | None:
    """Each model's differences to the first strategy; None where there is only one strategy."""
    kept = [board for board in own if board.lines]
    if len(kept) < 2:
        return None
    reference, others = kept[0], [board.strategy for board in kept[1:]]
    here = pairs.filter(
        (pl.col("dataset") == reference.dataset) & (pl.col("metric") == FIRST)
    ).rename({"strategy": "method"})
    rows = [
        {
            "name": line.name,
            "fusion": line.fusion,
            "value": line.metrics[FIRST]["value"],
            "less": _less(line.name, reference.strategy, others, here),
        }
        for line in reference.lines
    ]
    rows.append(
        {
            "name": MEAN,
            "fusion": False,
            "value": None,
            "less": _less(ALL_MODELS, reference.strategy, others, here),
        }
    )
    return {"reference": reference.strategy, "strategies": others, "rows": rows}


def _less(
    model: str, reference: str, others: Sequence[str], pairs: pl.DataFrame
) -> dict[str, Mapping[str, Any] | None]:
    own = pairs.filter(pl.col("model") == model)
    return {name: paired(name, reference, own) for name in others}


def count(value: float | None) -> str:
    """A whole number with separators; an em dash where there is none."""
    return "—" if value is None else f"{value:,.0f}"


def span(values: Sequence[float]) -> str:
    """Least and largest of some values."""
    return "—" if not values else f"{min(values):.3f}–{max(values):.3f}"
