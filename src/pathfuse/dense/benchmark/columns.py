"""Columns of a benchmark's tables."""

import polars as pl

ALL_SEEDS = "all"
"""In place of a seed: the confusion matrices of all seeds, summed; only where there are several."""
ALL_MODELS = "all"
"""In place of a model: the mean over the models that every strategy of the data set has."""
KEYS: dict[str, type[pl.DataType]] = {
    "dataset": pl.String,
    "strategy": pl.String,
    "model": pl.String,
    "kind": pl.String,
    "seed": pl.String,
}
FIGURES: dict[str, type[pl.DataType]] = {
    "output": pl.String, "metric": pl.String, "value": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64,
    "n_images": pl.Int64, "n_patients": pl.Int64,
}  # fmt: skip
FACTS: dict[str, type[pl.DataType]] = {
    "matched_modules": pl.Int64, "trainable_parameters": pl.Int64, "memory_mb": pl.Float64, "seconds": pl.Float64,
    "size_policy": pl.String, "pretraining": pl.String, "note": pl.String,
    "base_strategy": pl.String, "rank": pl.Int64, "size_px": pl.Int64, "encoder_parameters": pl.Int64,
}  # fmt: skip
"""What a line holds next to its metric; empty for a fusion, but for its seconds, its note and what
its members share: ``strategy`` is a label of the grid, ``base_strategy`` the adaptation behind it,
with its rank (empty where it has none) and the side of its square."""
PAIRS: dict[str, type[pl.DataType]] = {
    "dataset": pl.String, "strategy": pl.String, "seed": pl.String, "method": pl.String, "reference": pl.String,
    "metric": pl.String, "difference": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64,
    "p_value": pl.Float64, "test": pl.String, "p_holm": pl.Float64,
}  # fmt: skip
STRATEGY_FIGURES: dict[str, type[pl.DataType]] = {
    "dataset": pl.String, "strategy": pl.String, "metric": pl.String, "value": pl.Float64,
    "ci_low": pl.Float64, "ci_high": pl.Float64, "n_models": pl.Int64, "n_images": pl.Int64,
    "n_patients": pl.Int64,
}  # fmt: skip
"""Of ``strategies.csv``."""
STRATEGY_PAIRS: dict[str, type[pl.DataType]] = {
    "dataset": pl.String, "model": pl.String, "strategy": pl.String, "reference": pl.String,
    "metric": pl.String, "difference": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64,
    "p_value": pl.Float64, "test": pl.String, "p_holm": pl.Float64,
}  # fmt: skip
"""Of ``strategy_comparisons.csv``."""
