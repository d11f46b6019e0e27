"""Figures of curves: ROC, Kaplan-Meier, predicted against observed, disagreement against error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pathfuse.report.theme import AXIS, DASHES, DOUBLE, OURS, SERIES, THEIRS, panels, plain


def _by_output(points: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [(str(name), own) for (name,), own in points.group_by("output", maintain_order=True)]


def _title(axes: Axes, output: str) -> None:
    if output != "all":
        axes.set_title(plain(output))


def roc_plot(
    points: pl.DataFrame, positive: str | None = None, experts: Sequence[str] = ()
) -> Figure:
    """ROC curves: of the methods where there are two outcomes, of the classes where there are more.

    Args:
        points: Rows of ``curves.csv``.
        positive: Name of the positive class of two.
        experts: Those that have a name and a colour of their own where there is neither a fusion nor
            a best expert to stand out.
    """
    leading = {"fused", "best_expert"} & set(points["method"])
    named = () if leading else tuple(experts)
    outputs = _by_output(points)
    figure, axes = panels(len(outputs), 3.1, 3.2)
    for panel, (output, own) in zip(axes, outputs, strict=True):
        panel.plot([0, 1], [0, 1], color=AXIS, lw=1, ls=":")
        several = own["group"].n_unique() > 1
        for i, ((name,), curve) in enumerate(
            own.group_by("group" if several else "method", maintain_order=True)
        ):
            x, y = curve["x"].to_numpy(), curve["y"].to_numpy()
            style = _class_style(i) if several else _method_style(str(name), named)
            label = f"{plain(str(name))} ({np.trapezoid(y, x):.2f})" if style.pop("named") else None
            panel.plot(x, y, label=label, **style)
        panel.set_aspect("equal")
        panel.set_xlabel("1 - specificity")
        panel.set_ylabel(
            "sensitivity" if positive is None else f"sensitivity for {plain(positive)}"
        )
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="lower right", handlelength=1.6, borderaxespad=0.1)
        panel.grid()
        _title(panel, output)
    return figure


def _class_style(i: int) -> dict[str, Any]:
    n = len(SERIES)
    return {
        "color": SERIES[i % n],
        "lw": 1.5,
        "ls": DASHES[(i + i // n) % len(DASHES)],
        "named": i < 3 * n,
    }


def _method_style(name: str, named: Sequence[str] = ()) -> dict[str, Any]:
    if name in named:
        return {**_class_style(named.index(name)), "zorder": 3}
    if name == "fused":
        return {"color": OURS, "lw": 2.2, "ls": "-", "zorder": 4, "named": True}
    if name == "best_expert":
        return {"color": SERIES[1], "lw": 1.6, "ls": "--", "zorder": 3, "named": True}
    return {"color": THEIRS, "lw": 0.7, "ls": "-", "alpha": 0.5, "named": False}


def kaplan_meier_plot(points: pl.DataFrame) -> Figure:
    """Survival by risk group, with the numbers at risk below."""
    figure = Figure(figsize=(DOUBLE, 4.6), layout="constrained")
    axes, table = figure.subplots(2, 1, height_ratios=[1, 0.2], sharex=True)
    groups = [(str(name), own) for (name,), own in points.group_by("group", maintain_order=True)]
    colours = {"low risk": SERIES[1], "middle risk": THEIRS, "high risk": OURS}
    axes.set_xlim(0, float(str(points["x"].max())) * 1.02)
    ticks = [t for t in axes.get_xticks() if t <= axes.get_xlim()[1]]
    for row, (name, own) in enumerate(groups):
        x, y, n = own["x"].to_numpy(), own["y"].to_numpy(), own["n"].to_numpy()
        colour, dashes = colours.get(name, THEIRS), DASHES[row % len(DASHES)]
        axes.step(x, y, where="post", color=colour, ls=dashes, lw=1.8, label=plain(name))
        for tick in ticks:
            later = np.flatnonzero(x >= tick)
            table.text(
                tick,
                -row,
                str(n[later[0]]) if len(later) else "0",
                ha="center",
                va="center",
                fontsize=8.5,
            )
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("survival")
    axes.grid()
    axes.legend(loc="lower left")
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("time")
    table.set_yticks([-row for row in range(len(groups))], [plain(name) for name, _ in groups])
    table.set_ylim(-len(groups) + 0.4, 0.6)
    table.set_title("at risk", fontsize=8.5)
    table.spines[:].set_visible(False)
    table.tick_params(length=0, labelbottom=False, pad=16)
    return figure


def predicted_plot(points: pl.DataFrame) -> Figure:
    """Observed against predicted values, one panel per target."""
    outputs = _by_output(points)
    figure, axes = panels(len(outputs), 2.6, 2.6)
    for panel, (output, own) in zip(axes, outputs, strict=True):
        x, y = own["x"].to_numpy(), own["y"].to_numpy()
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        panel.plot([low, high], [low, high], color=AXIS, lw=1, ls=":")
        panel.plot(x, y, "o", ms=2.6, color=OURS, alpha=0.4, mew=0)
        panel.set_xlabel("predicted")
        panel.set_ylabel("observed")
        panel.grid()
        _title(panel, output)
    return figure


def disagreement_plot(points: pl.DataFrame, x: str, y: str) -> Figure:
    """Mean error in bins of like disagreement, with the number of samples at each point."""
    outputs = _by_output(points)
    figure, axes = panels(len(outputs), 3.0, 2.5)
    for panel, (output, own) in zip(axes, outputs, strict=True):
        panel.plot(own["x"], own["y"], "o-", color=OURS, ms=4.5, lw=1.5)
        panel.xaxis.set_major_locator(MaxNLocator(5))
        for at_x, at_y, n in own.select("x", "y", "n").iter_rows() if len(outputs) == 1 else ():
            panel.annotate(
                str(n), (at_x, at_y), (0, 6), textcoords="offset points", ha="center", fontsize=7.5
            )
        panel.set_ylim(bottom=0, top=float(str(own["y"].max())) * 1.15 or 1.0)
        panel.set_xlim(left=0)
        panel.grid()
        _title(panel, output)
    figure.supxlabel(x, fontsize=9.5)
    figure.supylabel(y, fontsize=9.5)
    return figure
