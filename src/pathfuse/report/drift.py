"""``drift.html`` and its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.figure import Figure

from pathfuse.report.drawings import Drawing
from pathfuse.report.template import render_page
from pathfuse.report.theme import AXIS, MIDDLE, OURS, STYLE, THEIRS, plain

SHOWN = 20
"""Figures of the samples that are drawn and tabled; ``drift.csv`` has all."""


@dataclass(frozen=True)
class DriftContent:
    """What the page shows."""

    headline: str
    found: bool
    table: pl.DataFrame
    """``drift.csv``."""
    windows: pl.DataFrame | None
    """``windows.csv``."""
    summary: dict[str, Any]
    """``drift.json``."""
    path: Float[np.ndarray, " step"]
    """The largest cumulative sum after each step."""
    limit: float
    warning: str | None = None
    """What makes the answer doubtful."""

    @property
    def first(self) -> pl.DataFrame:
        """The figures that are furthest off, each once."""
        return self.table.unique("figure", keep="first", maintain_order=True).head(SHOWN)


def drawings(content: DriftContent) -> list[Drawing]:
    """The figures of the page."""
    step = content.summary["stream"]["patients_in_a_step"]
    found = [
        Drawing(
            "stream",
            "The sequential test: the largest cumulative sum of all figures, patient by patient. "
            "Above the dashed line it gives an alarm.",
            f"Cumulative sums over {content.summary['patients']} patients; the largest is "
            f"{content.path.max(initial=0.0):.1f}, the alarm is given at {content.limit:.1f}.",
            stream_plot(content.path, content.limit, step),
        ),
        Drawing(
            "figures",
            "The batch test: the figures furthest off, as z; filled points give an alarm.",
            "z of the figures furthest off; the numbers stand in the table below.",
            figures_plot(content.first, content.summary["batch"]["limit"]),
        ),
    ]
    if content.windows is not None:
        found.append(
            Drawing(
                "windows",
                "Loss (NLL) of the fusion over time, with 95 % intervals by patient, beside the "
                "held-out loss of the fit rows (dashed).",
                "Loss of the fusion in windows of patients; the numbers stand in windows.csv.",
                windows_plot(content.windows.filter(pl.col("figure") == "nll")),
            )
        )
    return found


def stream_plot(path: Float[np.ndarray, " step"], limit: float, step: int) -> Figure:
    """The path of the largest cumulative sum, and the limit."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(MIDDLE, 2.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot((np.arange(len(path)) + 1) * step, path, color=OURS, lw=1.2)
        axes.axhline(limit, color=THEIRS, ls="--", lw=1)
        axes.set_xlabel("patients")
        axes.set_ylabel("largest cumulative sum")
        axes.set_ylim(0, max(float(path.max(initial=0.0)), limit) * 1.05)
    return figure


def figures_plot(table: pl.DataFrame, limit: float) -> Figure:
    """One line per figure, its z, and where an alarm begins."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(MIDDLE * 1.3, 0.22 * table.height + 0.8), layout="constrained")
        axes = figure.add_subplot()
        place = -np.arange(table.height)
        z, alarm = table["z"].to_numpy(), table["batch_alarm"].to_numpy()
        axes.hlines(place, 0, z, color=AXIS, lw=0.8)
        axes.scatter(z, place, s=26, facecolors="none", edgecolors=THEIRS, zorder=2)
        axes.scatter(z[alarm], place[alarm], s=26, color=OURS, zorder=3)
        for end in (-limit, limit):
            axes.axvline(end, color=THEIRS, ls="--", lw=0.8)
        axes.set_yticks(place, [plain(name) for name in table["figure"]])
        axes.set_xlabel("z (above 0: more than in the fit rows)")
    return figure


def windows_plot(table: pl.DataFrame) -> Figure:
    """Loss by window, with intervals."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(MIDDLE, 2.4), layout="constrained")
        axes = figure.add_subplot()
        x, y = table["window"].to_numpy(), table["value"].to_numpy()
        ends = np.stack([y - table["ci_low"].to_numpy(), table["ci_high"].to_numpy() - y])
        axes.errorbar(x, y, yerr=np.maximum(ends, 0), fmt="o", ms=4, color=OURS, lw=1)
        axes.axhline(table["reference"][0], color=THEIRS, ls="--", lw=1)
        axes.set_xticks(x)
        axes.set_xlabel("window of patients, in order")
        axes.set_ylabel("loss (NLL)")
    return figure


def render(content: DriftContent, drawn: Sequence[Drawing]) -> str:
    """The page as text.

    Args:
        content: What it shows.
        drawn: The figures.
    """
    return render_page(
        "report/drift.html",
        {},
        headline=content.headline,
        warning=content.warning,
        found=content.found,
        rows=content.first.to_dicts(),
        windows=[] if content.windows is None else content.windows.to_dicts(),
        summary=content.summary,
        figures=[(drawing.caption, drawing.inline()) for drawing in drawn],
    )
