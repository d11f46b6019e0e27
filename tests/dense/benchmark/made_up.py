"""Made-up tables of a benchmark."""

import polars as pl

from pathfuse.dense.benchmark.boards import SHOWN
from pathfuse.dense.benchmark.columns import (
    FACTS,
    FIGURES,
    KEYS,
    PAIRS,
    STRATEGY_FIGURES,
    STRATEGY_PAIRS,
)
from pathfuse.dense.benchmark.tables import Tables

NASTY = '<b>&"x'
MANIFEST = {"pathfuse": "1", "resamples": 1000, "warnings": [f"class '{NASTY}' is never hit"]}


def board(values, dataset="glas", strategy="lora", seed="0", **facts):
    """A leaderboard: every metric of a model is the same."""
    rows = [
        {
            "dataset": dataset, "strategy": strategy, "model": model, "seed": seed, "metric": metric,
            "kind": "fusion" if model in ("best_expert", "logitprod", "fused") else "model", "value": value,
            "ci_low": value - 0.05, "ci_high": value + 0.05, "n_images": 20, "n_patients": 12,
            "matched_modules": 8, "trainable_parameters": 123456, "memory_mb": 900.0, "seconds": 12.0,
            "size_policy": "multiple of 16", "pretraining": None, "note": None, "base_strategy": strategy,
            "rank": None, "size_px": 224, "encoder_parameters": None, **facts,
        }
        for model, value in values.items()
        for metric in SHOWN
    ]  # fmt: skip
    columns = {
        name: kind for name, kind in {**KEYS, **FIGURES, **FACTS}.items() if name != "output"
    }
    return pl.DataFrame(rows, schema=columns)


def pairs(*differences, dataset="glas", strategy="lora", seed="0"):
    rows = [
        {
            "dataset": dataset, "strategy": strategy, "seed": seed, "method": one, "reference": other,
            "metric": "mDice", "difference": (low + high) / 2, "ci_low": low, "ci_high": high,
            "p_value": 0.5, "test": "t", "p_holm": 0.5,
        }
        for one, other, low, high in differences
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=PAIRS)


def tables(leaderboard, comparisons, strategies=(), strategy_pairs=()):
    """All tables of a benchmark; those of strategies from rows."""
    figures = pl.DataFrame(list(strategies), schema=STRATEGY_FIGURES)
    of_strategies = pl.DataFrame(list(strategy_pairs), schema=STRATEGY_PAIRS)
    return Tables(
        leaderboard, leaderboard.clear(), comparisons, figures, of_strategies, warnings=[]
    )
