"""What the report draws, as arrays: ROC curves, Kaplan-Meier by risk group, the log-rank test,
disagreement.

Values agree with scikit-learn and scikit-survival, which only the tests use.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import chi2, rankdata

from pathfuse.evaluation.reliability import grouped
from pathfuse.types import PerSample

Rates = Float[np.ndarray, " point"]

GRID = np.linspace(0, 1, 201)
"""False positive rates at which the curves of folds are averaged, and long curves are drawn."""
N_BINS = 10
"""Bins of like disagreement, of equal size."""


@dataclass(frozen=True)
class Roc:
    """A ROC curve from (0, 0) to (1, 1)."""

    false_positive: Rates
    true_positive: Rates

    def at(self, rates: Rates) -> Rates:
        """True positive rates at some false positive rates, the upper end where the curve is
        vertical.
        """
        step = np.searchsorted(self.false_positive, rates, side="right") - 1
        nearest = np.minimum(step + 1, len(self.false_positive) - 1)
        x0, x1 = self.false_positive[step], self.false_positive[nearest]
        y0, y1 = self.true_positive[step], self.true_positive[nearest]
        share = np.divide(rates - x0, x1 - x0, out=np.zeros(len(rates)), where=x1 > x0)
        return y0 + share * (y1 - y0)


def roc_points(score: PerSample, positive: Bool[np.ndarray, " sample"]) -> Roc | None:
    """The corners of the ROC curve; None if one side is empty. Tied scores make one slanted step.

    Args:
        score: Float, (sample,), higher = more likely positive.
        positive: Bool, (sample,).
    """
    n_positive = int(positive.sum())
    if not 0 < n_positive < len(positive):
        return None
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last_of_tie = np.append(np.diff(score[order]) != 0, True)
    true, called = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    false = called - true
    bends = (np.diff(true, 2) != 0) | (np.diff(false, 2) != 0)
    corner = np.concatenate([[True], bends, [True]]) if len(true) > 1 else np.array([True])
    return Roc(
        np.concatenate([[0.0], false[corner] / (len(positive) - n_positive)]),
        np.concatenate([[0.0], true[corner] / n_positive]),
    )


def mean_roc(
    score: PerSample,
    positive: Bool[np.ndarray, " sample"],
    folds: Int[np.ndarray, " sample"],
    patients: Int[np.ndarray, " sample"],
) -> Roc | None:
    """The ROC curve of one fold, or the mean of the folds' curves at equal false positive rates.

    Predictions of different folds are never pooled; folds weigh by their patients, as in the
    metrics.
    """
    parts = []
    for fold in np.unique(folds):
        inside = folds == fold
        curve = roc_points(score[inside], positive[inside])
        if curve is not None:
            parts.append((len(np.unique(patients[inside])), curve))
    if len(parts) < 2:
        return parts[0][1] if parts else None
    heights = np.stack([curve.at(GRID) for _, curve in parts])
    mean = np.average(heights, axis=0, weights=[float(share) for share, _ in parts])
    return Roc(np.append(0.0, GRID), np.append(0.0, mean))


def thinned(curve: Roc) -> Roc:
    """The curve with at most as many points as an eye can distinguish."""
    if len(curve.false_positive) <= len(GRID):
        return curve
    return Roc(np.append(0.0, GRID), np.append(0.0, curve.at(GRID)))


@dataclass(frozen=True)
class Survivors:
    """A Kaplan-Meier curve."""

    times: Float[np.ndarray, " step"]
    """Distinct observed times, ascending."""
    survival: Float[np.ndarray, " step"]
    """Survival after each of them."""
    at_risk: Int[np.ndarray, " step"]
    """Patients followed up to each of them."""


def survivors(time: PerSample, event: PerSample) -> Survivors:
    """Product-limit estimate at every observed time.

    Who is censored at a time of death was at risk then.
    """
    times, index = np.unique(time, return_inverse=True)
    deaths, left = np.bincount(index, weights=event), np.bincount(index)
    at_risk = len(time) - np.concatenate([[0], np.cumsum(left)[:-1]])
    return Survivors(times, np.cumprod(1 - deaths / at_risk), at_risk.astype(np.int64))


def risk_groups(
    risk: PerSample, folds: Int[np.ndarray, " sample"], n_groups: int = 3
) -> Int[np.ndarray, " sample"]:
    """Groups of equal size by risk, 0 = lowest, cut inside each fold; equal risks share a group."""
    groups = np.zeros(len(risk), dtype=np.int64)
    for fold in np.unique(folds):
        inside = folds == fold
        share = (rankdata(risk[inside], method="average") - 0.5) / inside.sum()
        groups[inside] = np.minimum((share * n_groups).astype(np.int64), n_groups - 1)
    return groups


@dataclass(frozen=True)
class LogRank:
    """Log-rank test that groups have the same survival."""

    statistic: float
    degrees: int
    p_value: float


def log_rank(
    time: PerSample,
    event: PerSample,
    group: Int[np.ndarray, " sample"],
    strata: Int[np.ndarray, " sample"],
) -> LogRank | None:
    """Log-rank test, stratified by fold; None if there are no two groups or no event.

        χ² = dᵀ V⁺ d,        k - 1 degrees of freedom

    ``d``, (group,), are the observed minus the expected deaths of the k groups, summed over strata,
    and ``V``, (group, group), is their hypergeometric covariance; V⁺ is its pseudo-inverse.

    Args:
        time: Float, (sample,), follow-up.
        event: Float, (sample,), 1 = observed, 0 = censored.
        group: Which group each sample belongs to.
        strata: Samples are compared within these only.

    References:
        Mantel (1966); Peto and Peto (1972).

    Examples:
        >>> time, group = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])
        >>> found = log_rank(time, np.ones(4), group, strata=np.zeros(4, dtype=int))
        >>> round(found.statistic, 3), found.degrees, round(found.p_value, 3)
        (2.882, 1, 0.09)
    """
    names, member = np.unique(group, return_inverse=True)
    k = len(names)
    if k < 2 or not event.any():
        return None
    excess, covariance = np.zeros(k), np.zeros((k, k))
    for stratum in np.unique(strata):
        inside = strata == stratum
        gap, spread = _excess_deaths(time[inside], event[inside], np.eye(k)[member[inside]])
        excess += gap
        covariance += spread
    statistic = float(excess @ np.linalg.pinv(covariance) @ excess)
    return LogRank(statistic, k - 1, float(chi2.sf(statistic, k - 1)))


def _excess_deaths(
    time: PerSample, event: PerSample, member: Float[np.ndarray, "sample group"]
) -> tuple[np.ndarray, np.ndarray]:
    """Observed minus expected deaths of each group, and their covariance."""
    times, index = np.unique(time, return_inverse=True)
    deaths = np.stack([np.bincount(index, weights=own * event) for own in member.T], axis=1)
    leaving = np.stack([np.bincount(index, weights=own) for own in member.T], axis=1)
    at_risk = np.cumsum(leaving[::-1], axis=0)[::-1]
    all_deaths, all_at_risk = deaths.sum(axis=1), at_risk.sum(axis=1)
    share = at_risk / all_at_risk[:, None]
    excess = (deaths - all_deaths[:, None] * share).sum(axis=0)
    rest = np.divide(
        all_at_risk - all_deaths, all_at_risk - 1, out=np.zeros(len(times)), where=all_at_risk > 1
    )
    factor = all_deaths * rest
    return excess, np.diag((factor[:, None] * share).sum(axis=0)) - (
        share * factor[:, None]
    ).T @ share


def divergence(log_prob: Float[np.ndarray, "sample expert outcome"]) -> PerSample:
    """Jensen-Shannon divergence of the experts, in nats.

        JS = (1 / M) Σ_m Σ_c p_m(c) log(p_m(c) / p̄(c)),        p̄ = (1 / M) Σ_m p_m

    ``p_m(c)`` is expert m's probability of outcome c. 0 where the experts agree, at most log M. NaN
    where fewer than two experts scored the sample.

    Args:
        log_prob: Normalised over outcomes; NaN where an expert is absent.

    References:
        Lin (1991), Divergence measures based on the Shannon entropy.

    Examples:
        >>> divergence(np.log([[[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], [0.1, 0.9]]])).round(3)
        array([0.   , 0.368])
    """
    present = ~np.isnan(log_prob[:, :, 0])
    count = present.sum(axis=1)
    safe = np.where(present[:, :, None], log_prob, 0.0)
    prob = np.where(present[:, :, None], np.exp(safe), 0.0)
    mean = prob.sum(axis=1) / np.maximum(count, 1)[:, None]
    log_mean = np.log(np.maximum(mean, 1e-300))
    total = (prob * (safe - log_mean[:, None])).sum(axis=(1, 2))
    return np.where(count > 1, np.maximum(total, 0.0) / np.maximum(count, 1), np.nan)


def spread(mean: Float[np.ndarray, "sample expert"]) -> PerSample:
    """Standard deviation of the experts' predicted values.

    NaN where fewer than two experts scored the sample.
    """
    present = ~np.isnan(mean)
    count = np.maximum(present.sum(axis=1), 1)
    centre = np.where(present, mean, 0.0).sum(axis=1) / count
    square = np.where(present, (mean - centre[:, None]) ** 2, 0.0).sum(axis=1) / count
    return np.where(present.sum(axis=1) > 1, np.sqrt(square), np.nan)


@dataclass(frozen=True)
class BinnedMeans:
    """Means of two measures over rows that are alike in the first."""

    x: Float[np.ndarray, " bin"]
    y: Float[np.ndarray, " bin"]
    n: Int[np.ndarray, " bin"]


def binned(x: PerSample, y: PerSample) -> BinnedMeans:
    """Mean of ``y`` in bins of equal size by ``x``; rows where either is NaN are left out."""
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    groups = grouped(x, N_BINS) if len(x) else []
    return BinnedMeans(
        np.array([x[rows].mean() for rows in groups]),
        np.array([y[rows].mean() for rows in groups]),
        np.array([len(rows) for rows in groups], dtype=np.int64),
    )
