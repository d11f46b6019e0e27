"""Figures of calibration: curves with bands, edges of survival, and predictions by outcome."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathfuse.report.theme import AXIS, DASHES, OURS, SERIES, panels, plain

MAX_BANDS = 2
"""More bands than this hide one another."""


def style_of(method: str, methods: Sequence[str]) -> dict[str, Any]:
    """Colour and dashes of a method: the fusion first, then in the order of the methods."""
    if method == "fused":
        return {"color": OURS, "ls": "-"}
    others = [name for name in methods if name != "fused"]
    i = others.index(method) + 1
    return {"color": SERIES[i % len(SERIES)], "ls": DASHES[i % len(DASHES)]}


def calibration_curve_plot(points: pl.DataFrame, named: bool) -> Figure:
    """One panel per output and group, one curve with its band per method.

    Args:
        points: Rows of ``calibration_curves.csv``.
        named: Whether a panel is named after its group, not only after its output.
    """
    methods = points["method"].unique(maintain_order=True).to_list()
    parts = list(points.group_by("output", "group", maintain_order=True))
    figure, axes = panels(len(parts), 2.45, 2.45 if len(parts) > 3 else 2.75)
    for panel, ((output, group), own) in zip(axes, parts, strict=True):
        panel.plot([0, 1], [0, 1], color=AXIS, lw=1, ls=":")
        for (method,), curve in own.group_by("method", maintain_order=True):
            style = style_of(str(method), methods)
            x = curve["predicted"].to_numpy()
            if len(methods) <= MAX_BANDS and curve["low"].null_count() == 0:
                low, high = curve["low"].to_numpy(), curve["high"].to_numpy()
                panel.fill_between(x, low, high, color=style["color"], alpha=0.16, lw=0)
            panel.plot(x, curve["observed"], lw=1.6, label=plain(str(method)), **style)
        title = str(group) if named else "" if output == "all" else str(output)
        panel.set_title(plain(title))
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        panel.set_xlim(-0.02, 1.02)
        panel.set_ylim(-0.02, 1.02)
        panel.grid()
    _legend(figure, axes[0])
    figure.supxlabel("predicted probability", fontsize=9.5)
    figure.supylabel("observed share", fontsize=9.5)
    return figure


def edge_plot(figures: pl.DataFrame) -> Figure:
    """Observed against expected at each edge, and the bins of D-calibration.

    Args:
        figures: Rows of ``calibration.csv`` of one survival study.
    """
    methods = figures["method"].unique(maintain_order=True).to_list()
    shares = figures.filter(pl.col("figure") == "d_calibration_share")
    ratios = figures.filter(pl.col("figure") == "observed_to_expected")
    both = bool(shares.height) + bool(ratios.height)
    figure, axes = panels(both, 3.6, 3.1)
    if ratios.height:
        _ratios(axes[0], ratios, methods)
    if shares.height:
        _bins(axes[-1], shares, methods)
    _legend(figure, axes[0])
    return figure


def _legend(figure: Figure, panel: Axes) -> None:
    """One for all panels, above them."""
    lines, names = panel.get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper left", ncols=3, handlelength=1.8)


def _ratios(panel: Axes, ratios: pl.DataFrame, methods: Sequence[str]) -> None:
    edges = ratios["group"].unique(maintain_order=True).to_list()
    panel.axhline(1, color=AXIS, lw=1, ls=":")
    for m, method in enumerate(methods):
        shift = 0.12 * (m - (len(methods) - 1) / 2)
        own = ratios.filter((pl.col("method") == method) & pl.col("value").is_not_null())
        colour = style_of(method, methods)["color"]
        for n, row in enumerate(own.iter_rows(named=True)):
            label = plain(method) if n == 0 else None
            x = edges.index(row["group"]) + shift
            if row["ci_low"] is not None:
                panel.plot([x, x], [row["ci_low"], row["ci_high"]], color=colour, lw=1.8)
            mark = "o" if m == 0 else "s"
            panel.plot([x], [row["value"]], mark, color=colour, ms=5, label=label)
    panel.set_xticks(range(len(edges)), edges)
    panel.set_xlim(-0.5, len(edges) - 0.5)
    panel.set_xlabel("edge (time)")
    panel.set_ylabel("observed : expected events")
    panel.grid(axis="y")


def _bins(panel: Axes, shares: pl.DataFrame, methods: Sequence[str]) -> None:
    panel.axhline(0.1, color=AXIS, lw=1, ls=":")
    width = 0.8 / len(methods)
    for m, method in enumerate(methods):
        own = shares.filter(pl.col("method") == method)["value"].to_numpy()
        x = np.arange(len(own)) + 0.5 + width * (m - (len(methods) - 1) / 2)
        colour = style_of(method, methods)["color"]
        panel.bar(x, own, width, color=colour, alpha=0.6, lw=0, label=plain(method))
    panel.set_xticks([0, 2, 4, 6, 8, 10], ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    panel.set_xlabel("predicted survival at own time")
    panel.set_ylabel("share of patients")
    panel.grid(axis="y")


def distribution_plot(table: pl.DataFrame) -> Figure:
    """Violins of predicted probabilities by what happened; quartiles as a line, the median a dot.

    Up to two methods share a violin, one on each side.

    Args:
        table: Rows of ``distributions.csv``, of at most two methods, or of one output.
    """
    methods = table["method"].unique(maintain_order=True).to_list()
    split = len(methods) == 2
    key = "output" if len(methods) <= MAX_BANDS else "method"
    parts = list(table.group_by(key, maintain_order=True))
    groups = max(own["group"].n_unique() for _, own in parts)
    wide = 2.45 if groups <= 4 and len(parts) > 1 else 7.2
    figure, axes = (
        panels(len(parts), wide, 2.7)
        if wide < 7
        else _stacked_panels(len(parts), min(7.2, 2.6 + 0.75 * groups))
    )
    for panel, ((name,), own) in zip(axes, parts, strict=True):
        _violins(panel, own, methods, split)
        title = "" if key == "output" and name == "all" else str(name)
        panel.set_title(plain(title))
        panel.set_ylabel(plain(str(own["what"][0])))
    if split:
        _legend(figure, axes[0])
    return figure


def _stacked_panels(n: int, width: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, 3.4 * n), layout="constrained")
    return figure, list(figure.subplots(n, 1, squeeze=False)[:, 0])


def _violins(panel: Axes, table: pl.DataFrame, methods: Sequence[str], split: bool) -> None:
    groups = table["group"].unique(maintain_order=True).to_list()
    counts = {row[0]: row[1] for row in table.select("group", "n").iter_rows()}
    for (group, method), own in table.group_by("group", "method", maintain_order=True):
        x, colour = groups.index(group), style_of(str(method), methods)["color"]
        left, right = (-1.0, 1.0)
        if split:
            left, right = (-1.0, 0.0) if method == methods[0] else (0.0, 1.0)
        density = own.filter(pl.col("figure") == "density")
        y, width = density["x"].to_numpy(), density["y"].to_numpy()
        width = 0.42 * width / max(float(width.max()), 1e-12)
        label = plain(str(method)) if x == 0 and split else None
        panel.fill_betweenx(
            y, x + left * width, x + right * width, step="mid", color=colour, alpha=0.42, lw=0,
            label=label,
        )  # fmt: skip
        quantiles = own.filter(pl.col("figure") == "quantile").sort("x")["y"].to_list()
        at = x + 0.05 * (left + right)
        panel.plot([at, at], [quantiles[1], quantiles[3]], color=colour, lw=2.2)
        panel.plot([at], [quantiles[2]], "o", color=colour, ms=5, mec="white", mew=0.8)
    names = [f"{plain(str(group))}\nn = {counts[group]:,}" for group in groups]
    slanted = len(groups) > 5
    panel.set_xticks(range(len(groups)), names, rotation=30 if slanted else 0, fontsize=8.5)
    panel.set_xlim(-0.6, len(groups) - 0.4)
    panel.set_ylim(-0.02, 1.02)
    panel.grid(axis="y")
