"""Figures of a benchmark: strategies as box plots over models, size, ablations, cost."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from pathfuse.dense.benchmark.questions import (
    AXES,
    Scaling,
    ablation,
    datasets_of,
    main_lines,
    scaling,
)
from pathfuse.dense.evaluation.registry import PRINCIPAL
from pathfuse.report.drawings import Drawing
from pathfuse.report.theme import (
    AXIS,
    DASHES,
    FAINT,
    OURS,
    SERIES,
    STYLE,
    THEIRS,
    panels,
    plain,
)

DICE = PRINCIPAL.label
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def drawings(leaderboard: pl.DataFrame) -> list[Drawing]:
    """Every figure that the leaderboard allows, in the order of the page."""
    with mpl.rc_context(STYLE):
        found = [
            _boxes(leaderboard),
            _sizes(scaling(leaderboard)),
            *(_along(axis, ablation(leaderboard, axis)) for axis in AXES),
            _cost(leaderboard),
        ]
    return [one for one in found if one is not None]


def _boxes(leaderboard: pl.DataFrame) -> Drawing | None:
    """Box plots over models; a line joins each model."""
    lines = main_lines(leaderboard)
    strategies = lines["strategy"].unique(maintain_order=True).to_list()
    if len(strategies) < 2:
        return None
    datasets = datasets_of(lines)
    figure, axes = panels(len(datasets), height=2.9)
    for panel, dataset in zip(axes, datasets, strict=True):
        own = lines.filter(pl.col("dataset") == dataset)
        values = {
            (row["strategy"], row["model"]): row["value"] for row in own.iter_rows(named=True)
        }
        columns = [[v for (s, _), v in values.items() if s == one] for one in strategies]
        there = [k for k, column in enumerate(columns) if column]
        panel.boxplot(
            [columns[k] for k in there],
            positions=there,
            widths=0.55,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": FAINT, "edgecolor": THEIRS},
            medianprops={"color": OURS, "lw": 2},
            whiskerprops={"color": THEIRS},
            capprops={"color": THEIRS},
        )
        for model in own["model"].unique(maintain_order=True):
            places = [k for k, one in enumerate(strategies) if (one, model) in values]
            heights = [values[strategies[k], model] for k in places]
            panel.plot(places, heights, "o-", color=AXIS, ms=3.5, lw=0.6, zorder=3)
        _named(panel, strategies)
        panel.set_title(plain(dataset))
        panel.yaxis.set_major_locator(MaxNLocator(5))
        panel.grid(axis="y")
    axes[0].set_ylabel(DICE)
    what = f"{DICE} of the models by strategy"
    caption = (
        f"{what}: the box spans the middle half of the models, the thick line is their median; "
        "grey lines join the same model."
    )
    return Drawing("strategies", caption, f"Box plots of {what}; the table has the means.", figure)


def _named(panel: Axes, names: Sequence[str]) -> None:
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    words = [plain(name) for name in names]
    panel.set_xticks(range(len(names)), words, **(turned if len(names) > 3 else {}))
    panel.set_xlim(-0.6, len(names) - 0.4)


def _sizes(found: Sequence[Scaling]) -> Drawing | None:
    if not found:
        return None
    figure, axes = panels(len(found), height=2.9)
    for panel, one in zip(axes, found, strict=True):
        panel.plot(one.parameters_m, one.means, "o", color=THEIRS, ms=5)
        for x, y, name in zip(one.parameters_m, one.means, one.models, strict=True):
            panel.annotate(
                plain(name), (x, y), xytext=(4, 2), textcoords="offset points", fontsize=7
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(plain(one.strategy))
        panel.grid()
        panel.set_xlabel("parameters of the encoder, millions")
    axes[0].set_ylabel(f"mean {DICE}")
    said = "; ".join(
        f"{one.strategy} {one.rho:+.2f} ({one.ci_low:+.2f} to {one.ci_high:+.2f})" for one in found
    )
    caption = (
        f"Size of the encoder and mean {DICE} over data sets. Spearman's correlation over models, "
        f"with 95 % intervals: {said}."
    )
    return Drawing("size", caption, f"Scatter plots. {caption}", figure)


def _along(axis: str, table: pl.DataFrame) -> Drawing | None:
    if not table.height:
        return None
    datasets = datasets_of(table)
    series = table["series"].unique(maintain_order=True).to_list()
    figure, axes = panels(len(datasets), height=2.9)
    for panel, dataset in zip(axes, datasets, strict=True):
        for k, one in enumerate(series):
            own = table.filter((pl.col("dataset") == dataset) & (pl.col("series") == one))
            if own.height:
                panel.plot(
                    own["at"],
                    own["value"],
                    color=SERIES[k % len(SERIES)],
                    ls=DASHES[k // len(SERIES) % len(DASHES)],
                    marker=MARKS[k % len(MARKS)],
                    ms=5,
                    label=plain(one),
                )
        at = sorted(table.filter(pl.col("dataset") == dataset)["at"].unique())
        panel.set_xscale("log", base=2)
        panel.set_xticks(at, [f"{value:g}" for value in at])
        panel.minorticks_off()
        panel.set_title(plain(dataset))
        panel.grid()
        panel.set_xlabel(AXES[axis])
    axes[0].set_ylabel(f"mean {DICE}")
    axes[0].legend()
    caption = (
        f"{DICE} by {AXES[axis]}: means over the models that were trained with every value of it."
    )
    return Drawing(axis, caption, caption, figure)


def _cost(leaderboard: pl.DataFrame) -> Drawing | None:
    """Seconds of a cell and its first metric."""
    lines = main_lines(leaderboard).filter(pl.col("seconds") > 0)
    if lines.height < 2:
        return None
    datasets = datasets_of(lines)
    strategies = lines["strategy"].unique(maintain_order=True).to_list()
    figure, axes = panels(len(datasets), height=2.9)
    for panel, dataset in zip(axes, datasets, strict=True):
        for k, strategy in enumerate(strategies):
            own = lines.filter((pl.col("dataset") == dataset) & (pl.col("strategy") == strategy))
            panel.plot(
                own["seconds"],
                own["value"],
                ls="none",
                marker=MARKS[k % len(MARKS)],
                color=SERIES[k % len(SERIES)],
                ms=5,
                label=plain(strategy),
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(plain(dataset))
        panel.grid()
        panel.set_xlabel("seconds of training and predicting")
    axes[0].set_ylabel(DICE)
    axes[0].legend()
    caption = (
        f"What {DICE} costs: seconds of training and predicting of each model, over all its seeds."
    )
    return Drawing("cost", caption, caption, figure)
