"""The tables of a verdict as they are written: ``metrics.csv``, ``comparisons.csv``, ``tests.csv``,
``gains.csv``.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import polars as pl

from pathfuse.evaluation.judged import Comparison, Gain, MetricRow, Test, Verdict


def metrics_frame(verdict: Verdict) -> pl.DataFrame:
    """``metrics.csv``; NaN becomes an empty cell."""
    return _frame(verdict.metrics, MetricRow)


def comparisons_frame(verdict: Verdict) -> pl.DataFrame:
    """``comparisons.csv``; NaN becomes an empty cell."""
    return _frame(verdict.comparisons, Comparison)


def tests_frame(verdict: Verdict) -> pl.DataFrame:
    """``tests.csv``; NaN becomes an empty cell."""
    return _frame(verdict.tests, Test)


def gains_frame(verdict: Verdict) -> pl.DataFrame:
    """``gains.csv``; NaN becomes an empty cell."""
    return _frame(verdict.gains, Gain)


def _frame(
    rows: Sequence[Any], kind: type[MetricRow] | type[Comparison] | type[Test] | type[Gain]
) -> pl.DataFrame:
    types = {"str": pl.String, "float": pl.Float64, "int": pl.Int64}
    schema = {
        part.name: types[getattr(part.type, "__name__", str(part.type))] for part in fields(kind)
    }
    frame = pl.DataFrame([row.__dict__ for row in rows], schema=schema, orient="row")
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))
