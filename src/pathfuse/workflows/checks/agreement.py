"""How well each of an expert's columns goes with the truth of each outcome."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from pathfuse.evaluation.judged import predicted
from pathfuse.evaluation.pearson import pearson
from pathfuse.types import Index
from pathfuse.workflows.checks.evidence import N_RESAMPLES, Evidence, of_few, resampled


@dataclass(frozen=True)
class Agreement:
    """Of one expert."""

    names: tuple[str, ...]
    """Of the outcomes, and of the columns."""
    values: Float[np.ndarray, "outcome column"]
    """AUROC, or Pearson's r; NaN where it is not defined."""
    enough: Bool[np.ndarray, " outcome"]
    """Whether so many rows have the outcome that anything is known of it."""
    error_of_gain: Callable[[Index, Index], float]
    """Standard error of what some outcomes gain together with other columns than their own; takes
    the outcomes and the columns."""
    unit: str
    """What the values are."""
    chance: float
    """The value of a column that knows nothing of the outcome."""


def agreements(evidence: Evidence, fewest: int) -> Iterator[tuple[str, Agreement]]:
    """Per expert, on the rows whose truth may be looked at.

    Args:
        evidence: The study.
        fewest: With fewer rows of an outcome nothing is known of it.
    """
    endpoint = evidence.study.endpoint
    if endpoint.in_time:
        return
    for name in evidence.study.expert_names:
        if endpoint.of_numbers:
            found = _of_numbers(evidence, name)
        elif len(endpoint.tasks) > 1:
            found = _of_labels(evidence, name, fewest)
        else:
            found = _of_classes(evidence, name, fewest)
        if found is not None:
            yield name, found


def _of_classes(evidence: Evidence, name: str, fewest: int) -> Agreement | None:
    """One class against the rest; None for two classes, whose columns are each other's mirror."""
    if len(evidence.study.endpoint.outcomes) < 3:
        return None
    for judged in evidence.outputs(evidence.open_rows).values():
        if name not in judged.predictions:
            continue
        there = predicted(judged.predictions[name])
        truth = np.asarray(judged.observed[there]).argmax(axis=1)
        count = np.bincount(truth, minlength=len(evidence.study.endpoint.outcomes))
        values = aurocs(judged.predictions[name][there], truth)
        return _of_ranks(tuple(evidence.study.endpoint.outcomes), values, count, fewest)
    return None


def _of_labels(evidence: Evidence, name: str, fewest: int) -> Agreement | None:
    """Each label's positives against its negatives, by every label's column."""
    study, rows = evidence.study, evidence.open_rows
    tables, at = evidence.predictions(name), evidence.rows_of(name, rows)
    labels = tuple(task for task in study.endpoint.tasks if task in tables)
    scores = np.stack([tables[label][at, 1] for label in labels], axis=1)
    scores[at < 0] = np.nan
    complete = ~np.isnan(scores).any(axis=1)
    values, count = np.full((len(labels), len(labels)), np.nan), np.zeros(len(labels))
    for k, label in enumerate(labels):
        known = complete & study.truth[label].known[rows]
        positive = np.asarray(study.truth[label].observed[rows][known, 1], dtype=np.int64)
        count[k] = min(positive.sum(), len(positive) - positive.sum())
        values[k] = aurocs(scores[known], 1 - positive)[0]
    return _of_ranks(labels, values, count, fewest)


def _of_numbers(evidence: Evidence, name: str) -> Agreement | None:
    """Pearson's r of every target with every column, on the rows that have them all."""
    truth, mean, patients = evidence.numbers(name, evidence.open_rows)
    complete = ~(np.isnan(truth) | np.isnan(mean)).any(axis=1)
    truth, mean, patients = truth[complete], mean[complete], patients[complete]
    few = of_few(len(np.unique(patients)))
    if not np.isfinite(few):
        return None
    names = tuple(evidence.study.endpoint.outcomes)
    error = partial(_error_of_pearson, truth, mean, patients, few)
    enough = np.full(len(names), True)
    return Agreement(names, _all_pairs(truth, mean), enough, error, "Pearson r", 0.0)


def _of_ranks(
    names: tuple[str, ...], values: np.ndarray, count: np.ndarray, fewest: int
) -> Agreement:
    """AUROCs; the difference of two that know nothing has a variance of twice 1 / (12 n)."""

    def error(outcomes: Index, _columns: Index) -> float:
        return float(np.sqrt((1 / 6 / count[outcomes]).sum()))

    return Agreement(names, values, count >= fewest, error, "AUROC", 0.5)


def _error_of_pearson(
    truth: Float[np.ndarray, "sample outcome"],
    mean: Float[np.ndarray, "sample column"],
    patients: np.ndarray,
    few: float,
    outcomes: Index,
    columns: Index,
) -> float:
    """By a bootstrap of patients."""
    weights, own = resampled(patients, N_RESAMPLES), truth[:, outcomes]
    gain = pearson(weights, own, mean[:, columns]) - pearson(weights, own, mean[:, outcomes])
    return few * float(np.nansum(gain, axis=1).std(ddof=1))


def _all_pairs(
    truth: Float[np.ndarray, "sample outcome"], columns: Float[np.ndarray, "sample column"]
) -> Float[np.ndarray, "outcome column"]:
    """Pearson's r of every outcome with every column."""
    truth, columns = truth - truth.mean(axis=0), columns - columns.mean(axis=0)
    size = np.sqrt(np.outer((truth**2).sum(axis=0), (columns**2).sum(axis=0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, truth.T @ columns / size, np.nan)


def aurocs(scores: np.ndarray, truth: np.ndarray) -> Float[np.ndarray, "class column"]:
    """How well each column ranks each class against the rest; NaN for a class without rows.

    Examples:
        >>> aurocs(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 0, 1])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    n, n_classes = scores.shape
    ranks = np.stack([rankdata(column) for column in scores.T], axis=1)
    found = np.full((n_classes, n_classes), np.nan)
    for k in range(n_classes):
        n_k = int((truth == k).sum())
        if 0 < n_k < n:
            found[k] = (ranks[truth == k].mean(axis=0) - (n_k + 1) / 2) / (n - n_k)
    return found
