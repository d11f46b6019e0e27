"""The theme of figures: one palette for paper, and the page's variable for each of its colours."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathfuse.unseen import visible

INK, AXIS, FAINT = "#1c2833", "#8793a0", "#eef1f4"
OURS, THEIRS, THIRD = "#b03a2e", "#4a5a6a", "#8a6d0b"
SERIES = (OURS, "#1f5f99", "#2e7d4f", "#8e5ea2", "#b7791f", "#0e7c86", "#6b4423", "#c2417c")
"""Told apart by people with colour blindness as far as eight colours can be; lines also differ in
their dashes."""
DASHES = ("-", "--", "-.", ":")
WEIGHT_COLOUR = (0.19, 0.47, 0.74)
"""Of the weight map; its opacity is the weight, so that it stands on light and dark paper."""

VARIABLES = {
    INK: "currentColor",
    "#ffffff": "var(--page)",
    AXIS: "var(--axis)",
    FAINT: "var(--faint)",
    THEIRS: "var(--theirs)",
    THIRD: "var(--third)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}

STYLE: Any = {
    "svg.hashsalt": "pathfuse",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": AXIS,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "white",
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": AXIS,
    "ytick.color": AXIS,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": AXIS,
    "grid.alpha": 0.28,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


MIDDLE, DOUBLE = 120 / 25.4, 183 / 25.4
"""Widths of figures in inches: one and a half columns (120 mm) and two columns (183 mm) of the usual
journals."""


def plain(name: str) -> str:
    """A name as matplotlib shows it: a dollar sign would start mathematics, legends pass over a
    leading ``_``, and fonts have nothing to show for a control character.
    """
    return (" " if name.startswith("_") else "") + visible(name).replace("$", r"\$")


def panels(n: int, width: float = 3.1, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """A figure with n axes, three abreast, as wide as one and a half or two columns of a journal."""
    columns = min(n, 3)
    lines = -(-n // columns)
    figure = Figure(
        figsize=(
            MIDDLE if width * columns <= MIDDLE else DOUBLE,
            max(height, 4.2 if n == 1 else 0) * lines,
        ),
        layout="constrained",
    )
    axes = np.asarray(figure.subplots(lines, columns, squeeze=False)).reshape(-1)
    for unused in axes[n:]:
        unused.set_axis_off()
    return figure, list(axes[:n])
