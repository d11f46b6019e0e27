"""The flow of samples from the table that was read to the rows that were judged."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pathfuse.report.theme import AXIS, DOUBLE, INK, MIDDLE, OURS, plain
from pathfuse.report.words import several

LINE, PADDING, GAP = 0.18, 0.08, 0.28
"""Heights in inches: of a line of text, above and below it in a box, and between boxes."""
EDGE, INDENT, APART = 0.05, 0.12, 0.2
"""Widths in inches: around the drawing, before a text in its box, and between boxes."""
LETTER = 0.078
"""Width of a letter in inches, on average and with room to spare."""
MAX_REASONS = 4


@dataclass(frozen=True)
class _Box:
    """Lines of text with an outline."""

    lines: Sequence[str]
    colour: str = AXIS

    @property
    def height(self) -> float:
        return LINE * len(self.lines) + 2 * PADDING


@dataclass(frozen=True)
class _Widths:
    """Widths in inches."""

    whole: float
    step: float
    """Of the box of a step, on the left."""
    side: float
    """Of a box of what was left out, on the right."""

    def end(self, n: int) -> float:
        """Of each of n boxes in the last line."""
        return (self.whole - 2 * EDGE - APART * (n - 1)) / n


NARROW, WIDE = _Widths(MIDDLE, 1.8, 2.6), _Widths(DOUBLE, 2.9, 3.9)
"""With at most two boxes in the last line the drawing fits a phone."""


def flow_plot(flow: pl.DataFrame) -> Figure:
    """Boxes with counts, from the samples table at the top to fit and judged rows at the bottom.

    Args:
        flow: ``flow.csv``.
    """
    whole = flow.filter(pl.col("fold") == "").to_dicts()
    chain = [row for row in whole if row["step"] in ("samples table", "read")]
    first_read = next(n for n, row in enumerate(whole) if row["step"] == "read")
    gone = [
        [row for row in some if row["step"] == "left out"]
        for some in (whole[:first_read], whole[first_read:])
    ]
    losses = gone[-len(chain) :]
    ends = [row for row in whole if row["step"] in ("fit", "calibration", "judged")]
    n_folds = flow.filter(pl.col("fold") != "")["fold"].n_unique()
    widths = WIDE if len(ends) > 2 else NARROW
    boxes = [_box([_step(row["step"]), *_count(row)], widths.step) for row in chain]
    sides = [_losses(rows, widths.side) for rows in losses]
    last = [_end(row, n_folds, widths.end(len(ends))) for row in ends]
    levels = [
        max(box.height, side.height if side else 0) for box, side in zip(boxes, sides, strict=True)
    ]
    height = sum(levels) + GAP * len(levels) + max(box.height for box in last)
    figure = Figure(figsize=(widths.whole, height + 0.1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, widths.whole)
    axes.set_ylim(-0.05, height + 0.05)
    axes.set_axis_off()
    _draw(axes, list(zip(boxes, sides, levels, strict=True)), last, height, widths)
    return figure


def _draw(
    axes: Axes,
    levels: Sequence[tuple[_Box, _Box | None, float]],
    last: Sequence[_Box],
    top: float,
    widths: _Widths,
) -> None:
    middle = EDGE + widths.step / 2
    left_of_side = widths.whole - widths.side - EDGE
    for n, (box, side, room) in enumerate(levels):
        _place(axes, box, EDGE, top, widths.step)
        if side is not None:
            _place(axes, side, left_of_side, top, widths.side)
            at = top - min(box.height, side.height) / 2
            _line(axes, (EDGE + widths.step, at), (left_of_side, at))
        last_level = n == len(levels) - 1
        end = top - room - (GAP / 2 if last_level else GAP)
        _line(axes, (middle, top - box.height), (middle, end), arrow=not last_level)
        top -= room + GAP
    each = widths.end(len(last))
    lefts = [EDGE + n * (each + APART) for n in range(len(last))]
    centres = [middle, *(left + each / 2 for left in lefts)]
    _line(axes, (min(centres), top + GAP / 2), (max(centres), top + GAP / 2), arrow=False)
    for left, box in zip(lefts, last, strict=True):
        _line(axes, (left + each / 2, top + GAP / 2), (left + each / 2, top))
        _place(axes, box, left, top, each)


def _place(axes: Axes, box: _Box, left: float, top: float, width: float) -> None:
    outline = Rectangle(
        (left, top - box.height), width, box.height, fill=False, ec=box.colour, lw=1.1
    )
    axes.add_patch(outline)
    for n, line in enumerate(box.lines):
        y = top - PADDING - (n + 0.5) * LINE
        weight = "bold" if n == 0 else "normal"
        axes.text(left + INDENT, y, plain(line), va="center", fontsize=9, color=INK, weight=weight)


def _line(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, arrow: bool = True
) -> None:
    style = {"arrowstyle": "-|>" if arrow else "-", "color": AXIS, "lw": 1}
    axes.annotate("", end, start, arrowprops=style | {"shrinkA": 0, "shrinkB": 0})


def _step(step: str) -> str:
    return {"samples table": "In the samples table", "read": "In the study"}[step]


def _count(row: dict[str, object]) -> list[str]:
    samples = several(int(str(row["samples"])), "sample")
    patients = row["patients"]
    if patients is None:
        return [samples]
    return [samples, f"of {several(int(str(patients)), 'patient')}"]


def _box(lines: Sequence[str], width: float, colour: str = AXIS) -> _Box:
    """Lines broken where the box ends."""
    characters = int((width - INDENT) / LETTER)
    return _Box([part for line in lines for part in textwrap.wrap(line, characters)], colour)


def _losses(rows: Sequence[dict[str, object]], width: float) -> _Box | None:
    if not rows:
        return None
    lines = ["Left out", *(f"{row['samples']}: {row['reason']}" for row in rows[:MAX_REASONS])]
    if len(rows) > MAX_REASONS:
        more = several(len(rows) - MAX_REASONS, "more reason")
        lines.append(f"and for {more}, see flow.csv")
    return _box(lines, width)


def _end(row: dict[str, object], n_folds: int, width: float) -> _Box:
    step = str(row["step"])
    names = {"fit": "Fitted on", "calibration": "Sets calibrated on", "judged": "Judged"}
    lines = [names[step], *_count(row)]
    if n_folds:
        lines.append(
            f"in {n_folds} folds, each by a fit without it"
            if step == "judged"
            else "the other folds"
        )
    return _box(lines, width, OURS if step == "judged" else AXIS)
