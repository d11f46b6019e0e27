"""Decisions at the operating point: their figures, and the confusion matrix."""

from collections.abc import Mapping, Sequence
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
from pathfuse.report.theme import DOUBLE, MIDDLE, WEIGHT_COLOUR, plain

LABELS = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
MAX_MATRICES = 6
"""Confusion matrices that are drawn; the others stand in the table."""
NAME_LENGTH, TITLE_LENGTH = 14, 22
"""Characters of a class beside a matrix and of an output above one; longer names are shortened."""
FLAT_LENGTH, MOST_FLAT = 4, 8
"""With a longer name or more classes than this the labels of the columns are turned."""
CELL, LEAST, MARGIN = 0.3, 1.3, 0.75
"""Heights in inches: of a row of a matrix, of a whole matrix at least, and of titles and labels."""
LETTER = 0.055
"""How far a letter of a turned label reaches down, in inches."""


def _matrices(table: pl.DataFrame) -> list[tuple[str, str, pl.DataFrame]]:
    """Output, method and cells of those that are drawn: of the fusion and the best expert."""
    methods = [name for name in LEADERS if name in table["method"]][:2]
    groups = table.filter(pl.col("method").is_in(methods)).group_by(
        "output", "method", maintain_order=True
    )
    return [(str(output), str(method), own) for (output, method), own in groups][:MAX_MATRICES]


def confusion_plot(matrices: list[tuple[str, str, pl.DataFrame]]) -> Figure:
    """Counts of true and called outcomes; the shade is the share of the true ones."""
    longest = min(max(len(name) for *_, own in matrices for name in own["truth"]), NAME_LENGTH)
    n_classes = max(own["truth"].n_unique() for *_, own in matrices)
    turned = longest > FLAT_LENGTH or n_classes > MOST_FLAT
    large = turned or n_classes > 2
    abreast = min(len(matrices), 2 if large else 3)
    lines = -(-len(matrices) // abreast)
    height = MARGIN + max(LEAST, CELL * n_classes) + (LETTER * longest if turned else 0)
    wide = abreast > (1 if large else 2)
    figure = Figure(figsize=(DOUBLE if wide else MIDDLE, lines * height), layout="constrained")
    axes = figure.subplots(lines, abreast, squeeze=False).reshape(-1)
    for unused in axes[len(matrices) :]:
        unused.set_axis_off()
    outputs = list(dict.fromkeys(output for output, *_ in matrices))
    titles = dict(zip(outputs, shortened(outputs, TITLE_LENGTH), strict=True))
    for n, (panel, (output, method, own)) in enumerate(zip(axes, matrices, strict=False)):
        _matrix(panel, own, named=n % abreast == 0, turned=turned)
        above = [] if output == "all" else [titles[output]]
        panel.set_title("\n".join(plain(one) for one in [*above, method]))
    figure.supxlabel("called", fontsize=9.5)
    figure.supylabel("true", fontsize=9.5)
    return figure


def shortened(names: Sequence[str], length: int = NAME_LENGTH) -> list[str]:
    """Names of at most so many characters, each different from the others.

    Examples:
        >>> shortened(["normal", "Lung adenocarcinoma"])
        ['normal', 'Lung adenocar…']
        >>> shortened(["Ductal carcinoma, grade 1", "Ductal carcinoma, grade 2"])
        ['Ductal carci…1', 'Ductal carci…2']
    """
    cut = [name if len(name) <= length else f"{name[: length - 1]}…" for name in names]
    found: list[str] = []
    for name, one in zip(names, cut, strict=True):
        text, number = one, 0
        while name != one and (text in found or text in names or (cut.count(one) > 1 > number)):
            number += 1
            text = f"{name[: length - 1 - len(str(number))]}…{number}"
        found.append(text)
    return found


def _matrix(panel: Axes, own: pl.DataFrame, *, named: bool, turned: bool) -> None:
    """One matrix; its rows are named where it is the first of its line."""
    names = own["truth"].unique(maintain_order=True).to_list()
    counts: Float[np.ndarray, "truth called"] = own["n"].to_numpy().reshape(len(names), -1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colour = np.broadcast_to(WEIGHT_COLOUR, (*share.shape, 3))
    panel.imshow(np.concatenate([colour, 0.7 * share[:, :, None]], axis=2), aspect="auto")
    for (i, j), n in np.ndenumerate(counts):
        size = 8.5 if len(names) < 5 else 7.0
        panel.text(j, i, f"{int(n):,}", ha="center", va="center", fontsize=size)
    ticks = [plain(name) for name in shortened(names)]
    style: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    panel.set_xticks(range(len(names)), ticks, **(style if turned else {}))
    panel.set_yticks(range(len(names)), ticks if named else [""] * len(names))
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
    names = {name for *_, own in matrices for name in own["truth"]}
    long = (
        any(len(name) > NAME_LENGTH for name in names)
        or any(len(output) > TITLE_LENGTH for output, *_ in matrices)
    )  # fmt: skip
    cut = " Long names are shortened; confusion.csv has them whole." if long else ""
    caption = (
        f"Confusion matrices of {who}: how many judged samples of each true class (rows) were called which "
        f"(columns). The shade is the share of the row.{some}{cut}"
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
