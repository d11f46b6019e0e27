"""Singles, fusions of features and fusions of predictions on one table of classes, all judged on
the same test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.feature_fusion import (
    PCA_RIDGE,
    SELF_ATTENTION,
    Row,
    feature_fusions,
    fused,
    linear,
    trained,
)
from pathfuse.costs import Cost, total
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.evaluation.evaluate import evaluate_task
from pathfuse.evaluation.judged import Judged
from pathfuse.experts.recipe import TrainingRecipe

FUSED, STACKED = "fusion of predictions", "stacking of predictions"
TOGETHER = f"fusion of predictions and {SELF_ATTENTION}"
FOLDS = 3
"""For predictions that are fused."""
N_RESAMPLES, SEED = 2000, 0
METRICS = ("accuracy", "nll")


@dataclass(frozen=True)
class Outcome:
    """What every method says of the test rows."""

    held_out: dict[str, np.ndarray]
    """Log-probabilities, (row, class)."""
    cost: dict[str, Cost]
    """Of all that a method needs before it can predict, the singles of a fusion included."""
    models: dict[str, int]
    """How many were trained for it."""
    fusing: Cost
    """Of the fusion, given the singles' predictions."""
    test: pl.DataFrame
    classes: tuple[str, ...]
    singles: tuple[str, ...]


def class_study(
    features: Mapping[str, Path],
    samples: pl.DataFrame,
    place: Path,
    together: bool = False,
    n_jobs: int = 1,
    more: Mapping[str, TrainingRecipe] | None = None,
) -> Outcome:
    """Trains everything on the fit rows.

    Args:
        features: A table of vectors by encoder.
        samples: ``sample_id``, ``split`` (``fit`` or ``test``), ``label``.
        place: An empty folder.
        together: Also fuse the singles' predictions with those of the Meta-Encoder.
        n_jobs: Processes.
        more: Further models that read the features of all encoders, by name.
    """
    crossed, alone = place / "crossed.csv", place / "alone.csv"
    samples.write_csv(crossed)
    samples.with_columns(pl.col("split").replace("fit", "train")).write_csv(alone)
    test, classes = samples.filter(pl.col("split") == "test"), tuple(sorted(set(samples["label"])))
    held_out, cost, models = dict[str, np.ndarray](), dict[str, Cost](), dict[str, int]()

    def keep(name: str, table: pl.DataFrame, costs: Sequence[Cost], n_models: int) -> None:
        held_out[name], cost[name], models[name] = (
            log_probs(table, test, classes),
            total(costs),
            n_models,
        )

    predictions: dict[str, Path] = {}
    for name, table in features.items():
        one = trained(name, table, crossed, place, linear(folds=FOLDS), n_jobs)
        predictions[name] = one.predictions
        keep(name, pl.read_parquet(one.predictions), [one.cost], one.models)
    for name, recipe in (feature_fusions() | dict(more or {})).items():
        one = trained(name, features, alone, place, recipe, n_jobs)
        keep(name, pl.read_parquet(one.predictions), [one.cost], one.models)
    given, n_models = [cost[name] for name in features], sum(models[name] for name in features)
    whole = fused(samples, predictions, seed=SEED)
    keep(FUSED, whole.table, [*given, whole.cost], n_models)
    stacked = fused(samples, predictions, "stacking", SEED)
    keep(STACKED, stacked.table, [*given, stacked.cost], n_models)
    if together:
        recipe = feature_fusions(folds=FOLDS)[SELF_ATTENTION]
        one = trained("crossed", features, crossed, place, recipe, n_jobs)
        every = fused(samples, {**predictions, "meta_encoder": one.predictions}, seed=SEED)
        keep(TOGETHER, every.table, [*given, one.cost, every.cost], n_models + one.models)
    return Outcome(held_out, cost, models, whole.cost, test, classes, tuple(features))


def log_probs(table: pl.DataFrame, test: pl.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Log-probabilities of the test rows, in their order, from ``logit_`` or ``prob_`` columns."""
    rows = test.select("sample_id").join(table, on="sample_id", how="left", maintain_order="left")
    if f"logit_{classes[0]}" in rows.columns:
        return log_softmax(rows.select(f"logit_{name}" for name in classes).to_numpy())
    return np.log(
        np.maximum(rows.select(f"prob_{name}" for name in classes).to_numpy(), np.exp(-16))
    )


def judged_rows(outcome: Outcome) -> list[Row]:
    """Accuracy and NLL of every method, with paired differences to the linear reference."""
    label = [outcome.classes.index(one) for one in outcome.test["label"]]
    rows = np.arange(len(label))
    judged = Judged(
        np.eye(len(outcome.classes), dtype=bool)[label], rows, np.zeros_like(rows), outcome.held_out
    )
    others = [name for name in outcome.held_out if name != PCA_RIDGE]
    pairs = [(name, PCA_RIDGE) for name in others]
    verdict = evaluate_task(Multiclass(outcome.classes), "all", judged, pairs, N_RESAMPLES, SEED)
    values = {(one.method, one.metric): one for one in verdict.metrics}
    differences = {(one.method, one.metric): one for one in verdict.comparisons}
    found: list[Row] = []
    for name in outcome.held_out:
        row: Row = {"method": name}
        for metric in METRICS:
            one, other = values[name, metric], differences.get((name, metric))
            row |= {
                metric: round(one.value, 4),
                f"{metric}_ci": f"{one.ci_low:.3f} to {one.ci_high:.3f}",
            }
            row[f"{metric}_less_pca"] = None if other is None else round(other.difference, 4)
            row[f"{metric}_less_ci"] = (
                None if other is None else f"{other.ci_low:.3f} to {other.ci_high:.3f}"
            )
        found.append(row | figures(outcome.cost[name]) | {"models": outcome.models[name]})
    return found


def figures(cost: Cost) -> Row:
    """A cost as columns."""
    seconds, flops = cost.wall_s, cost.fit_flops
    return {
        "seconds": None if seconds is None else round(seconds, 1),
        "gflops": None if flops is None else round(flops / 1e9, 1),
    }
