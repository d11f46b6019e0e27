"""Ranks of methods across studies: mean ranks, Friedman, the critical difference.

See docs/design/statistics.md, section 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from pathfuse.evaluation.intervals import Sampled, percentile_interval
from pathfuse.evaluation.resampling import draw

Benefit: TypeAlias = Float[np.ndarray, "study method"]
"""A metric of every method in every study, turned so that higher is better; NaN where a method is
absent."""

Ranks: TypeAlias = Float[np.ndarray, "study method"]
"""1 is best; NaN where a method is absent."""

MIN_COHORTS = 10
"""Fewer cohorts than this get mean ranks without intervals."""


def ranks(benefit: Benefit, *, by_order: bool = False) -> Ranks:
    """Ranks inside each study, 1 is best.

    Args:
        benefit: Float, (study, method).
        by_order: Equal values get successive ranks in the order of the columns; otherwise the mean
            of those ranks.

    Examples:
        >>> ranks(np.array([[0.9, 0.8, 0.8], [0.7, np.nan, 0.6]])).tolist()
        [[1.0, 2.5, 2.5], [1.0, nan, 2.0]]
    """
    return np.asarray(
        stats.rankdata(
            -benefit, method="ordinal" if by_order else "average", axis=1, nan_policy="omit"
        ),
        dtype=float,
    )


def first_places(benefit: Benefit) -> Bool[np.ndarray, "study method"]:
    """Where no other method is better; a shared first place counts for each."""
    best = np.nanmax(benefit, axis=1, keepdims=True)
    return np.asarray(benefit == best)


def in_reach(
    low: Benefit, high: Benefit, winner: Int[np.ndarray, " study"]
) -> Bool[np.ndarray, "study method"]:
    """Where a method's interval reaches that of the study's winner: its upper limit is at or above
    the winner's lower.

    Args:
        low: Lower limits, higher is better; NaN where there is no interval.
        high: Upper limits.
        winner: Column of each study's winner; it reaches itself.
    """
    floor = low[np.arange(len(low)), winner][:, None]
    reached = high >= floor
    reached[np.arange(len(low)), winner] = True
    return np.asarray(reached)


def cohort_means(
    values: Float[np.ndarray, "study column"], cohorts: Int[np.ndarray, " study"]
) -> np.ndarray:
    """The mean inside each cohort, column by column.

    Args:
        values: Float, (study, column), without NaN.
        cohorts: Int, (study,): 0..C-1, each at least once.

    Returns:
        Float, (cohort, column).
    """
    member = np.eye(cohorts.max() + 1)[cohorts]
    return np.asarray(member.T @ values / member.sum(axis=0)[:, None])


def mean_rank_intervals(
    table: Ranks, cohorts: Int[np.ndarray, " study"], n_resamples: int, seed: int
) -> Float[np.ndarray, "method 2"]:
    """95 % percentile intervals of the mean ranks, widened for few cohorts.

    Whole cohorts are drawn.

    Args:
        table: Ranks; NaN where a method is absent.
        cohorts: Int, (study,): 0..C-1. Fewer than ``MIN_COHORTS`` give NaN.
        n_resamples: How many.
        seed: Seed of the draw.
    """
    if len(np.unique(cohorts)) < MIN_COHORTS:
        return np.full((table.shape[1], 2), np.nan)
    counts = draw(cohorts, np.zeros_like(cohorts), n_resamples, seed).counts
    member = np.eye(cohorts.max() + 1)[cohorts]
    total = counts @ (member.T @ np.nan_to_num(table))
    n = counts @ (member.T @ ~np.isnan(table))
    means = np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)
    tail = Sampled(len(np.unique(cohorts))).tail()
    intervals = [percentile_interval(column, tail) for column in means.T]
    return np.array([[i.low, i.high] for i in intervals])


@dataclass(frozen=True)
class Friedman:
    """Whether the methods differ at all."""

    n: int
    """Studies, or cohorts."""
    n_methods: int
    chi2: float
    """With K - 1 degrees of freedom, corrected for ties."""
    p_value: float
    f: float
    """Iman and Davenport's, with K - 1 and (K - 1)(N - 1) degrees of freedom; infinite if all
    studies agree."""
    f_p_value: float


def friedman(table: Ranks) -> Friedman:
    """Friedman's chi-squared and Iman-Davenport's F.

        χ² = 12 N / (K (K + 1)) Σ_j (R_j - (K + 1) / 2)² / (1 - Σ (t³ - t) / (N K (K² - 1)))
        F = (N - 1) χ² / (N (K - 1) - χ²)

    ``R_j`` is the mean rank of method j over N studies, (method,), K the number of methods; the
    last sum runs over all groups of t tied ranks.

    Args:
        table: Ranks with ties averaged, without NaN; at least 2 studies and 3 methods.

    References:
        Friedman (1937); Iman and Davenport (1980); Demsar, JMLR 7 (2006).

    Examples:
        >>> found = friedman(np.array([[1.0, 2, 3], [1, 2, 3], [1, 3, 2], [2, 1, 3]]))
        >>> found.chi2, round(found.f, 2), round(found.p_value, 3)
        (4.5, 3.86, 0.105)
    """
    n, k = table.shape
    spread = ((table.mean(axis=0) - (k + 1) / 2) ** 2).sum()
    ties = sum(
        float((t**3 - t).sum()) for row in table for t in [np.unique(row, return_counts=True)[1]]
    )
    correction = 1 - ties / (n * k * (k**2 - 1))
    if correction <= 0:  # every study ties all methods
        return Friedman(n, k, 0.0, 1.0, 0.0, 1.0)
    chi2 = 12 * n / (k * (k + 1)) * spread / correction
    rest = n * (k - 1) - chi2
    f = (n - 1) * chi2 / rest if rest > 1e-9 * chi2 else np.inf
    return Friedman(
        n,
        k,
        float(chi2),
        float(stats.chi2.sf(chi2, k - 1)),
        float(f),
        float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))),
    )


def critical_difference(n_methods: int, n_studies: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks.

        width = q √(K (K + 1) / 6N)

    q is the 1 - alpha quantile of the studentised range of K means, divided by √2.

    Args:
        n_methods: K.
        n_studies: N.
        alpha: Level over all pairs together.

    References:
        Nemenyi (1963); Demsar (2006).

    Examples:
        >>> round(critical_difference(10, 22), 2)
        2.89
    """
    q = stats.studentized_range.ppf(1 - alpha, n_methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_studies)))


def cliques(mean_ranks: Sequence[float], width: float) -> list[tuple[int, int]]:
    """Longest runs of methods whose mean ranks lie within ``width`` of each other.

    Args:
        mean_ranks: Ascending.
        width: The critical difference.

    Returns:
        First and last position of each run of two or more; no run lies inside another.
    """
    found: list[tuple[int, int]] = []
    for start in range(len(mean_ranks)):
        end = max(
            i for i in range(start, len(mean_ranks)) if mean_ranks[i] - mean_ranks[start] <= width
        )
        if end > start and (not found or end > found[-1][1]):
            found.append((start, end))
    return found
