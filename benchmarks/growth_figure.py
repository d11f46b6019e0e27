"""Draws ``results/growth.csv``: python -m benchmarks.growth_figure docs/growth.svg."""

import sys
from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from benchmarks.fusion_rivals import SIZES
from pathfuse.report.theme import SERIES

TABLE = Path(__file__).parent / "results" / "growth.csv"
LEAST_S = 1e-3
"""Seconds that are not drawn: soft voting has no fit."""
WORDS = {"N": "fit rows", "M": "experts", "K": "classes"}


def draw(table: pl.DataFrame) -> Figure:
    """CPU seconds and NLL of every method, against what grows."""
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.subplots(2, len(SIZES), sharey="row", squeeze=False)
    methods = table["method"].unique(maintain_order=True)
    colours = {method: SERIES[k % len(SERIES)] for k, method in enumerate(methods)}
    for column, (what, sizes) in enumerate(SIZES.items()):
        own = table.filter(pl.col("study").str.starts_with(f"{what} = "))
        for method in own["method"].unique(maintain_order=True):
            rows = own.filter(method=method)
            x = rows["study"].str.split(" = ").list.last().cast(pl.Float64)
            for row, name in enumerate(("fit_cpu_seconds", "nll")):
                shown = rows[name] > LEAST_S if row == 0 else rows[name].is_not_null()
                axes[row, column].plot(
                    x.filter(shown), rows[name].filter(shown), marker="o", markersize=3,
                    color=colours[method], label=method,
                )  # fmt: skip
        fixed = {
            "N": "6 experts, 9 classes",
            "M": "1,000 rows, 3 classes",
            "K": "1,000 rows, 6 experts",
        }
        axes[0, column].set(xscale="log", yscale="log", title=fixed[what])
        axes[1, column].set(xscale="log", xlabel=WORDS[what])
        for axis in axes[:, column]:
            shown = [size["NMK".index(what)] for size in sizes]
            axis.set_xticks(shown, [f"{one:,}" for one in shown], minor=False)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("CPU seconds of the fit")
    axes[1, 0].set_ylabel("NLL of 2,000 new samples")
    axes[1, 0].legend(fontsize="x-small", frameon=False, ncols=2)
    return figure


if __name__ == "__main__":
    mpl.rcParams |= {"svg.hashsalt": "pathfuse", "svg.fonttype": "none"}
    draw(pl.read_csv(TABLE)).savefig(sys.argv[1], metadata={"Date": None})
