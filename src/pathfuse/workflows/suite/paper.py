"""Figures as the paper computes them, where pathfuse's own of the same name is another one."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pathfuse.evaluation.metrics.classification import f1_of_class
from pathfuse.study.samples import Samples

POSITIVE = 1
"""Of two classes in alphabetical order, the paper's F1 is that of the second; pathfuse's is the
mean over both."""


def positive_f1(samples: Samples, fused: pl.DataFrame, classes: Sequence[str]) -> float | None:
    """F1 of the positive class of a study with two classes, of the fused predictions.

    As every metric it is computed inside each fold, and averaged with the folds' patient counts.

    Args:
        samples: With the column ``label``.
        fused: ``fused.parquet``.
        classes: In alphabetical order.

    Returns:
        0 to 1; None if there are not two classes, or the class occurs nowhere.
    """
    if len(classes) != 2:
        return None
    predicted = dict(fused.select("sample_id", "prediction").iter_rows())
    rows = np.array(
        [row for row, one in enumerate(samples.ids) if one in predicted], dtype=np.int64
    )
    true = samples.columns(["label"]).values["label"][rows] == classes[POSITIVE]
    called = np.array(
        [predicted[one] == classes[POSITIVE] for one in samples.ids[rows]], dtype=bool
    )
    folds = np.zeros(len(rows)) if samples.folds is None else samples.folds[rows]
    values, shares = [], []
    for fold in np.unique(folds):
        inside = folds == fold
        values.append(f1_of_class(true[inside].astype(int), called[inside].astype(int), POSITIVE))
        shares.append(len(np.unique(samples.patients[rows][inside].astype(str))))
    known = ~np.isnan(values)
    return (
        float(np.average(np.array(values)[known], weights=np.array(shares)[known]))
        if known.any()
        else None
    )
