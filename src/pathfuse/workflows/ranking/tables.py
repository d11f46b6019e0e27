"""The tables of a ranking, and which studies can tell a method from their winner."""

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from pathfuse.evaluation.ranking import Ranks, first_places, in_reach, ranks
from pathfuse.evaluation.signed_rank import Shift, compare, holm_over
from pathfuse.workflows.ranking.selection import Selection

PAIRED = ("fused", "logitprod")
"""Methods whose paired differences a result folder holds."""


def winner_of(chosen: Selection) -> Int[np.ndarray, " study"]:
    """Column of each study's best method; of equals, the one that stands first."""
    return np.asarray(np.nanargmax(chosen.benefit, axis=1))


def unresolved(chosen: Selection) -> Float[np.ndarray, "study method"]:
    """1 where a study cannot tell a method from its winner, 0 where it can, NaN where no interval
    says so.

    By the interval of the paired difference where there is one, else by whether the method's own
    interval reaches the winner's. Equal values are never told apart; the winner counts as 1.
    """
    winner = winner_of(chosen)
    low, high = (
        (chosen.ci_low, chosen.ci_high)
        if chosen.higher_is_better
        else (-chosen.ci_high, -chosen.ci_low)
    )
    known = ~np.isnan(low) & ~np.isnan(low[np.arange(len(low)), winner])[:, None]
    result = np.where(known, in_reach(low, high, winner), np.nan)
    for row, column in np.ndindex(*result.shape):
        interval = _paired_interval(chosen, row, int(winner[row]), column)
        if interval is not None:
            result[row, column] = float(interval[0] <= 0 <= interval[1])
    result[first_places(chosen.benefit)] = 1.0
    return np.where(np.isnan(chosen.values), np.nan, result)


def _paired_interval(
    chosen: Selection, row: int, one: int, other: int
) -> tuple[float, float] | None:
    study, names = chosen.studies[row], (chosen.methods[one], chosen.methods[other])
    if not set(names) & set(PAIRED):
        return None
    return chosen.paired.get((study, *names)) or chosen.paired.get((study, *names[::-1]))


def ranks_frame(
    chosen: Selection, table: Ranks, resolved: Float[np.ndarray, "study method"]
) -> pl.DataFrame:
    """``ranks.csv``: studies as read, best method first."""
    rows = []
    for i, study in enumerate(chosen.studies):
        there = np.flatnonzero(~np.isnan(table[i]))
        for j in there[np.argsort(table[i, there], kind="stable")]:
            cells = [chosen.values[i, j], chosen.ci_low[i, j], chosen.ci_high[i, j], table[i, j]]
            known = None if np.isnan(resolved[i, j]) else bool(resolved[i, j])
            rows.append([study, chosen.cohorts[i], chosen.methods[j], *map(float, cells), known])
    numbers = dict.fromkeys(("value", "ci_low", "ci_high", "rank"), pl.Float64)
    schema = {
        **dict.fromkeys(("study", "cohort", "method"), pl.String),
        **numbers,
        "unresolved": pl.Boolean,
    }
    return _frame(rows, schema)


def winners_frame(chosen: Selection, resolved: Float[np.ndarray, "study method"]) -> pl.DataFrame:
    """``winners.csv``: the best method of each study and those it cannot be told from, in order of
    their values.
    """
    rows, equal = [], first_places(chosen.benefit)
    for i, best in enumerate(winner_of(chosen)):
        order = np.argsort(-chosen.benefit[i], kind="stable")
        others = [chosen.methods[j] for j in order if j != best and resolved[i, j] == 1]
        present, known = ~np.isnan(chosen.values[i]), ~np.isnan(resolved[i])
        says = (known & ~equal[i]).any() or equal[i][
            present
        ].all()  # equality alone is not an answer about the others
        value, cohort = float(chosen.values[i, best]), chosen.cohorts[i]
        n = len(others) if says else None
        rows.append(
            [chosen.studies[i], cohort, chosen.methods[best], value, int(present.sum()), n, others]
        )
    schema = {
        **dict.fromkeys(("study", "cohort", "winner"), pl.String),
        "value": pl.Float64,
        "n_methods": pl.Int64,
        "n_unresolved": pl.Int64,
        "unresolved_with": pl.List(pl.String),
    }
    return _frame(rows, schema)


def summary_frame(
    chosen: Selection, table: Ranks, intervals: Float[np.ndarray, "method 2"]
) -> pl.DataFrame:
    """``summary.csv``: best mean rank first."""
    there = ~np.isnan(chosen.values)
    complete: Bool[np.ndarray, " study"] = there.all(axis=1)
    whole = (
        ranks(chosen.benefit[complete]).mean(axis=0)
        if complete.any()
        else np.full(len(chosen.methods), np.nan)
    )
    columns: dict[str, Any] = {
        "method": chosen.methods,
        "mean_rank": np.nanmean(table, axis=0),
        "rank_ci_low": intervals[:, 0],
        "rank_ci_high": intervals[:, 1],
        "wins": first_places(chosen.benefit).sum(axis=0),
        "mean_value": np.nanmean(chosen.values, axis=0)
        if chosen.on_one_scale
        else np.full(there.shape[1], np.nan),
        "n_studies": there.sum(axis=0),
        "mean_rank_complete": whole,
    }
    frame = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.sort("mean_rank", maintain_order=True)


def pairs_frame(chosen: Selection, order: list[str]) -> pl.DataFrame:
    """``pairs.csv``: every two methods once, the one with the better mean rank first.

    The strongest pairs on top.
    """
    column = {name: j for j, name in enumerate(chosen.methods)}
    cohorts = chosen.cohort_index
    pairs = [
        compare(
            chosen.values, (column[a], column[b]), cohorts, higher_is_better=chosen.higher_is_better
        )
        for a, b in combinations(order, 2)
    ]
    by_study, by_cohort = holm_over(pairs)
    rows = []
    for pair, p_holm, p_holm_cohorts in zip(pairs, by_study, by_cohort, strict=True):
        names = [chosen.methods[pair.method], chosen.methods[pair.reference]]
        studies = [
            pair.n,
            *_limits(pair.shift),
            pair.wins,
            pair.ties,
            pair.losses,
            pair.p_value,
            float(p_holm),
        ]
        clustered = [
            pair.n_cohorts,
            *_limits(pair.shift_cohorts),
            pair.p_value_cohorts,
            float(p_holm_cohorts),
        ]
        rows.append([*names, *studies, *clustered])
    shift = ("median_difference", "ci_low", "ci_high")
    schema = {
        **dict.fromkeys(("method", "reference"), pl.String),
        "n": pl.Int64,
        **dict.fromkeys(shift, pl.Float64),
        **dict.fromkeys(("wins", "ties", "losses"), pl.Int64),
        **dict.fromkeys(("p_value", "p_holm"), pl.Float64),
        "n_cohorts": pl.Int64,
        **{f"{name}_cohorts": pl.Float64 for name in (*shift, "p_value", "p_holm")},
    }
    return _frame(rows, schema)


def _limits(shift: Shift) -> tuple[float, float, float]:
    return shift.median, shift.low, shift.high


def _frame(rows: list[list[Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )
