"""Figures of calibration under row weights: of one outcome against the others, and of numbers.

    slope a + b logit p        ``slope``, ``intercept_of_slope``: logistic recalibration
    a + logit p                ``intercept``: calibration in the large, slope fixed at 1
    Σ y / Σ p                  ``observed_to_expected``
    mean |p - c|, MCB, DSC     ``ici``, ``reliability``, ``resolution``: see ``corp``

p is the predicted probability of the outcome, y whether it happened, (sample,). Of a number the
truth is a + b times the predicted mean, and ``intercept`` the mean of truth minus prediction.

References:
    Cox (1958); Van Calster et al. (2019); Dimitriadis, Gneiting and Jordan (2021).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit, logsumexp, ndtr

from pathfuse.evaluation.corp import FIGURES, Corp
from pathfuse.evaluation.estimates import Estimate
from pathfuse.evaluation.intervals import NO_INTERVAL, Interval, Sampled
from pathfuse.evaluation.metrics.base import RowWeights, Values, ratio
from pathfuse.evaluation.slope import LinearSlope, LogisticSlope
from pathfuse.types import LogProbs, PerSample

NO_INTERVALS = ("ici", "reliability", "resolution")
"""Isotonic regression makes these larger by chance, and once more in resamples, which hold rows
several times: nominal 95 % intervals of 200 and 600 made-up rows covered .00 to .95 of the true
values, so there are none. What chance alone shows stands next to them."""
N_CALIBRATED = 30
"""Draws of outcomes from the predictions themselves."""
QUANTILES = (0.1, 0.5, 0.9)
"""Of a predicted normal distribution, below which as large a share of the truth should lie."""


def log_odds(log_prob: LogProbs, outcome: int) -> PerSample:
    """Of one outcome against all others.

    Examples:
        >>> log_odds(np.log([[0.8, 0.1, 0.1]]), 0).round(3)  # log 4
        array([1.386])
    """
    others = np.delete(log_prob, outcome, axis=1)
    return np.asarray(log_prob[:, outcome] - logsumexp(others, axis=1))


@dataclass(frozen=True)
class OutcomeCalibration:
    """Rows of one outcome: its predicted log-odds, and whether it happened."""

    log_odds: PerSample
    happened: PerSample

    @cached_property
    def prob(self) -> PerSample:
        """Predicted probability."""
        return np.asarray(expit(self.log_odds))

    @cached_property
    def corp(self) -> Corp:
        """The isotonic fit."""
        return Corp(self.prob, self.happened)

    @cached_property
    def logistic(self) -> LogisticSlope:
        """The logistic fit."""
        n = len(self.log_odds)
        return LogisticSlope(self.log_odds, self.happened, np.ones(n), np.arange(n))

    def values(
        self, weights: RowWeights, grid: Float[np.ndarray, " point"]
    ) -> tuple[dict[str, Values], Float[np.ndarray, "resample point"]]:
        """Every figure of every resample, NaN where it does not define one; and the curve's points."""
        line = self.logistic.line(weights)
        split, curves = self.corp.values(weights, grid)
        found = {
            "slope": line[:, 1],
            "intercept_of_slope": line[:, 0],
            "intercept": self.logistic.level(weights),
            "observed_to_expected": ratio(weights @ self.happened, weights @ self.prob),
        }
        return found | dict(zip(FIGURES, split.T, strict=True)), curves

    def if_calibrated(self, patients: Int[np.ndarray, " sample"], seed: int) -> dict[str, float]:
        """Mean ICI and reliability of predictions like these if they were perfectly calibrated.

        Outcomes are drawn from the predictions; rows of one patient alike, if the patient's outcomes
        are.
        """
        rng = np.random.default_rng([seed, len(self.prob)])
        member = np.unique(patients, return_inverse=True)[1]
        share = np.bincount(member, weights=self.happened) / np.bincount(member)
        alike = np.isin(share, (0.0, 1.0)).all()
        chance = rng.random((N_CALIBRATED, len(share) if alike else len(self.prob)))
        drawn = (chance[:, member] if alike else chance) < self.prob
        each = self.corp.of_other_outcomes(drawn.astype(np.float64))
        mean = dict(zip(FIGURES, each.mean(axis=0).tolist(), strict=True))
        return {f"{name}_if_calibrated": mean[name] for name in ("ici", "reliability")}


@dataclass(frozen=True)
class NumberCalibration:
    """Rows of one target: predicted mean and variance, and the truth."""

    moments: Float[np.ndarray, "sample two"]
    truth: PerSample

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every figure of every resample; NaN where it does not define one."""
        mean, variance = self.moments.T
        line = LinearSlope(mean, self.truth).line(weights)
        total = weights.sum(axis=1)
        reached = ndtr((self.truth - mean) / np.sqrt(variance))
        unknown = np.isnan(reached)  # no variance was predicted
        below = {
            f"below_q{100 * q:.0f}": np.where(unknown, np.nan, (reached <= q).astype(np.float64))
            for q in QUANTILES
        }
        return {
            "slope": line[:, 1],
            "intercept_of_slope": line[:, 0],
            "intercept": ratio(weights @ (self.truth - mean), total),
            **{name: ratio(weights @ there, total) for name, there in below.items()},
        }


def interval_of(name: str, values: Values, sampled: Sampled, kind: str) -> Interval:
    """The 95 % interval of a figure.

    Args:
        name: Of the figure; see ``NO_INTERVALS``.
        values: Float, (1 + resample,), the value on all rows, then on each resample.
        sampled: How many patients there are.
        kind: One of ``intervals.KINDS``.
    """
    point = float(values[0])
    if len(values) < 2 or np.isnan(point) or name in NO_INTERVALS:
        return NO_INTERVAL
    n = len(values) - 1
    return Estimate(values[:, None], np.ones(1), n, sampled).interval(kind)


def enough_of_both(happened: Bool[np.ndarray, " sample"], patients: np.ndarray) -> bool:
    """Whether at least two patients have the outcome, and two have another: fewer allow no interval."""
    return all(len(np.unique(patients[side])) >= 2 for side in (happened, ~happened))


def stacked(parts: Iterable[dict[str, Values]]) -> dict[str, Values]:
    """Figures of several chunks of resamples as one."""
    chunks = list(parts)
    return {name: np.concatenate([one[name] for one in chunks]) for name in chunks[0]}
