"""What a whole benchmark answers beyond single tables: which strategy, which model, does size pay, do rank and
input size, what does Dice cost.

Everything is computed from ``leaderboard.csv``; with several seeds, from the lines of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from pathfuse.dense.benchmark.columns import ALL_SEEDS
from pathfuse.dense.benchmark.variants import RANK, SIZE, SUFFIX
from pathfuse.dense.evaluation.registry import PRINCIPAL
from pathfuse.evaluation.ranking import first_places, mean_rank_intervals, ranks

FIRST = PRINCIPAL.name
N_RESAMPLES = 1000
FEWEST_MODELS = 5
"""Fewer models than this say nothing on how Dice grows with their size."""
AXES = {RANK: "rank of LoRA and DoRA", SIZE: "side of the input, in pixels"}
"""Columns of the leaderboard that a grid may vary, and what they are."""


@dataclass(frozen=True)
class MeanRank:
    """One model or strategy over all cells in which all were evaluated."""

    name: str
    mean_rank: float
    ci_low: float | None
    """Of the mean rank, by drawing whole data sets; None with fewer than ten of them."""
    ci_high: float | None
    wins: int
    """First places; a shared one counts for each."""
    mean: float
    """Of the first metric."""
    n_cells: int
    n_datasets: int


def main_lines(leaderboard: pl.DataFrame, kind: str = "model") -> pl.DataFrame:
    """Lines of the first metric, one per data set, strategy and model: over all seeds where there
    are several.
    """
    own = leaderboard.filter((pl.col("metric") == FIRST) & pl.col("value").is_not_null())
    whole = pl.col("seed") == ALL_SEEDS
    own = own.filter(whole | ~whole.any().over("dataset", "strategy"))
    return own.filter(pl.col("kind") == kind)


def mean_ranks(leaderboard: pl.DataFrame, ranked: str, *, seed: int = 0) -> list[MeanRank]:
    """Mean ranks of models over data sets and strategies, or of strategies over data sets and models.

    Ties share their mean rank. Only what stands in every cell is ranked; intervals draw whole
    data sets, whose cells share their images.

    Args:
        leaderboard: As in ``leaderboard.csv``.
        ranked: ``model`` or ``strategy``.
        seed: Of the draw.

    Returns:
        Best first; empty where there are fewer than two to rank or two cells.
    """
    lines, other = main_lines(leaderboard), {"model": "strategy", "strategy": "model"}[ranked]
    value = {
        (row["dataset"], row[other], row[ranked]): row["value"]
        for row in lines.iter_rows(named=True)
    }
    cells = list(dict.fromkeys((dataset, one) for dataset, one, _ in value))
    every = list(dict.fromkeys(name for *_, name in value))
    names = [name for name in every if all((*cell, name) in value for cell in cells)]
    if ranked == "strategy":  # models that were not trained by every strategy leave, not strategies
        names = every
        cells = [cell for cell in cells if all((*cell, name) in value for name in names)]
    if len(names) < 2 or len(cells) < 2:
        return []
    table = np.array([[value[(*cell, name)] for name in names] for cell in cells])
    cohorts = np.unique([dataset for dataset, _ in cells], return_inverse=True)[1]
    places = ranks(table)
    limits = mean_rank_intervals(places, cohorts, N_RESAMPLES, seed)
    wins = first_places(table).sum(axis=0)
    found = []
    for k, name in enumerate(names):
        low, high = (None if np.isnan(limit) else float(limit) for limit in limits[k])
        mean_rank, mean = float(places[:, k].mean()), float(table[:, k].mean())
        n_datasets = int(cohorts.max()) + 1
        found.append(
            MeanRank(name, mean_rank, low, high, int(wins[k]), mean, len(cells), n_datasets)
        )
    return sorted(found, key=lambda one: one.mean_rank)


@dataclass(frozen=True)
class Scaling:
    """How the first metric goes with the size of the encoder, under one strategy."""

    strategy: str
    parameters_m: tuple[float, ...]
    """Millions, of each model."""
    means: tuple[float, ...]
    """First metric over the data sets that all models have."""
    models: tuple[str, ...]
    rho: float
    """Spearman's."""
    ci_low: float
    ci_high: float
    n_datasets: int


def scaling(leaderboard: pl.DataFrame) -> list[Scaling]:
    """Spearman's correlation of the encoders' parameters and the mean over data sets, per strategy.

    Intervals are Fisher's with the standard error of Bonett and Wright (Psychometrika 65, 2000).
    Empty for a strategy with fewer than ``FEWEST_MODELS`` models of two sizes or more.
    """
    lines, found = main_lines(leaderboard), []
    lines = lines.filter(pl.col("encoder_parameters").is_not_null())
    for (strategy,), own in lines.group_by("strategy", maintain_order=True):
        n_datasets = own["dataset"].n_unique()
        models = (
            own.group_by("model", maintain_order=True)
            .agg(pl.len().alias("n"), pl.col("value").mean(), pl.col("encoder_parameters").first())
            .filter(pl.col("n") == n_datasets)
        )
        if models.height < FEWEST_MODELS or models["encoder_parameters"].n_unique() < 2:
            continue
        size, mean = models["encoder_parameters"].to_numpy(), models["value"].to_numpy()
        rho = float(stats.spearmanr(size, mean).statistic)
        if np.isnan(rho):
            continue
        error = np.sqrt((1 + rho**2 / 2) / (models.height - 3))
        low, high = np.tanh(np.arctanh(np.clip(rho, -0.9999, 0.9999)) + error * NORMAL)
        found.append(
            Scaling(
                str(strategy),
                tuple(float(value) / 1e6 for value in size),
                tuple(map(float, mean)),
                tuple(models["model"].to_list()),
                rho,
                float(low),
                float(high),
                n_datasets,
            )
        )
    return found


NORMAL = np.array([-1.959963984540054, 1.959963984540054])
"""The quantiles of a standard normal distribution that bound 95 %."""


def ablation(leaderboard: pl.DataFrame, axis: str) -> pl.DataFrame:
    """The first metric along one axis of the grid, the rest alike.

    Args:
        leaderboard: As in ``leaderboard.csv``.
        axis: A key of ``AXES``.

    Returns:
        ``series, dataset, at, value, n_models``: a series is an entry of the grid's strategies,
        with its other axes; its value the mean over the models that have every value of the axis.
        Empty where nothing varies.
    """
    lines = main_lines(leaderboard).filter(pl.col(axis).is_not_null())
    series = [
        row["strategy"].replace(f"-{SUFFIX[axis].format(row[axis])}", "", 1)
        for row in lines.select("strategy", axis).iter_rows(named=True)
    ]
    lines = lines.with_columns(pl.Series("series", series, dtype=pl.String))
    n_values, keys = pl.col(axis).n_unique(), ["dataset", "series"]
    varied = lines.filter(n_values.over(keys) > 1)
    complete = varied.filter(n_values.over(*keys, "model") == n_values.over(keys))
    means = complete.group_by(*keys, axis, maintain_order=True).agg(
        pl.col("value").mean(), pl.col("model").n_unique().alias("n_models")
    )
    return (
        means.rename({axis: "at"})
        .select(pl.col(name).cast(kind) for name, kind in ABLATION.items())
        .sort("dataset", "series", "at")
    )


ABLATION: dict[str, type[pl.DataType]] = {
    "series": pl.String, "dataset": pl.String, "at": pl.Float64, "value": pl.Float64, "n_models": pl.Int64,
}  # fmt: skip


def datasets_of(leaderboard: pl.DataFrame) -> Sequence[str]:
    """The data sets, in order."""
    return leaderboard["dataset"].unique(maintain_order=True).to_list()
