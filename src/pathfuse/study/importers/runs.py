"""Several runs of a method on a study, with seeds: their mean counts, their spread is kept."""

from collections.abc import Sequence

import polars as pl

from pathfuse.errors import InputError
from pathfuse.study.importers.scoreboard import RUNS_SCHEMA, frame_of

KEY = ["study", "cohort", "method", "metric"]


def averaged(
    source: str, scores: pl.DataFrame, runs: Sequence[str], column: str
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """One row per study, method and metric, the spread of the runs, and what was done.

    Args:
        source: The table.
        scores: Columns as in ``SCORES``, one row per run.
        runs: Which run each row is.
        column: What the table calls runs.

    Raises:
        InputError: A run of a method occurs twice in a study.
    """
    whole = scores.with_columns(run=pl.Series(list(runs), dtype=pl.String))
    twice = whole.filter(pl.struct([*KEY, "run"]).is_duplicated())
    if twice.height:
        study, method, run = twice.select("study", "method", "run").row(0)
        raise InputError(
            f"{source}: study '{study}' has the method '{method}' twice with {column} '{run}'; what else differs "
            "between the rows must be a part of the method's name"
        )
    grouped = whole.filter(pl.col("value").is_not_null()).group_by(KEY, maintain_order=True)
    found = grouped.agg(
        pl.col("value").mean(),
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("value").std().alias("sd"),
    )
    columns = [found[name].to_list() for name in (*KEY, "value")]
    none: list[float | None] = [None] * found.height
    spread = found.select("study", "method", "metric", "n", "sd").cast(pl.Schema(RUNS_SCHEMA))
    most = int(found["n"].to_numpy().max(initial=0))
    if most < 2:
        return frame_of([*columns, none, none]), spread.clear(), ()
    fewest = int(found["n"].to_numpy().min(initial=most))
    count = str(most) if fewest == most else f"{fewest} to {most}"
    sd = found["sd"].median()
    typical = "" if sd is None else f" (in the middle {float(str(sd)):.2g})"
    note = (
        f"{source}: {count} runs of a method on a study ('{column}') are averaged; their standard deviations"
        f"{typical} are in the manifest"
    )
    return frame_of([*columns, none, none]), spread, (note,)
