"""Inner cross-validation: every choice that a fusion makes is made on rows it was not fitted on.

Folds are grouped by patient, stratified by outcome where there are classes, and the same for all
methods of both families.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from pathfuse.types import Index, Observed

SMALL, LARGE = 500, 2_000
"""Below 500 rows: 5 repeats of 10 folds, since a fifth of few rows is dear and one division of them
is noise; below 2,000 rows 2 repeats of 5 folds; then 5 folds once."""
MAX_ROWS = 20_000
"""Choices are made on a stratified subsample of this size; the chosen method is then fitted on all
rows."""

Groups = Int[np.ndarray, " sample"]


@dataclass(frozen=True)
class InnerFolds:
    """The rows of the fit set that take part in inner cross-validation, and their folds."""

    rows: Index
    """Row numbers within the fit set; fold members count within these."""
    splits: list[list[tuple[np.ndarray, np.ndarray]]]
    """Per repeat, per fold: (train, held out)."""


def strata_of(observed: Observed) -> Int[np.ndarray, " sample"]:
    """A number for each kind of truth: the class, or the (bin, censored) pair."""
    if observed.dtype == bool and observed.shape[1] <= 64:  # the same order, without sorting rows
        bits = 1 << np.arange(observed.shape[1] - 1, -1, -1, dtype=np.uint64)
        numbers = sum(
            (column * bit for column, bit in zip(observed.T, bits, strict=True)),
            np.zeros(len(observed), dtype=np.uint64),
        )
        return np.unique(numbers, return_inverse=True)[1].reshape(-1)
    return np.unique(observed, axis=0, return_inverse=True)[1].reshape(-1)


def _splitter(groups: np.ndarray, n_splits: int, seed: int) -> Any:
    # An ungrouped splitter is exact and much faster where every patient has one sample.
    from sklearn.model_selection import (
        StratifiedGroupKFold,
        StratifiedKFold,
    )  # not at the top: predict does without

    kind = StratifiedKFold if len(np.unique(groups)) == len(groups) else StratifiedGroupKFold
    return kind(n_splits, shuffle=True, random_state=seed)


def inner_folds(strata: Int[np.ndarray, " sample"], groups: Groups, seed: int) -> InnerFolds | None:
    """The folds for one fit set, or None where there is nothing to hold out (one patient).

    Args:
        strata: Int, (sample,). Kinds of truth; all the same where there are none.
        groups: Int, (sample,). Patients.
        seed: Any integer; the same seed gives the same folds.
    """
    rows = np.arange(len(strata))
    if len(rows) > MAX_ROWS:
        parts = _splitter(groups, max(2, round(len(rows) / MAX_ROWS)), seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            rows = np.sort(next(iter(parts.split(rows, strata, groups)))[1])
    strata, groups = strata[rows], groups[rows]
    n_splits = min(
        10 if len(rows) < SMALL else 5, len(np.unique(groups)), int(np.bincount(strata).max())
    )
    if n_splits < 2:
        return None
    splits = []
    for repeat in range(5 if len(rows) < SMALL else 2 if len(rows) < LARGE else 1):
        with (
            warnings.catch_warnings()
        ):  # scikit-learn warns of classes rarer than the folds: expected and harmless
            warnings.simplefilter("ignore", UserWarning)
            parts = _splitter(groups, n_splits, seed + repeat).split(rows, strata, groups)
            splits.append([(train, test) for train, test in parts if len(train) and len(test)])
    return InnerFolds(rows, splits)
