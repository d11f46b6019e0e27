"""Calibration of predicted survival: observed by expected at each edge, and D-calibration.

    O(t) = 1 - Ŝ_KM(t)          E(t) = mean_i (1 - S_i(t))          O:E = O(t) / E(t)

D-calibration: S_i(T_i) of the true times is uniform on (0, 1). In ten bins of equal width an event
counts 1 in the bin of s = S_i(T_i); a case censored at s counts (s - l) / s in the bin [l, u) that
holds s, and 0.1 / s in each bin below. χ² = Σ_b (n_b - n / 10)² / (n / 10), nine degrees of freedom.
S_i is linear between edges; who is followed beyond the last finite edge is censored there.

References:
    Haider et al. (JMLR 21, 2020).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import chi2

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.evaluation.metrics.base import RowWeights
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.types import LogProbs, PerSample

N_BINS = 10
"""Of D-calibration."""


def weighted_kaplan_meier(
    time: PerSample, event: PerSample, at: Float[np.ndarray, " edge"], weights: RowWeights
) -> Float[np.ndarray, "resample edge"]:
    """Product-limit estimate of survival at some times, of every resample.

    Who is censored at a time of death was at risk then. NaN where nobody is followed that far.
    """
    order = np.argsort(time, kind="stable")
    times, starts = np.unique(time[order], return_index=True)
    ordered = weights[:, order]
    leaving = np.add.reduceat(ordered, starts, axis=1)
    deaths = np.add.reduceat(ordered * event[order], starts, axis=1)
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    share = np.divide(deaths, at_risk, out=np.zeros_like(deaths), where=at_risk > 0)
    survival = np.concatenate([np.ones((len(weights), 1)), np.cumprod(1 - share, axis=1)], axis=1)
    followed = np.concatenate([at_risk, np.zeros((len(weights), 1))], axis=1)
    found = survival[:, np.searchsorted(times, at, side="right")]
    return np.where(followed[:, np.searchsorted(times, at, side="left")] > 0, found, np.nan)


@dataclass(frozen=True)
class EdgeCalibration:
    """Rows of one predictor at the finite edges inside the follow-up."""

    log_prob: LogProbs
    truth: SurvivalTruth

    @property
    def bins(self) -> Int[np.ndarray, " edge"]:
        """Numbers from 1 of the bins that end at these edges."""
        edges, last = self.truth.edges, self.truth.time.max(initial=-np.inf)
        inside = np.isfinite(edges) & (edges < last)
        return np.flatnonzero(inside[1:]) + 1

    @property
    def edges(self) -> Float[np.ndarray, " edge"]:
        """The edges."""
        return np.asarray(self.truth.edges[self.bins])

    def values(
        self, weights: RowWeights
    ) -> tuple[Float[np.ndarray, "resample edge"], Float[np.ndarray, "resample edge"]]:
        """Observed and expected share with an event by each edge, of every resample."""
        risk = 1 - survival_at_edges(self.log_prob)[:, self.bins - 1]
        observed = 1 - weighted_kaplan_meier(self.truth.time, self.truth.event, self.edges, weights)
        return observed, weights @ risk / np.maximum(weights.sum(axis=1), 1e-300)[:, None]


def survival_at_own_time(log_prob: LogProbs, truth: SurvivalTruth) -> tuple[PerSample, PerSample]:
    """S_i(T_i), and whether the event was observed until the last finite edge.

    Examples:
        >>> truth = SurvivalTruth(np.array([5.0, 30.0]), np.ones(2), np.array([0.0, 10.0, 20.0]), ())
        >>> log_prob = np.log([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3]])
        >>> survived, event = survival_at_own_time(log_prob, truth)
        >>> survived.round(3).tolist(), event.tolist()
        ([0.8, 0.3], [1.0, 0.0])
    """
    edges = truth.edges[np.isfinite(truth.edges)]
    n = len(log_prob)
    survival = np.concatenate([np.ones((n, 1)), survival_at_edges(log_prob)], axis=1)
    time = np.minimum(truth.time, edges[-1])
    k = np.clip(np.searchsorted(edges, time, side="left"), 1, max(len(edges) - 1, 1))
    if len(edges) < 2:
        return np.ones(n), np.zeros(n)
    share = np.clip((time - edges[k - 1]) / (edges[k] - edges[k - 1]), 0.0, 1.0)
    rows = np.arange(n)
    survived = (1 - share) * survival[rows, k - 1] + share * survival[rows, k]
    return survived, np.where(truth.time > edges[-1], 0.0, truth.event)


@dataclass(frozen=True)
class DCalibration:
    """The test of D-calibration."""

    statistic: float
    p_value: float
    share: Float[np.ndarray, " bin"]
    """Of the patients in each bin of S, from [0, 0.1) to [0.9, 1]; 0.1 each if calibrated."""


def d_calibration(
    survived: PerSample, event: PerSample, patients: Int[np.ndarray, " sample"]
) -> DCalibration:
    """Whether S_i(T_i) is uniform.

    Rows of one patient share its weight of 1, so that n is the number of patients.

    Args:
        survived: Float, (sample,), S_i(T_i).
        event: Float, (sample,), 1 = observed, 0 = censored.
        patients: Whose rows.

    Examples:
        >>> middles = np.arange(0.05, 1, 0.1)
        >>> d_calibration(middles, np.ones(10), np.arange(10)).statistic
        0.0
    """
    member, count = np.unique(patients, return_inverse=True, return_counts=True)[1:]
    weight = 1 / count[member]
    bounds = np.linspace(0, 1, N_BINS + 1)
    own = np.clip(np.searchsorted(bounds, survived, side="right") - 1, 0, N_BINS - 1)
    safe = np.maximum(survived, 1e-300)[:, None]
    inside = own[:, None] == np.arange(N_BINS)
    spread = np.where(own[:, None] > np.arange(N_BINS), 1 / N_BINS / safe, 0.0)
    spread += np.where(inside, (safe - bounds[:-1]) / safe, 0.0)
    spread[survived <= 0] = inside[survived <= 0]
    counts = weight @ np.where(event[:, None] == 1, inside, spread)
    expected = counts.sum() / N_BINS
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return DCalibration(statistic, float(chi2.sf(statistic, N_BINS - 1)), counts / counts.sum())
