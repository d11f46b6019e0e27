"""Strategies against each other, the question that PFM-DenseBench asks: per model, and as means over the
models that every strategy of a data set has.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from pathfuse.dense.benchmark.columns import ALL_MODELS, STRATEGY_FIGURES, STRATEGY_PAIRS
from pathfuse.dense.benchmark.entries import Entry, Images, counted
from pathfuse.dense.evaluation.means import evaluate_means
from pathfuse.dense.evaluation.registry import ALL
from pathfuse.dense.evaluation.verdict import (
    Columns,
    DenseVerdict,
    Score,
    evaluate_columns,
    instance_columns,
    instance_score,
    pixel_score,
)

SHOWN = tuple(metric.name for metric in ALL if metric.brief)
"""Metrics that strategies are compared in."""


class StrategyTables(NamedTuple):
    """How the strategies of one data set did."""

    figures: pl.DataFrame
    """``STRATEGY_FIGURES``: per strategy the mean over the models that every strategy has."""
    pairs: pl.DataFrame
    """``STRATEGY_PAIRS``: paired differences of every two strategies, per model and of the means."""


def compare_strategies(
    dataset: str,
    by_strategy: Mapping[str, Mapping[str, Entry]],
    images: Images,
    patient_of: Mapping[str, str],
    classes: Sequence[str],
    n_resamples: int,
) -> StrategyTables:
    """Compares the strategies of a data set on the same images, by the same resamples.

    Args:
        dataset: Its name.
        by_strategy: Per strategy the models and fusions, by name.
        images: Those of the matrices.
        patient_of: Patient of each image.
        classes: Names of the classes.
        n_resamples: Of the bootstrap by patient.
    """
    names = list(
        dict.fromkeys(name for own in by_strategy.values() for name in own)
    )  # of models and fusions
    pairs = []
    for name in names:
        own = {strategy: one[name] for strategy, one in by_strategy.items() if name in one}
        if len(own) > 1:
            verdict = evaluate_columns(
                *counted(own, images), patient_of, n_resamples, classes=classes
            )
            pairs.append(_pairs(verdict, dataset, name))
    common = [
        name
        for name in names
        if all(name in own and own[name].kind == "model" for own in by_strategy.values())
    ]
    figures = []
    for columns, ids, score in _columns(by_strategy, common, images, classes):
        patients = [patient_of[image] for image in ids]
        verdict = evaluate_means(columns, patients, score, n_resamples)
        figures.append(_figures(verdict, dataset, len(common)))
        pairs.append(_pairs(verdict, dataset, ALL_MODELS))
    return StrategyTables(
        pl.concat([pl.DataFrame(schema=STRATEGY_FIGURES), *figures]),
        pl.concat([pl.DataFrame(schema=STRATEGY_PAIRS), *pairs]),
    )


def _columns(
    by_strategy: Mapping[str, Mapping[str, Entry]],
    common: Sequence[str],
    images: Images,
    classes: Sequence[str],
) -> list[tuple[dict[str, list[Columns]], tuple[str, ...], Score]]:
    """What is summed over images: of pixels, and of instances if all common models have them."""
    if not common:
        return []
    own = {name: [one[model] for model in common] for name, one in by_strategy.items()}
    pixels: dict[str, list[Columns]] = {name: [e.cms for e in some] for name, some in own.items()}
    found = [(pixels, images.with_mask, pixel_score(classes))]
    nuclei: dict[str, list[Columns]] = {
        name: [instance_columns(e.instances) for e in some if e.instances is not None]
        for name, some in own.items()
    }
    if images.with_instances and all(len(some) == len(common) for some in nuclei.values()):
        found.append((nuclei, images.with_instances, instance_score))
    return found


def _figures(verdict: DenseVerdict, dataset: str, n_models: int) -> pl.DataFrame:
    own = verdict.metrics.filter(pl.col("metric").is_in(SHOWN))
    return own.rename({"method": "strategy", "n": "n_images"}).select(
        (
            pl.lit(dataset).alias(name)
            if name == "dataset"
            else pl.lit(n_models).alias(name)
            if name == "n_models"
            else pl.col(name)
        ).cast(kind)
        for name, kind in STRATEGY_FIGURES.items()
    )


def _pairs(verdict: DenseVerdict, dataset: str, model: str) -> pl.DataFrame:
    own = verdict.comparisons.filter(
        (pl.col("output") == "all") & pl.col("metric").is_in(SHOWN)
    ).rename({"method": "strategy"})
    constant = {"dataset": dataset, "model": model}
    return own.select(
        (pl.lit(constant[name]).alias(name) if name in constant else pl.col(name)).cast(kind)
        for name, kind in STRATEGY_PAIRS.items()
    )
