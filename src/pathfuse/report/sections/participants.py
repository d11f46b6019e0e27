"""Section ``participants``: who is in the study."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pathfuse.evaluation.metrics.registry import metric
from pathfuse.report.content import Content, over_all
from pathfuse.report.drawings import Drawing
from pathfuse.report.flow_figure import flow_plot
from pathfuse.report.sections.base import Section
from pathfuse.report.words import several

MAX_LEVELS = 8
"""A characteristic with more levels than this is folded away."""
MISSING = "not scored by"
PARTS = ("train", "fit", "judged")
MAX_LINES = 100


def _draw(content: Content) -> list[Drawing]:
    flow = content.tables.get("flow")
    if flow is None:
        return []
    lines = [
        f"{row['step']} {row['reason']}".strip() + f": {several(row['samples'], 'sample')}"
        for row in flow.filter(pl.col("fold") == "").iter_rows(named=True)
    ]
    caption = "From the samples table to the rows that were judged."
    return [Drawing("flow", caption, f"Flow of samples. {'; '.join(lines)}.", flow_plot(flow))]


def _shown(content: Content) -> Mapping[str, Any] | None:
    table, flow = content.tables.get("characteristics"), content.tables.get("flow")
    if table is None or flow is None:
        return None
    parts = _parts(table)
    levels = table["characteristic"].value_counts()
    long = set(levels.filter(pl.col("count") > MAX_LEVELS)["characteristic"])
    rows = _spanned(table.to_dicts())
    missing = [row for row in rows if row["characteristic"] == MISSING]
    complete = all(_none(row[name]) for row in missing for name, _ in parts)
    folded = long | ({MISSING} if complete else set())
    return {
        "parts": parts,
        "rows": [row for row in rows if row["characteristic"] not in folded],
        "folded": [row for row in rows if row["characteristic"] in folded][:MAX_LINES],
        "complete": complete,
        "folds": _folds(flow),
        "detectable": _detectable(content),
    }


def _parts(table: pl.DataFrame) -> list[tuple[str, str]]:
    """The columns that have a value, and what they are called; one where folds make them alike."""
    there = [name for name in PARTS if table[name].is_not_null().any()]
    if {"fit", "judged"} <= set(there) and table["fit"].equals(table["judged"]):
        there.remove("fit")
        return [(name, "all folds" if name == "judged" else name) for name in there]
    return [(name, name) for name in there]


def _spanned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A characteristic is named in the first of its rows."""
    before, found = None, []
    for row in rows:
        found.append(row | {"first": row["characteristic"] != before})
        before = row["characteristic"]
    return found


def _none(cell: str | None) -> bool:
    return cell is None or cell.startswith("0 ")


def _folds(flow: pl.DataFrame) -> list[dict[str, Any]]:
    """Per fold how many samples were fitted on and judged, and of how many patients."""
    found: dict[str, dict[str, Any]] = {}
    for row in flow.filter(pl.col("fold") != "").iter_rows(named=True):
        line = found.setdefault(row["fold"], {"fold": row["fold"]})
        line[row["step"]], line[f"{row['step']}_patients"] = row["samples"], row["patients"]
    return list(found.values())


def _detectable(content: Content) -> list[tuple[str, float, str]]:
    """Label of the metric, the difference, and the reference, of the whole study."""
    table = content.tables.get("detectable")
    if table is None:
        return []
    rows = over_all(table).unique("metric", keep="last", maintain_order=True)
    return [
        (metric(row["metric"]).label, row["detectable"], row["reference"])
        for row in rows.iter_rows(named=True)
    ]


SECTION = Section(
    "participants",
    "Who is in the study",
    "",
    _draw,
    _shown,
    printed=("characteristics", "flow", "detectable"),
)
