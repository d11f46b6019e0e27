"""Draws ``results/growth.csv``: python -m benchmarks.growth_figure docs/growth.svg."""

import sys
from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from benchmarks.fusion_rivals import SIZES

TABLE = Path(__file__).parent / "results" / "growth.csv"
WORDS = {"N": "fit rows", "M": "experts", "K": "classes"}


def draw(table: pl.DataFrame) -> Figure:
    """CPU seconds and NLL of every method, against what grows."""
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.subplots(2, len(SIZES), sharey="row", squeeze=False)
    for column, (what, sizes) in enumerate(SIZES.items()):
        own = table.filter(pl.col("study").str.starts_with(f"{what} = "))
        for method in own["method"].unique(maintain_order=True):
            rows = own.filter(method=method)
            x = rows["study"].str.split(" = ").list.last().cast(pl.Float64)
            for row, name in enumerate(("fit_cpu_seconds", "nll")):
                axes[row, column].plot(x, rows[name], marker="o", markersize=3, label=method)
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
    axes[0, 0].legend(fontsize="x-small", frameon=False)
    return figure


if __name__ == "__main__":
    mpl.rcParams |= {"svg.hashsalt": "pathfuse", "svg.fonttype": "none"}
    draw(pl.read_csv(TABLE)).savefig(sys.argv[1], metadata={"Date": None})
