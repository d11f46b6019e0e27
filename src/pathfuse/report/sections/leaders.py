"""Whom a long table is about, where it cannot be about everybody."""

from collections.abc import Sequence

import polars as pl

LEADERS = ("fused", "best_expert", "uniform_product")
"""Methods that stand for a run, the first that there are."""
MAX_OUTPUTS = 3
"""With more outputs or classes than this the page shows the leaders alone."""


def led(table: pl.DataFrame, about: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """A table as the page shows it, and the methods that it leaves out.

    Args:
        table: With a column ``method``.
        about: The columns that tell outputs and classes apart.
    """
    methods = table["method"].unique(maintain_order=True).to_list()
    kept = [name for name in LEADERS if name in methods][:2]
    if table.select(about).n_unique() <= MAX_OUTPUTS or not kept:
        return table, []
    left = [name for name in methods if name not in kept]
    return table.filter(pl.col("method").is_in(kept)), left
