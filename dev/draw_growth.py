"""Draws ``docs/growth.svg`` from ``benchmarks/results/growth.csv``: seconds and memory of a fit as
samples, experts and classes grow. Run after ``python -m benchmarks growth``.
"""

from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
WORDS = {"N": "samples", "M": "experts", "K": "classes"}
SHOWN = (
    "pathfuse auto", "pathfuse logitprod", "published recipe", "LogisticRegressionCV",
    "greedy selection", "stacking (scikit-learn)",
)  # fmt: skip


def main() -> None:
    """Writes the figure."""
    rows = pl.read_csv(ROOT / "benchmarks/results/growth.csv")
    mpl.rcParams["svg.hashsalt"] = "growth"
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    for axis, (letter, words) in zip(axes, WORDS.items(), strict=True):
        own = rows.filter(pl.col("study").str.starts_with(f"{letter} ="))
        for method in SHOWN:
            line = own.filter(method=method).sort(letter.lower())
            axis.plot(line[letter.lower()], line["fit_cpu_seconds"], marker="o", ms=3, label=method)
        axis.set(xscale="log", yscale="log", xlabel=words)
    axes[0].set_ylabel("CPU seconds of a fit")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(ROOT / "docs/growth.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
