"""What the benchmarks of feature fusion share: the rivals, all by one recipe each, and what
training them costs.

Nothing is tuned: recipes are the defaults of their heads.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import polars as pl
import torch

import pathfuse
from pathfuse.costs import Cost
from pathfuse.experts.parts import ExpertSetup
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import train_expert

PCA_RIDGE = "concat, PCA and linear"
"""The reference that every fusion of features is held against.

See docs/design/meta-encoder.md, section 5, defect 13.
"""
SELF_ATTENTION = "Meta-Encoder, self_attention"
NO_PATH = "without linear path"
FOREST = "concat, pooled forest"
FUSECPATH = "FuseCPath"
MEAN_SINGLE = "mean single"
Row = dict[str, object]


def linear(**chosen: object) -> TrainingRecipe:
    """A linear expert: logistic or ridge regression, strength by inner cross-validation."""
    return TrainingRecipe.of("linear_probe", **chosen)


def feature_fusions(**chosen: object) -> dict[str, TrainingRecipe]:
    """Models that read the features of several encoders, by what the tables call them."""
    return {
        "concat, linear": linear(**chosen),
        PCA_RIDGE: TrainingRecipe.of("pca_ridge", **chosen),
        "Meta-Encoder, concat": TrainingRecipe.of(
            "meta_encoder", strategy="concat", device="cpu", **chosen
        ),
        SELF_ATTENTION: TrainingRecipe.of(
            "meta_encoder", strategy="self_attention", device="cpu", **chosen
        ),
    }


def further_rivals(**chosen: object) -> dict[str, TrainingRecipe]:
    """The nonlinear pooled reference, and the Meta-Encoder as it was before its linear path."""
    before = {"linear_path": False, "min_epochs": 5, "device": "cpu"}
    return {
        FOREST: TrainingRecipe.of("pooled_forest", **chosen),
        **{
            f"Meta-Encoder, {strategy}, {NO_PATH}": TrainingRecipe.of(
                "meta_encoder", strategy=strategy, **before, **chosen
            )
            for strategy in ("concat", "self_attention")
        },
    }


def gain_in_percent(value: float, of_singles: float) -> float:
    """Gain over the mean of the single models, of a figure of which more is better."""
    return round(100 * (value - of_singles) / of_singles, 1)


@dataclass(frozen=True)
class Trained:
    """An expert after training."""

    predictions: Path
    cost: Cost
    """Of all its models, one after the other on one core."""
    models: int


def trained(
    name: str,
    features: Path | Mapping[str, Path],
    samples: Path,
    place: Path,
    recipe: TrainingRecipe,
    n_jobs: int = 1,
) -> Trained:
    """Trains an expert in a folder of its own."""
    file = "".join(sign if sign.isalnum() else "_" for sign in name)
    given = features if isinstance(features, Path) else dict(features)
    out = train_expert(ExpertSetup(file, given, samples, place / file, recipe), n_jobs=n_jobs)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return Trained(
        out / "predictions" / f"{file}.parquet",
        Cost.from_dict(manifest["cost"]),
        len(manifest["parts"]),
    )


@dataclass(frozen=True)
class Fused:
    """Predictions after their fusion."""

    table: pl.DataFrame
    cost: Cost
    """Of fitting the fusion, given the predictions."""


def fused(
    samples: pl.DataFrame, predictions: Mapping[str, Path], method: str = "auto", seed: int = 0
) -> Fused:
    """Fuses predictions, without evaluating them."""
    result = pathfuse.fuse(
        pathfuse.read_study(samples, dict(predictions)), method, seed, n_resamples=0
    )
    assert result.fused is not None
    return Fused(result.fused, Cost.from_dict(result.manifest["costs"]["fusion"]))


@contextmanager
def one_core() -> Iterator[None]:
    """torch on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_one_core(table: Callable[[], list[Row]]) -> Callable[[], list[Row]]:
    """A table that is computed with torch on one thread."""

    @wraps(table)
    def run() -> list[Row]:
        with one_core():
            return table()

    return run
