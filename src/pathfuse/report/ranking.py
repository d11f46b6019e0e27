"""``ranking.html`` and its critical-difference diagrams."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathfuse.evaluation.ranking import cliques
from pathfuse.report.drawings import Drawing
from pathfuse.report.template import render_page
from pathfuse.report.theme import OURS, STYLE, THEIRS, plain
from pathfuse.report.words import several

STEP = 0.26
"""Inches between the lines of a diagram."""
FILES = {"studies": "critical_difference", "cohorts": "critical_difference_cohorts"}
"""Name of the diagram over each unit."""
ALT, NUMBERS = "Critical-difference diagram over", "its mean ranks stand in the table below"


def figures(friedman: Mapping[str, Any]) -> list[Drawing]:
    """A critical-difference diagram per test that could be made."""
    return [
        Drawing(
            FILES[unit],
            f"Critical difference over {unit}.",
            f"{ALT} {unit}; {NUMBERS}",
            difference_plot(test),
        )
        for unit, test in friedman.items()
        if "mean_ranks" in test
    ]


def difference_plot(test: Mapping[str, Any]) -> Figure:
    """Mean ranks on one axis; a bar joins methods that lie within the critical difference.

    Args:
        test: One entry of ``RankResult.friedman``.

    References:
        Demsar, Journal of Machine Learning Research 7 (2006), section 3.2.4.
    """
    methods, means = list(test["mean_ranks"]), list(test["mean_ranks"].values())
    joined = cliques(means, test["critical_difference"])
    half = (len(methods) + 1) // 2
    bars = 0.5 * len(joined) + 0.5
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, STEP * (half + bars + 4)), layout="constrained")
        axes = figure.add_subplot()
        _draw_axis(axes, test, len(methods))
        for i, (start, end) in enumerate(joined):
            y = -0.5 * (i + 1)
            axes.plot(
                [means[start] - 0.04, means[end] + 0.04],
                [y, y],
                color=OURS,
                lw=3,
                solid_capstyle="round",
            )
        for i, (name, mean) in enumerate(zip(methods, means, strict=True)):
            left = i < half
            depth = -bars - (i if left else len(methods) - 1 - i) - 0.3
            edge = 1 - 0.02 * len(methods) if left else len(methods) * 1.02
            axes.plot([mean, mean, edge], [0, depth, depth], color=THEIRS, lw=0.9)
            label = f"{plain(name)}  {mean:.2f}" if left else f"{mean:.2f}  {plain(name)}"
            axes.text(edge, depth, f" {label} ", ha="right" if left else "left", va="center")
        axes.set_ylim(-bars - half - 0.3, 2.6)
        axes.set_axis_off()
    return figure


def _draw_axis(axes: Axes, test: Mapping[str, Any], n_methods: int) -> None:
    """The axis of ranks, best on the left, and above it the critical difference as a length."""
    axes.plot([1, n_methods], [0, 0], color="black", lw=1.2)
    every = 1 if n_methods <= 20 else 2
    for place in range(1, n_methods + 1, every):
        axes.plot([place, place], [0, 0.25], color="black", lw=1)
        axes.text(place, 0.4, str(place), ha="center", va="bottom")
    end = 1 + test["critical_difference"]
    axes.plot([1, end], [1.7, 1.7], color=OURS, lw=2, marker="|", ms=8)
    what = f"critical difference {test['critical_difference']:.2f} ({test['n']} {test['unit']})"
    axes.text(1, 2.0, what, ha="left", va="bottom")


def render(
    summary: pl.DataFrame,
    winners: pl.DataFrame,
    pairs: pl.DataFrame,
    friedman: Mapping[str, Any],
    manifest: Mapping[str, Any],
    drawn: Sequence[Drawing],
) -> str:
    """The page as text.

    Args:
        summary: Content of ``summary.csv``.
        winners: Content of ``winners.csv``.
        pairs: Content of ``pairs.csv``.
        friedman: Content of ``friedman.json``.
        manifest: Content of ``manifest.json``.
        drawn: The diagrams.
    """
    best = summary["method"][0]
    return render_page(
        "report/ranking.html",
        {"p": p_value},
        headline=headline(summary, pairs, manifest),
        best=best,
        summary=summary.to_dicts(),
        winners=winners.to_dicts(),
        pairs=pairs.filter(pl.col("method") == best).to_dicts(),
        friedman=friedman,
        compared=any("chi2" in test for test in friedman.values()),
        intervals=bool(pairs["ci_low"].is_not_null().any()),
        figures=[drawing.inline() for drawing in drawn],
        manifest=manifest,
    )


def headline(summary: pl.DataFrame, pairs: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The ranking in words: who leads, and how many cannot be told from the leader."""
    first = summary.row(0, named=True)
    n, clustered = manifest["studies"], manifest["cohorts"] < manifest["studies"]
    where = f"{n} studies of {manifest['cohorts']} cohorts" if clustered else f"{n} studies"
    against = pairs.filter(pl.col("method") == first["method"])
    undecided = {
        unit: against.filter(pl.col(name).is_null() | (pl.col(name) >= manifest["alpha"])).height
        for unit, name in (("studies", "p_holm"), ("cohorts", "p_holm_cohorts"))
    }
    unit = "cohorts" if clustered else "studies"
    also = f"; {undecided['studies']} if studies counted as independent" if clustered else ""
    wins = f"{first['wins']} win{'' if first['wins'] == 1 else 's'}"
    reach = manifest["mean_in_reach"]
    tied = (
        f" On average {reach:.1f} methods cannot be told from a study's winner, itself counted{_among(manifest)}."
        if reach
        else ""
    )
    return (
        f"Over {where}, {first['method']} has the best mean rank by {manifest['metric']}, {first['mean_rank']:.2f} of "
        f"{manifest['methods']} ({wins}); {undecided[unit]} of the {against.height} others cannot be told from it "
        f"(signed-rank test over {unit}, Holm over {several(pairs.height, 'pair')}{also}).{tied}"
    )


def _among(manifest: Mapping[str, Any]) -> str:
    """Says where only some studies tell which methods cannot be told apart."""
    n = manifest["studies_with_intervals"]
    return f" ({n} of the studies have intervals)" if n < manifest["studies"] else ""


def p_value(value: float | None) -> str:
    """A p-value to three decimals; an em dash where there is none."""
    return "—" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
