"""Segmentation of glands (glas) and nuclei (dsb2018_histology): three small encoders, five
strategies, their fusion.

The whole of ``pathfuse dense run`` at reduced size (``dense_data``): the figures say that
everything works together, and nothing about foundation models. The encoders are vision transformers
with random weights, which differ in width, registers and seed; a random transformer still tells
colours and textures apart. Pre-training them here, by predicting hidden pixels for two minutes,
made frozen features worse on glas's validation images (patch 8: Dice .715 against .739; 14: .570,
.610; 16: .556, .576), so there is none. All have patch 8, as foundation models that are worth
fusing are of a
kind: with patches 6, 8 and 10 the finest was far ahead on the validation images (about .80, .76,
.70), and the product was that model.

Sizes, rates and epochs were chosen on validation images and by time; no test image was used to
choose anything. ``dice`` is the mean over background and foreground from the summed confusion
matrices, with a 95 % percentile interval of 1000 resamples of images. ``best_expert`` is the single
model that is best on the validation images; ``less_best`` is the paired difference to it,
``less_top`` that to the model that is best on the test images themselves, which nobody could have
known. ``seconds`` are those of one core.

``dense_rivals`` is of the same grid: the fusion with default options (``fused``: the method that
held-out Dice per image chose) against the best single model as chosen on the validation images, the
mean of the logits, the majority and STAPLE, with paired intervals; AJI where images have instances.
``dense_strategies`` holds the strategies of that grid against each other: means over the three
encoders, and the paired difference to the best one. ``dense_tokens`` says how alike the patch tokens
of the same encoders are, untrained, within and across the two classes, by layer.
"""

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import polars as pl

from benchmarks.dense_data import CLASSES, dense_splits
from benchmarks.feature_fusion import Row
from pathfuse.dense.analysis.report import table_of
from pathfuse.dense.analysis.run import compare_tokens
from pathfuse.dense.benchmark.boards import BASE, paired
from pathfuse.dense.benchmark.config import BenchmarkConfig
from pathfuse.dense.benchmark.run import BenchmarkRun, run_benchmark
from pathfuse.dense.data.split_files import read_split
from pathfuse.dense.fusion.fused_model import FUSED

ENCODERS = {
    "narrow": "tiny:patch=8,dim=96,depth=3,seed=1",
    "middle": "tiny:patch=8,dim=144,depth=3,registers=4,seed=2",
    "wide": "tiny:patch=8,dim=192,depth=3,registers=8,seed=3",
}
STRATEGIES = ("frozen", "lora", "dora", "cnn", "transformer")
RECIPE = {
    "epochs": 16, "batch": 4, "fit": "crop", "size_px": 96, "augment": False, "decoder_width": 64, "loss": "dice_ce",
    "device": "cpu",
}  # fmt: skip
PER_STRATEGY = {
    "lora": {"learning_rate": 1e-3},
    "dora": {"learning_rate": 1e-3},
    "cnn": {"epochs": 6},
}
"""Random weights bear the decoder's rate; the convolutional branch costs four times as much per
epoch, and learns in fewer."""
JOBS = 2
RIVALS = (BASE, "mean_logit", "majority", "staple")
NOT_RUN: Row = {"dataset": "not run: neither data set is there"}


def dense() -> list[Row]:
    """Dice by data set, strategy and method, with the difference to the best single model."""
    grid = made_grid(STRATEGIES, tuple(RECIPE.items()))
    return rows(grid) if grid else [NOT_RUN]


def dense_rivals(
    strategies: Sequence[str] = STRATEGIES, recipe: Mapping[str, object] = RECIPE
) -> list[Row]:
    """The fusion against each rival, in Dice and AJI."""
    grid = made_grid(tuple(strategies), tuple(recipe.items()))
    return rivals(grid) if grid else [NOT_RUN]


def dense_strategies(
    strategies: Sequence[str] = STRATEGIES, recipe: Mapping[str, object] = RECIPE
) -> list[Row]:
    """Means over models per data set and strategy, best first, less the best."""
    grid = made_grid(tuple(strategies), tuple(recipe.items()))
    if grid is None or grid.tables is None:
        return [NOT_RUN]
    found: list[Row] = []
    for (dataset, metric), own in grid.tables.strategies.group_by(
        "dataset", "metric", maintain_order=True
    ):
        pairs = grid.tables.strategy_comparisons.filter(
            (pl.col("dataset") == dataset)
            & (pl.col("metric") == metric)
            & (pl.col("model") == "all")
        ).rename({"strategy": "method"})
        ordered = own.sort("value", descending=True)
        best = ordered["strategy"][0]
        for row in ordered.iter_rows(named=True):
            less = paired(row["strategy"], best, pairs)
            found.append(
                {
                    "dataset": dataset,
                    "metric": metric,
                    "strategy": row["strategy"],
                    "mean": row["value"],
                    "interval": interval(row),
                    "less_best": None if less is None else less["difference"],
                    "less_interval": None if less is None else interval(less),
                    "p_holm": None if less is None else less["p_holm"],
                }
            )
    return found


def dense_tokens(size_px: int = 192, n_images: int = 60) -> list[Row]:
    """Cosine similarity of tokens by encoder and layer."""
    with tempfile.TemporaryDirectory() as folder:
        found: list[Row] = []
        for dataset, file in dense_splits(Path(folder)).items():
            split = read_split(file)
            similar, _ = compare_tokens(
                list(ENCODERS.values()), split, split.items, size_px=size_px, n_images=n_images,
                device="cpu",
            )  # fmt: skip
            table = table_of(similar).with_columns(dataset=pl.lit(dataset))
            found += table.select("dataset", *table.columns[:-1]).to_dicts()
    return found or [NOT_RUN]


@cache
def made_grid(
    strategies: tuple[str, ...], recipe: tuple[tuple[str, object], ...]
) -> BenchmarkRun | None:
    """The benchmark, run once for all tables of this program; None without a data set."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        splits = dense_splits(place)
        if not splits:
            return None
        return run_benchmark(config(place, splits, strategies, dict(recipe)), n_jobs=JOBS)


def config(
    place: Path,
    splits: dict[str, Path],
    strategies: Sequence[str] = STRATEGIES,
    recipe: Mapping[str, object] = RECIPE,
) -> BenchmarkConfig:
    """The grid."""
    return BenchmarkConfig.model_validate(
        {
            "models": ENCODERS,
            "datasets": splits,
            "strategies": strategies,
            "recipe": recipe,
            "per_strategy": {key: one for key, one in PER_STRATEGY.items() if key in strategies},
            "out": place / "grid",
        }
    )


def rivals(grid: BenchmarkRun) -> list[Row]:
    """One row per data set, strategy and rival, and one per cell that failed."""
    tables, found = grid.tables, list[Row]()
    for (dataset, strategy, seed), board in tables.leaderboard.group_by(
        "dataset", "strategy", "seed", maintain_order=True
    ):
        here = {"dataset": dataset, "strategy": strategy, "seed": seed}
        value = {(row["model"], row["metric"]): row["value"] for row in board.iter_rows(named=True)}
        notes = dict(board.select("model", "note").iter_rows())
        pairs = tables.comparisons.filter(*(pl.col(key) == one for key, one in here.items()))
        for rival in RIVALS:
            row: Row = {
                "dataset": dataset,
                "strategy": strategy,
                "fused": notes[FUSED],
                "rival": f"{rival} ({notes[rival]})" if notes[rival] else rival,
            }
            for metric, short in (("mDice", "dice"), ("aji", "aji")):
                gain = paired(FUSED, rival, pairs.filter(pl.col("metric") == metric))
                row |= {
                    short: value.get((FUSED, metric)),
                    f"{short}_rival": value.get((rival, metric)),
                    f"{short}_gain": None if gain is None else gain["difference"],
                    f"{short}_gain_interval": None if gain is None else interval(gain),
                }
            found.append(row)
    return found + [
        {**one, "rival": f"{one['model']} failed: {one['sentence']}"} for one in grid.failed
    ]


def rows(grid: BenchmarkRun) -> list[Row]:
    """One per method, and one per cell that failed."""
    tables = grid.tables
    found: list[Row] = []
    board = tables.leaderboard.filter(pl.col("metric") == "mDice")
    for row in board.iter_rows(named=True):
        here = {key: row[key] for key in ("dataset", "strategy", "seed")}
        pairs = tables.comparisons.filter(
            pl.col("metric") == "mDice", *(pl.col(k) == v for k, v in here.items())
        )
        of_class = tables.classes.filter(
            pl.col("metric") == "dice", pl.col("output") == CLASSES[1], pl.col("model") == row["model"],
            *(pl.col(k) == v for k, v in here.items()),
        )  # fmt: skip
        singles = board.filter(
            pl.col("kind") == "model", *(pl.col(k) == v for k, v in here.items())
        )
        top = singles.sort("value")["model"][-1]
        fusion = row["kind"] == "fusion" and row["model"] != BASE
        gain = paired(row["model"], BASE, pairs) if fusion else None
        less_top = paired(row["model"], top, pairs) if fusion else None
        found.append(
            {
                "dataset": row["dataset"],
                "strategy": row["strategy"],
                "method": f"{BASE} ({row['note']})" if row["model"] == BASE else row["model"],
                "dice": row["value"],
                "interval": interval(row),
                "foreground": of_class["value"][0],
                "pq": value_of("pq", row, tables.leaderboard),
                "less_best": None if gain is None else gain["difference"],
                "less_interval": None if gain is None else interval(gain),
                "less_top": None if less_top is None else less_top["difference"],
                "less_top_interval": None if less_top is None else interval(less_top),
                "matched": row["matched_modules"],
                "trainable": row["trainable_parameters"],
                "seconds": row["seconds"],
                "images": row["n_images"],
            }
        )
    return found + [
        {**one, "method": f"{one['model']} failed: {one['sentence']}"} for one in grid.failed
    ]


def value_of(metric: str, row: dict[str, object], board: pl.DataFrame) -> float | None:
    """Another metric of the same line."""
    keys = ("dataset", "strategy", "seed", "model")
    found = board.filter(pl.col("metric") == metric, *(pl.col(key) == row[key] for key in keys))
    return found["value"][0] if found.height else None


def interval(row: dict[str, float | None]) -> str | None:
    """As text."""
    return None if row["ci_low"] is None else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
