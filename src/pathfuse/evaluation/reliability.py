"""Reliability curves: what was promised against what happened, in groups of rows with like
predictions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.types import LogProbs, Observed, PerSample

N_GROUPS = 10
"""Groups of rows with like predictions, of equal size; rows of equal prediction share a group."""
N_SURVIVAL_GROUPS = 5
"""A Kaplan-Meier estimate needs more rows than a mean."""
LEVELS = np.linspace(0.1, 0.9, 9)
"""Central intervals whose coverage is looked at."""


@dataclass(frozen=True)
class Curve:
    """Points of a reliability curve."""

    expected: Float[np.ndarray, " group"]
    observed: Float[np.ndarray, " group"]
    n: Int[np.ndarray, " group"]


def grouped(expected: PerSample, n_groups: int) -> list[np.ndarray]:
    """Rows in groups of equal size by prediction."""
    ranked = np.sort(expected)
    starts = [part[0] for part in np.array_split(np.arange(len(ranked)), n_groups)[1:] if len(part)]
    group_of = np.searchsorted(ranked[starts], expected, side="right")
    return [np.flatnonzero(group_of == g) for g in np.unique(group_of)]


def classification_curve(log_prob: LogProbs, observed: Observed, positive: int = 1) -> Curve:
    """Confidence against accuracy.

    With two classes the positive class's probability against its frequency.

    Args:
        log_prob: Float, (sample, outcome).
        observed: One outcome per sample.
        positive: Which of two outcomes is the positive one.
    """
    prob = np.exp(log_prob)
    if prob.shape[1] == 2:
        expected, happened = prob[:, positive], observed[:, positive].astype(np.float64)
    else:
        expected = prob.max(axis=1)
        happened = (prob.argmax(axis=1) == observed.argmax(axis=1)).astype(np.float64)
    groups = grouped(expected, N_GROUPS)
    return Curve(
        np.array([expected[rows].mean() for rows in groups]),
        np.array([happened[rows].mean() for rows in groups]),
        np.array([len(rows) for rows in groups]),
    )


def survival_curve(log_prob: LogProbs, truth: SurvivalTruth, edge: float) -> Curve:
    """Predicted survival at one bin edge against Kaplan-Meier in groups of like prediction.

    Args:
        log_prob: Float, (sample, T + 1), the event distribution.
        truth: Follow-up of the rows.
        edge: A finite edge of the bins.
    """
    k = int(np.searchsorted(truth.edges, edge))
    expected = survival_at_edges(log_prob)[:, k - 1]
    # Beyond its own follow-up a group's Kaplan-Meier estimate is undefined.
    groups = [
        rows for rows in grouped(expected, N_SURVIVAL_GROUPS) if truth.time[rows].max() >= edge
    ]
    survived = [
        float(kaplan_meier(truth.time[rows], truth.event[rows], np.array([edge]))[0])
        for rows in groups
    ]
    return Curve(
        np.array([expected[rows].mean() for rows in groups]),
        np.array(survived),
        np.array([len(rows) for rows in groups]),
    )


def kaplan_meier(time: PerSample, event: PerSample, at: np.ndarray) -> np.ndarray:
    """Product-limit estimate of survival at some times.

    Who is censored at a time of death was at risk then.
    """
    times, index = np.unique(time, return_inverse=True)
    deaths, left = np.bincount(index, weights=event), np.bincount(index)
    at_risk = len(time) - np.concatenate([[0], np.cumsum(left)[:-1]])
    steps = np.concatenate([[1.0], np.cumprod(1 - deaths / at_risk)])
    return steps[np.searchsorted(times, at, side="right")]


def middle_edge(truth: SurvivalTruth) -> float | None:
    """The finite edge, inside the follow-up, whose Kaplan-Meier survival is nearest one half.

    None if there is none.
    """
    edges = truth.edges[1:][np.isfinite(truth.edges[1:]) & (truth.edges[1:] < truth.time.max())]
    if not len(edges):
        return None
    return float(edges[np.abs(kaplan_meier(truth.time, truth.event, edges) - 0.5).argmin()])


def interval_curve(moments: Float[np.ndarray, "sample two"], target: PerSample) -> Curve:
    """Nominal against observed coverage of the central intervals of Gaussian predictions."""
    distance = np.abs(target - moments[:, 0]) / np.sqrt(moments[:, 1])
    reach = ndtri((1 + LEVELS) / 2)
    observed = (distance[:, None] <= reach).mean(axis=0)
    return Curve(LEVELS, observed, np.full(len(LEVELS), len(target)))
