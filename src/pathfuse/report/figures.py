"""Figures as inline SVG: matplotlib, no seed of chance, no date, no font download."""

import io
import re
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure

STYLE: Any = {
    "svg.hashsalt": "pathfuse",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OURS, THEIRS = "#b03a2e", "#4a5a6a"


def interval_plot(metrics: pl.DataFrame, metric: str, lower_is_better: bool) -> str:
    """One metric of every method with its interval, best on top."""
    rows = metrics.filter((pl.col("metric") == metric) & pl.col("value").is_not_null())
    rows = rows.sort("value", descending=lower_is_better)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.9 + 0.28 * rows.height), layout="constrained")
        axes = figure.add_subplot()
        for y, row in enumerate(rows.iter_rows(named=True)):
            colour = OURS if row["method"] == "fused" else THEIRS
            if row["ci_low"] is not None:
                axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, lw=2, solid_capstyle="round")
            axes.plot([row["value"]], [y], "o", color=colour, ms=6)
        axes.set_yticks(range(rows.height), [plain(name) for name in rows["method"]])
        axes.set_xlabel(f"{metric} ({'lower' if lower_is_better else 'higher'} is better), 95 % interval by patient")
        axes.grid(axis="x", alpha=0.3)
        return as_svg(figure, metric)


def weight_plot(fused: pl.DataFrame) -> str:
    """Mean weight of each expert and its spread over samples."""
    names = [c for c in fused.columns if c.startswith("weight_")]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.9 + 0.28 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        for y, name in enumerate(reversed(names)):
            values = fused[name].to_numpy()
            low, high = np.quantile(values, [0.05, 0.95])
            axes.barh(y, values.mean(), color=THEIRS, alpha=0.5)
            axes.plot([low, high], [y, y], color=OURS, lw=2)
        axes.set_yticks(range(len(names)), [plain(n.removeprefix("weight_")) for n in reversed(names)])
        axes.set_xlabel("mean weight; line: middle 90 % of samples")
        axes.set_xlim(left=0)
        return as_svg(figure, "weights")


def reliability_plot(reliability: pl.DataFrame) -> str:
    """What was promised against what happened, pooled over outputs; one line per method, the diagonal is perfect."""
    what = reliability["what"].unique(maintain_order=True).to_list()
    pooled = reliability.with_columns(group=pl.int_range(pl.len()).over("method", "output"))
    weight = pl.col("n") / pl.col("n").sum()
    points = pooled.group_by("method", "group", maintain_order=True).agg(
        (pl.col("expected") * weight).sum(), (pl.col("observed") * weight).sum()
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="#999999", lw=1, ls=":")
        styles = {"fused": (OURS, "-", "o"), "best_expert": (THEIRS, "--", "s")}
        for (name,), own in points.group_by("method", maintain_order=True):
            colour, line, mark = styles.get(str(name), ("#7d6608", "-.", "x"))
            look: Any = {"color": colour, "ls": line, "marker": mark, "ms": 4, "label": plain(str(name))}
            axes.plot(own["expected"], own["observed"], **look)
        axes.set_xlabel(f"predicted: {plain(what[0])}" if len(what) == 1 else "predicted")
        axes.set_ylabel("observed")
        axes.set_aspect("equal")
        axes.legend(frameon=False)
        return as_svg(figure, "reliability")


def plain(name: str) -> str:
    """A name as matplotlib shows it unchanged: a dollar sign would start mathematics."""
    return name.replace("$", r"\$")


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element; ``name`` keeps its ids apart from those of other figures on the page."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # The page shows names in the reader's font; that matplotlib's own lacks a glyph does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text[text.index("<svg") :])
