"""Forest figure of subgroups."""

from collections.abc import Mapping, Sequence

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pathfuse.evaluation.metrics.registry import metric
from pathfuse.report.theme import AXIS, INK, OURS, THEIRS, plain


def subgroup_plot(
    groups: pl.DataFrame, names: Sequence[str], leading: str, everybody: Mapping[str, float]
) -> Figure:
    """Metrics of every group with their intervals.

    Args:
        groups: Rows of ``subgroups.csv`` with a value, of one output.
        names: Metrics, one panel each.
        leading: The method that is drawn filled; the others are small and hollow.
        everybody: By metric, its value on all judged rows.
    """
    keys = groups.select("column", "group").unique(maintain_order=True).rows()[::-1]
    figure = Figure(figsize=(7.4, 0.9 + 0.3 * len(keys)), layout="constrained")
    axes = list(figure.subplots(1, len(names), sharey=True, squeeze=False)[0])
    methods = groups["method"].unique(maintain_order=True).to_list()
    for panel, name in zip(axes, names, strict=True):
        if name in everybody:
            panel.axvline(everybody[name], color=INK, lw=1, ls=":")
        for row in groups.filter(pl.col("metric") == name).iter_rows(named=True):
            first = row["method"] == leading
            y = keys.index((row["column"], row["group"])) + (0.12 if first else -0.16)
            colour = OURS if first else THEIRS
            if row["ci_low"] is not None:
                ends = [row["ci_low"], row["ci_high"]]
                panel.plot(ends, [y, y], color=colour, lw=2 if first else 1, solid_capstyle="round")
            face = colour if first else "white"
            size = 5.5 if first else 3.5
            mark = "D" if row["interaction"] else "o"
            panel.plot([row["value"]], [y], mark, ms=size, color=colour, mfc=face)
        panel.set_xlabel(f"{metric(name).label} ({metric(name).better} is better)")
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.grid(axis="x")
    counts = {
        key: int(str(own["n_patients"].max())) for key, own in ((k, _of(groups, k)) for k in keys)
    }
    labels = [
        f"{plain(column)}: {plain(group)} ({counts[column, group]})" for column, group in keys
    ]
    axes[0].set_yticks(range(len(keys)), labels)
    axes[0].set_ylim(-0.6, len(keys) - 0.4)
    for above in range(1, len(keys)):
        if keys[above][0] != keys[above - 1][0]:
            for panel in axes:
                panel.axhline(above - 0.5, color=AXIS, lw=0.5)
    if len(methods) > 1:
        shown = {True: (OURS, OURS), False: (THEIRS, "white")}
        for name in methods:
            colour, face = shown[name == leading]
            axes[0].plot([], [], "o", color=colour, mfc=face, ms=4.5, label=plain(name))
        figure.legend(loc="outside upper right", ncols=len(methods))
    return figure


def _of(groups: pl.DataFrame, key: tuple[str, str]) -> pl.DataFrame:
    return groups.filter((pl.col("column") == key[0]) & (pl.col("group") == key[1]))
