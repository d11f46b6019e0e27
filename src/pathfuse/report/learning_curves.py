"""Learning curves of the experts: the losses of every epoch, and which one was chosen."""

import re
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pathfuse.report.drawings import Drawing, save_drawings
from pathfuse.report.theme import DASHES, SERIES, STYLE, panels, plain

LOSSES = {"train_loss": "training loss", "validation_loss": "validation loss"}
"""Columns of ``history.csv``, and what a panel is called."""
NAMED = 8
"""Models that the legend names; more would hide the curves."""
SPREAD = 20.0
"""Largest loss over the median one, from which on the axis is logarithmic."""


def draw_learning_curves(histories: Mapping[str, pl.DataFrame]) -> list[Drawing]:
    """One figure per expert that was trained in epochs; a linear head has none.

    Args:
        histories: ``history.csv`` by the expert's name.
    """
    found: list[Drawing] = []
    with mpl.rc_context(STYLE):
        for name, history in histories.items():
            figure = learning_plot(history)
            if figure is None:
                continue
            caption = _caption(name, history)
            slug = re.sub(r"[^A-Za-z0-9-]+", "_", name)
            file = f"learning_{slug}"
            if file in {one.name for one in found}:
                file = f"{file}_{len(found)}"
            found.append(Drawing(file, caption, caption, figure))
    return found


def save_learning_curves(name: str, history: pl.DataFrame, folder: Path) -> None:
    """Writes an expert's figure as SVG and PDF into a new folder; nothing for a linear head."""
    drawings = draw_learning_curves({name: history})
    if drawings:
        save_drawings(drawings, folder)


def learning_plot(history: pl.DataFrame) -> Figure | None:
    """Training and validation loss against the epoch, a line per model; a dot is the chosen epoch.

    None where no loss is known.

    Args:
        history: ``part``, ``epoch``, ``train_loss``, ``validation_loss``, ``chosen``.
    """
    known = history.with_columns(pl.col(*LOSSES).fill_nan(None))
    shown = [column for column in LOSSES if known[column].is_not_null().any()]
    if not shown:
        return None
    figure, axes = panels(len(shown), 3.4, 3.0)
    for panel, column in zip(axes, shown, strict=True):
        _panel(panel, known.filter(pl.col(column).is_not_null()), column)
    if known["part"].n_unique() <= NAMED:
        axes[-1].legend(loc="best", handlelength=1.6, borderaxespad=0.1)
    return figure


def _panel(panel: Axes, known: pl.DataFrame, column: str) -> None:
    """One loss of all models."""
    for i, ((part,), own) in enumerate(known.group_by("part", maintain_order=True)):
        colour, dashes = SERIES[i % len(SERIES)], DASHES[i % len(DASHES)]
        label = plain(str(part))
        panel.plot(own["epoch"], own[column], color=colour, ls=dashes, lw=1.3, label=label)
        best = own.filter(pl.col("chosen").fill_null(value=False))
        panel.plot(best["epoch"], best[column], "o", color=colour, ms=5, mew=0)
    low, middle, high = (
        float(str(value))
        for value in (known[column].min(), known[column].median(), known[column].max())
    )
    if low > 0 and high > SPREAD * middle:
        panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panel.set_xlabel("epoch")
    panel.set_ylabel(LOSSES[column])
    panel.grid()


def _caption(name: str, history: pl.DataFrame) -> str:
    """Who was trained, and which epochs were chosen."""
    chosen = sorted(history.filter(pl.col("chosen").fill_null(value=False))["epoch"].to_list())
    n = history["part"].n_unique()
    models = f"{n} models" if n > 1 else "one model"
    if not chosen:
        return f"{name}: losses of {models} by epoch."
    span = str(chosen[0]) if chosen[0] == chosen[-1] else f"{chosen[0]} to {chosen[-1]}"
    return (
        f"{name}: losses of {models} by epoch, each a line; a dot is the epoch that was chosen ({span} of "
        f"{int(str(history['epoch'].max()))})."
    )
