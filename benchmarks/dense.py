"""Segmentation of glands (glas) and nuclei (dsb2018_histology): three small encoders, five strategies, their fusion.

The whole of ``pathfuse dense run`` at reduced size (``dense_data``), with encoders that were pre-trained here for
minutes (``dense_encoders``): the figures say that everything works together, and nothing about foundation models.

Recipes are the same for all, but for what differs by strategy as documented; no test image was used to choose anything.
``dice`` is the mean over background and foreground from the summed confusion matrices, with a 95 % percentile interval
of 1000 resamples of images. ``best_expert`` is the single model that is best on the validation images; ``less_best``
is the paired difference to it. ``seconds`` are those of one core.
"""

import tempfile
from pathlib import Path

import polars as pl
from joblib import Parallel, delayed

from benchmarks.dense_data import CLASSES, dense_splits
from benchmarks.dense_encoders import SMALL, pretrain
from benchmarks.feature_fusion import Row
from pathfuse.dense.encoders.tiny import tiny_key
from pathfuse.dense.grid.config import GridConfig
from pathfuse.dense.grid.page import BASE, gain
from pathfuse.dense.grid.run import GridRun, run_grid

STRATEGIES = ("frozen", "lora", "dora", "cnn", "transformer")
RECIPE = {"epochs": 6, "batch": 4, "size_px": 96, "decoder_width": 64, "device": "cpu", "loss": "dice_ce"}
JOBS = 2


def dense() -> list[Row]:
    """Dice by data set, strategy and method, with the difference to the best single model."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        splits = dense_splits(place)
        if not splits:
            return [{"dataset": "not run: neither data set is there"}]
        grid = run_grid(config(place, splits), n_jobs=JOBS)
        return rows(grid)


def config(place: Path, splits: dict[str, Path]) -> GridConfig:
    """The grid, with encoders that are pre-trained on all training tiles."""
    files = Parallel(n_jobs=JOBS)(
        delayed(pretrain)(name, list(splits.values()), place / f"{name}.safetensors") for name in SMALL
    )
    return GridConfig.model_validate(
        {
            "models": {
                name: {"encoder": tiny_key(SMALL[name].spec()), "weights": file} for name, file in zip(SMALL, files, strict=True)
            },
            "datasets": splits,
            "strategies": STRATEGIES,
            "recipe": RECIPE,
            "out": place / "grid",
        }
    )


def rows(grid: GridRun) -> list[Row]:
    """One per method, and one per cell that failed."""
    tables = grid.tables
    found: list[Row] = []
    board = tables.leaderboard.filter(pl.col("metric") == "mDice")
    for row in board.iter_rows(named=True):
        here = {key: row[key] for key in ("dataset", "strategy", "seed")}
        pairs = tables.comparisons.filter(pl.col("metric") == "mDice", *(pl.col(k) == v for k, v in here.items()))
        of_class = tables.classes.filter(
            pl.col("metric") == "dice", pl.col("output") == CLASSES[1], pl.col("model") == row["model"],
            *(pl.col(k) == v for k, v in here.items()),
        )  # fmt: skip
        less = gain(row["model"], pairs) if row["model"] != BASE else None
        found.append(
            {
                "dataset": row["dataset"],
                "strategy": row["strategy"],
                "method": f"{BASE} ({row['note']})" if row["model"] == BASE else row["model"],
                "dice": row["value"],
                "interval": interval(row),
                "foreground": of_class["value"][0],
                "less_best": None if less is None else less["difference"],
                "less_interval": None if less is None else interval(less),
                "matched": row["matched_modules"],
                "trainable": row["trainable_parameters"],
                "seconds": row["seconds"],
                "images": row["n_images"],
            }
        )
    return found + [{**one, "method": f"{one['model']} failed: {one['sentence']}"} for one in grid.failed]


def interval(row: dict[str, float | None]) -> str | None:
    """As text."""
    return None if row["ci_low"] is None else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
