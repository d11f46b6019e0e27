"""Decisions at the operating point: their figures, and the confusion matrix."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing
from pathfuse.report.sections.base import Section
from pathfuse.report.sections.leaders import LEADERS, led
from pathfuse.report.theme import WEIGHT_COLOUR, plain

LABELS = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
MAX_MATRICES = 6
"""Confusion matrices that are drawn; the others stand in the table."""


def _matrices(table: pl.DataFrame) -> list[tuple[str, str, pl.DataFrame]]:
    """Output, method and cells of those that are drawn: of the fusion and the best expert."""
    methods = [name for name in LEADERS if name in table["method"]][:2]
    groups = table.filter(pl.col("method").is_in(methods)).group_by(
        "output", "method", maintain_order=True
    )
    return [(str(output), str(method), own) for (output, method), own in groups][:MAX_MATRICES]


def confusion_plot(matrices: list[tuple[str, str, pl.DataFrame]]) -> Figure:
    """Counts of true and called outcomes; the shade is the share of the true ones."""
    n_classes = matrices[0][2]["truth"].n_unique()
    abreast = min(len(matrices), 2 if n_classes > 2 else 3)
    lines = -(-len(matrices) // abreast)
    figure = Figure(
        figsize=(
            7.4 if n_classes > 2 else 2.45 * abreast,
            lines * (1.2 + (0.28 if n_classes > 2 else 0.5) * n_classes),
        ),
        layout="constrained",
    )
    axes = figure.subplots(lines, abreast, squeeze=False).reshape(-1)
    for unused in axes[len(matrices) :]:
        unused.set_axis_off()
    for panel, (output, method, own) in zip(axes, matrices, strict=False):
        _matrix(panel, own)
        panel.set_title(plain(method if output == "all" else f"{output}, {method}"))
    figure.supxlabel("called", fontsize=9.5)
    figure.supylabel("true", fontsize=9.5)
    return figure


def _matrix(panel: Axes, own: pl.DataFrame) -> None:
    names = own["truth"].unique(maintain_order=True).to_list()
    counts: Float[np.ndarray, "truth called"] = own["n"].to_numpy().reshape(len(names), -1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colour = np.broadcast_to(WEIGHT_COLOUR, (*share.shape, 3))
    panel.imshow(np.concatenate([colour, 0.7 * share[:, :, None]], axis=2), aspect="auto")
    for (i, j), n in np.ndenumerate(counts):
        size = 8.5 if len(names) < 5 else 7.0
        panel.text(j, i, f"{int(n):,}", ha="center", va="center", fontsize=size)
    turned = len(names) > 3
    ticks = [plain(name) for name in names]
    panel.set_xticks(range(len(names)), ticks, rotation=40 if turned else 0,
                     ha="right" if turned else "center", rotation_mode="anchor")  # fmt: skip
    panel.set_yticks(range(len(names)), ticks)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)


def draw(content: Content) -> list[Drawing]:
    """The confusion matrices of the fusion and the best expert."""
    table = content.tables.get("confusion")
    if table is None or not (matrices := _matrices(table)):
        return []
    who = " and ".join(dict.fromkeys(method for _, method, _ in matrices))
    there = table.filter(pl.col("method").is_in([m for _, m, _ in matrices]))
    n_there = there.select("output", "method").n_unique()
    some = f" Drawn: {len(matrices)} of {n_there}." if len(matrices) < n_there else ""
    caption = (
        f"Confusion matrices of {who}: how many judged samples of each true class (rows) were called which "
        f"(columns). The shade is the share of the row.{some}"
    )
    return [Drawing("confusion", caption, caption, confusion_plot(matrices))]


def shown(content: Content) -> Mapping[str, Any] | None:
    """One line per output, outcome and method, with its four figures."""
    table = content.tables.get("operating_points")
    if table is None:
        return None
    table, left = led(table, ("output", "outcome"))
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in table.to_dicts():
        key = (row["output"], row["outcome"], row["method"])
        line = lines.setdefault(key, {**row, "figures": {}})
        line["figures"][row["figure"]] = row
    methods = table["method"].unique(maintain_order=True).to_list()
    return {
        "rows": list(lines.values()),
        "left": left,
        "figures": LABELS,
        "rule": table["rule"][0],
        "fixed": table["threshold_low"].is_not_null().any(),
        "labelled": table["output"].n_unique() > 1,
        "outcome": table["outcome"][0] if table["outcome"].n_unique() == 1 else "",
        "held_out": "fused" in methods,
        "learned": table["rule"][0] == "youden" or "=" in table["rule"][0],
    }


SECTION = Section(
    "operating_points",
    "Decisions",
    "curves",
    draw,
    shown,
    printed=("operating_points", "confusion"),
)
