"""Predicted probabilities by what happened."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pathfuse.report.calibration_plots import MAX_BANDS, distribution_plot
from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing
from pathfuse.report.sections.base import Section

MAX_GROUPS = 12
"""Classes that are drawn."""


def _draw(content: Content) -> list[Drawing]:
    table = content.tables.get("distributions")
    if table is None or not table.height:
        return []
    if table["method"].n_unique() > MAX_BANDS:  # a panel per method, so of one output
        table = table.filter(pl.col("output") == table["output"][0])
    groups = table["group"].unique(maintain_order=True).to_list()
    drawn = table.filter(pl.col("group").is_in(groups[:MAX_GROUPS]))
    outputs = drawn["output"].unique(maintain_order=True).to_list()
    whose = " and ".join(drawn["method"].unique(maintain_order=True)[:MAX_BANDS].to_list())
    whose = whose if drawn["method"].n_unique() <= MAX_BANDS else "each expert"
    what = (
        "the probability of each label, by whether it is there (1) or not (0)"
        if drawn["what"].n_unique() > 1 or outputs != ["all"]
        else f"{drawn['what'][0]}, by what happened"
    )
    some = _left_out(content, outputs)
    if len(groups) > MAX_GROUPS:
        some += f" Drawn: the first {MAX_GROUPS} of {len(groups)} classes."
    caption = (
        f"Predictions of {whose}: {what}. Width: share of the samples; dot: median; line: middle half."
        f"{some}"
    )
    medians = drawn.filter((pl.col("figure") == "quantile") & (pl.col("x") == 0.5))
    told = "; ".join(
        f"{row['method']}, {row['group']}: {row['y']:.2f}"
        for row in medians.head(MAX_GROUPS).iter_rows(named=True)
    )
    return [
        Drawing("distributions", caption, f"{caption} Medians: {told}.", distribution_plot(drawn))
    ]


def _left_out(content: Content, outputs: Sequence[str]) -> str:
    """Says that some labels are not drawn."""
    known = content.tables.get("calibration", content.tables["distributions"])["output"].n_unique()
    if len(outputs) == known:
        return ""
    n = len(outputs)
    first = f"first of {known} labels, {outputs[0]}" if n == 1 else f"first {n} of {known} labels"
    return f" Drawn: the {first}."


def _shown(content: Content) -> Mapping[str, Any] | None:
    table = content.tables.get("distributions")
    return None if table is None or not table.height else {}


SECTION = Section("distributions", "Predictions by outcome", "curves", _draw, _shown)
