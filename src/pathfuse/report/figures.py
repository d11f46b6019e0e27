"""Figures of the methods: intervals, differences, calibration, weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pathfuse.evaluation.metrics.registry import metric
from pathfuse.report.theme import (
    AXIS,
    DOUBLE,
    FAINT,
    INK,
    MIDDLE,
    OURS,
    THEIRS,
    THIRD,
    WEIGHT_COLOUR,
    plain,
)

MAX_ROWS = 400
"""Rows of the weight map."""
MIN_SHARE = 0.05
"""Groups smaller than this get no words next to the weight map."""


def _side_by_side(n_rows: int, n_panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(DOUBLE, 0.85 + 0.27 * n_rows), layout="constrained")
    return figure, list(figure.subplots(1, n_panels, sharey=True, squeeze=False)[0])


def interval_plot(metrics: pl.DataFrame, names: Sequence[str]) -> Figure:
    """Some metrics of every method with their intervals; best in the first metric on top."""
    first = metrics.filter((pl.col("metric") == names[0]) & pl.col("value").is_not_null())
    order = first.sort("value", descending=metric(names[0]).lower_is_better)["method"].to_list()
    rest = [m for m in metrics["method"].unique(maintain_order=True) if m not in order]
    height = {method: y for y, method in enumerate([*rest, *order])}
    figure, axes = _side_by_side(len(height), len(names))
    for panel, name in zip(axes, names, strict=True):
        for row in metrics.filter(
            (pl.col("metric") == name) & pl.col("value").is_not_null()
        ).iter_rows(named=True):
            y, colour = height[row["method"]], OURS if row["method"] == "fused" else THEIRS
            if row["ci_low"] is not None:
                panel.plot(
                    [row["ci_low"], row["ci_high"]],
                    [y, y],
                    color=colour,
                    lw=2,
                    solid_capstyle="round",
                )
            panel.plot([row["value"]], [y], "o", color=colour, ms=5.5)
        panel.set_xlabel(f"{metric(name).label} ({metric(name).better} is better)")
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.grid(axis="x")
    axes[0].set_yticks(range(len(height)), [plain(name) for name in height])
    return figure


def forest_plot(differences: pl.DataFrame, others: str, names: Sequence[str]) -> Figure:
    """Paired differences with their intervals around the line of no difference.

    Args:
        differences: Rows of ``comparisons.csv`` with one method or one reference in common.
        others: The column that names the other side.
        names: Metrics, one panel each.
    """
    order = differences[others].unique(maintain_order=True).to_list()[::-1]
    names = [name for name in names if name in differences["metric"]]
    figure, axes = _side_by_side(len(order), len(names))
    for panel, name in zip(axes, names, strict=True):
        gain = metric(name).sign
        ends = [0.0]
        for row in differences.filter(pl.col("metric") == name).iter_rows(named=True):
            y, low, high = order.index(row[others]), row["ci_low"], row["ci_high"]
            clear = low is not None and low * high > 0
            colour = THEIRS if not clear else OURS if gain * row["difference"] > 0 else THIRD
            if low is not None:
                panel.plot([low, high], [y, y], color=colour, lw=2, solid_capstyle="round")
                ends += [low, high]
            panel.plot(
                [row["difference"]],
                [y],
                "o",
                ms=5.5,
                color=colour,
                mfc=colour if clear else "white",
            )
            ends.append(row["difference"])
        margin = 0.06 * (max(ends) - min(ends) or 1.0)
        low, high = min(ends) - margin, max(ends) + margin
        panel.axvspan(*((low, 0) if gain < 0 else (0, high)), color=FAINT, zorder=0, lw=0)
        panel.axvline(0, color=INK, lw=1, ls=":")
        panel.set_xlim(low, high)
        panel.set_xlabel(f"difference in {metric(name).label}")
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.grid(axis="x")
    axes[0].set_yticks(range(len(order)), [plain(name) for name in order])
    axes[0].set_ylim(-0.6, len(order) - 0.4)
    return figure


def reliability_plot(reliability: pl.DataFrame, what: str, positive: str | None = None) -> Figure:
    """What was promised against what happened, pooled over outputs.

    One line per method, the diagonal is perfect.

    Args:
        reliability: ``reliability.csv``.
        what: What was predicted.
        positive: Name of the positive class of two.
    """
    pooled = reliability.with_columns(group=pl.int_range(pl.len()).over("method", "output"))
    weight = pl.col("n") / pl.col("n").sum()
    points = pooled.group_by("method", "group", maintain_order=True).agg(
        (pl.col("expected") * weight).sum(), (pl.col("observed") * weight).sum()
    )
    figure = Figure(figsize=(MIDDLE, 4.3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=AXIS, lw=1, ls=":")
    styles = {"fused": (OURS, "-", "o"), "best_expert": (THEIRS, "--", "s")}
    for (name,), own in points.group_by("method", maintain_order=True):
        colour, line, mark = styles.get(str(name), (THIRD, "-.", "x"))
        style: Any = {
            "color": colour,
            "ls": line,
            "marker": mark,
            "ms": 4,
            "label": plain(str(name)),
        }
        axes.plot(own["expected"], own["observed"], **style)
    axes.set_xlabel(f"predicted: {plain(what)}")
    axes.set_ylabel("observed" if positive is None else f"observed: share of {plain(positive)}")
    axes.set_aspect("equal")
    axes.grid()
    axes.legend()
    return figure


def weight_plot(weights: Float[np.ndarray, "sample expert"], experts: Sequence[str]) -> Figure:
    """Mean weight of each expert and its spread over samples."""
    figure = Figure(figsize=(DOUBLE, 0.85 + 0.27 * len(experts)), layout="constrained")
    axes = figure.add_subplot()
    for y, own in enumerate(weights.T[::-1]):
        low, high = np.quantile(own, [0.05, 0.95])
        axes.barh(y, own.mean(), height=0.62, color=THEIRS, alpha=0.45, lw=0)
        axes.plot([low, high], [y, y], color=OURS, lw=2, solid_capstyle="round")
    axes.set_yticks(range(len(experts)), [plain(name) for name in reversed(experts)])
    axes.set_xlabel("weight")
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    return figure


def sample_order(weights: Float[np.ndarray, "sample expert"]) -> np.ndarray:
    """Rows by the expert that weighs most, the most frequent first.

    Inside, by that weight, largest first.
    """
    dominant, top = weights.argmax(axis=1), weights.max(axis=1)
    frequency = np.bincount(dominant, minlength=weights.shape[1])
    rank = np.argsort(np.argsort(-frequency, kind="stable"), kind="stable")
    return np.lexsort((-top, rank[dominant]))


def weight_map(weights: Float[np.ndarray, "sample expert"], experts: Sequence[str]) -> Figure:
    """Weights over samples as a map; next to it how many samples each expert leads."""
    order = sample_order(weights)
    chosen = np.unique(
        np.linspace(0, len(order) - 1, min(len(order), MAX_ROWS)).round().astype(np.int64)
    )
    shown = weights[order[chosen]]
    top = float(np.ceil(20 * max(shown.max(), 0.05)) / 20)
    figure = Figure(figsize=(DOUBLE, 4.4), layout="constrained")
    axes, scale = figure.subplots(1, 2, width_ratios=[1, 0.018])
    axes.imshow(
        _tinted(shown / top),
        aspect="auto",
        interpolation="none",
        extent=(-0.5, len(experts) - 0.5, 1, 0),
    )
    axes.set_xticks(range(len(experts)), [plain(name) for name in experts], rotation=30 if len(experts) > 4 else 0,
                    ha="right" if len(experts) > 4 else "center", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_ylabel("samples")
    _name_leaders(axes, weights, experts)
    ramp = np.linspace(1, 0, 64)[:, None]
    scale.imshow(_tinted(ramp), aspect="auto", interpolation="none", extent=(0, 1, 0, top))
    scale.set_xticks([])
    scale.set_ylabel("weight")
    scale.yaxis.set_label_position("right")
    scale.yaxis.tick_right()
    return figure


def _name_leaders(
    axes: Axes, weights: Float[np.ndarray, "sample expert"], experts: Sequence[str]
) -> None:
    """Lines between the groups of samples that an expert leads, and its share next to them."""
    counts = np.bincount(weights.argmax(axis=1), minlength=len(experts))
    behind = 0.0
    for m in np.argsort(-counts, kind="stable"):
        share = counts[m] / len(weights)
        if behind:
            axes.axhline(behind, color=INK, lw=0.6)
        if share >= MIN_SHARE:
            text = f"{plain(experts[m])}\nleads {100 * share:.0f} %"
            axes.annotate(
                text,
                (1.01, behind + share / 2),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
            )
        behind += share
        if behind >= 1 - 1e-9:
            break


def _tinted(share: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column four"]:
    colour = np.broadcast_to(WEIGHT_COLOUR, (*share.shape, 3))
    return np.concatenate([colour, np.clip(share, 0, 1)[:, :, None]], axis=2)
