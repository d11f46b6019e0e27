"""Two methods over many studies: the signed-rank test and its estimate of the difference.

See docs/design/statistics.md, section 8.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from pathfuse.evaluation.multiplicity import holm
from pathfuse.evaluation.ranking import cohort_means

EXACT_UP_TO = 200
"""Differences up to which the interval uses the exact distribution of the signed-rank sum."""
COUNTED_UP_TO = 13
"""Differences up to which ties and zeros do not make the test approximate (scipy's limit)."""
GRAIN = 1e-12
"""Differences are rounded to this share of the values, so that 0.3 - 0.2 and 0.8 - 0.7 tie."""


@dataclass(frozen=True)
class Shift:
    """How far one method lies above another, over studies."""

    median: float
    """Hodges-Lehmann: the median of all pairwise means of the differences; NaN without a
    difference."""
    low: float
    """95 % interval by inversion of the signed-rank test; NaN below 6 differences, where no such
    interval exists."""
    high: float


def hodges_lehmann(differences: Float[np.ndarray, " study"], level: float = 0.95) -> Shift:
    """The median difference that the signed-rank test rejects least, and all it does not reject.

        shift = median over i ≤ j of (d_i + d_j) / 2        interval = (a_(k), a_(N + 1 - k))

    ``d`` are the differences, (study,), ``a_(1) ≤ ... ≤ a_(N)`` their N pairwise means in order, and
    k - 1 the largest signed-rank sum with a lower tail of at most (1 - level) / 2.

    Args:
        differences: Float, (study,), without NaN.
        level: Of the interval; the exact distribution keeps it at least.

    References:
        Hodges and Lehmann, Annals of Mathematical Statistics 34 (1963).

    Examples:
        >>> shift = hodges_lehmann(np.array([0.01, 0.02, 0.03, 0.05, 0.06, 0.10]))
        >>> round(shift.median, 3), round(shift.low, 3), round(shift.high, 3)
        (0.04, 0.01, 0.1)
    """
    n = len(differences)
    if not n:
        return Shift(np.nan, np.nan, np.nan)
    first, second = np.triu_indices(n)
    means = np.sort((differences[first] + differences[second]) / 2)
    k = _rejected_below(n, (1 - level) / 2)
    low, high = (float(means[k - 1]), float(means[len(means) - k])) if k else (np.nan, np.nan)
    return Shift(float(np.median(means)), low, high)


@lru_cache(maxsize=256)
def _rejected_below(n: int, tail: float) -> int:
    """How many of the smallest signed-rank sums of n differences fit into one tail."""
    if n > EXACT_UP_TO:
        centre, spread = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return int(np.floor(centre - 0.5 - stats.norm.isf(tail) * spread)) + 1
    return int((np.cumsum(_chances(np.arange(1, n + 1))) <= tail).sum())


def _chances(ranks: Int[np.ndarray, " rank"]) -> Float[np.ndarray, " sum"]:
    """How likely each sum of ranks is, from 0 up, when every rank counts with chance one half."""
    chance = np.zeros(ranks.sum() + 1)
    chance[0] = 1.0
    for rank in ranks:
        shifted = np.zeros_like(chance)
        shifted[rank:] = chance[: len(chance) - rank]
        chance = (chance + shifted) / 2
    return chance


def signed_rank_p(differences: Float[np.ndarray, " study"]) -> float:
    """Wilcoxon's signed-rank test, two-sided; zeros are ranked and then dropped (Pratt).

        W = Σ of the ranks of |d_i| over d_i > 0        p = 2 min(P(W' ≤ W), P(W' ≥ W)), at most 1

    ``d`` are the differences, (study,); W' is the sum when every sign is a fair coin. Scipy's test,
    except that few differences with ties or zeros are enumerated here, which takes scipy seconds
    per pair.

    Args:
        differences: Float, (study,), without NaN.

    Returns:
        The p-value: 1 if all differences are 0, NaN for fewer than 2.

    References:
        Wilcoxon (1945); Pratt (1959).

    Examples:
        >>> signed_rank_p(np.array([0.01, 0.02, 0.03, 0.05, 0.06, 0.10]))
        0.03125
    """
    if len(differences) < 2:
        return float("nan")
    if not differences.any():
        return 1.0
    sizes = np.abs(differences)
    if len(differences) <= COUNTED_UP_TO and (
        len(np.unique(sizes)) < len(sizes) or not sizes.all()
    ):
        return _counted_p(differences)
    return float(stats.wilcoxon(differences, zero_method="pratt", alternative="two-sided").pvalue)


def _counted_p(differences: Float[np.ndarray, " study"]) -> float:
    """The same over all signs that the differences could have had."""
    doubled = np.rint(2 * stats.rankdata(np.abs(differences))).astype(
        int
    )  # midranks become whole numbers
    chance = _chances(doubled[differences != 0])
    seen = doubled[differences > 0].sum()
    return float(min(1.0, 2 * min(chance[: seen + 1].sum(), chance[seen:].sum())))


@dataclass(frozen=True)
class PairedStudies:
    """One method minus another, on the studies that have both, and again with cohorts as the unit."""

    method: int
    """Column."""
    reference: int
    n: int
    """Studies that have both."""
    shift: Shift
    wins: int
    """Studies in which the method is better."""
    ties: int
    losses: int
    p_value: float
    n_cohorts: int
    shift_cohorts: Shift
    """Of the differences averaged inside each cohort."""
    p_value_cohorts: float


def compare(
    values: Float[np.ndarray, "study method"],
    pair: tuple[int, int],
    cohorts: Int[np.ndarray, " study"],
    *,
    higher_is_better: bool,
) -> PairedStudies:
    """Compares two columns, complete cases only.

    Args:
        values: The metric as published; NaN where a method is absent.
        pair: Columns of method and reference.
        cohorts: Int, (study,). Studies that share one are averaged first, and count once.
        higher_is_better: Which sign of a difference is a win.
    """
    both = ~np.isnan(values[:, list(pair)]).any(axis=1)
    one, other = values[both][:, pair[0]], values[both][:, pair[1]]
    size = max(np.abs(one).max(initial=0.0), np.abs(other).max(initial=0.0))
    differences = _rounded(one - other, size)
    clustered = differences
    if both.any():
        members = np.unique(cohorts[both], return_inverse=True)[1]
        clustered = _rounded(cohort_means(differences[:, None], members)[:, 0], size)
    gains = differences if higher_is_better else -differences
    return PairedStudies(
        *pair,
        n=len(differences),
        shift=hodges_lehmann(differences),
        wins=int((gains > 0).sum()),
        ties=int((gains == 0).sum()),
        losses=int((gains < 0).sum()),
        p_value=signed_rank_p(differences),
        n_cohorts=len(clustered),
        shift_cohorts=hodges_lehmann(clustered),
        p_value_cohorts=signed_rank_p(clustered),
    )


def _rounded(differences: np.ndarray, size: float) -> np.ndarray:
    grain = size * GRAIN
    return np.round(differences / grain) * grain if grain else differences


def holm_over(
    pairs: list[PairedStudies],
) -> tuple[Float[np.ndarray, " pair"], Float[np.ndarray, " pair"]]:
    """Holm-adjusted p-values over all pairs, by study and by cohort."""
    return holm(np.array([p.p_value for p in pairs])), holm(
        np.array([p.p_value_cohorts for p in pairs])
    )
