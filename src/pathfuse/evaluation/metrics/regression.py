"""Metrics of one continuous target under row weights: all of them are weighted moments, so a
resample is a product.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values
from pathfuse.evaluation.metrics.classification import NLL
from pathfuse.evaluation.scales import FISHER, LOG, PLAIN, UNEXPLAINED
from pathfuse.types import PerSample


@dataclass(frozen=True)
class RegressionScores:
    """What the metrics need of one predictor's rows."""

    moments: Float[np.ndarray, "sample two"]
    """Mean and variance."""
    truth: PerSample

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of a continuous target."""
        return METRICS

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every metric of every resample; NaN where a resample does not define it.

        Args:
            weights: Float, (resample, sample), non-negative.
        """
        weighted = WeightedTarget(self, weights)
        return {metric.name: metric.function(weighted) for metric in METRICS}


@dataclass(frozen=True)
class WeightedTarget:
    """One predictor's rows on some resamples, and what several metrics share."""

    rows: RegressionScores
    weights: RowWeights

    @property
    def mean(self) -> PerSample:
        """What is predicted."""
        return self.rows.moments[:, 0]

    @cached_property
    def total(self) -> Values:
        """Rows drawn."""
        return np.asarray(np.maximum(self.weights.sum(axis=1), 1e-300))

    @cached_property
    def error(self) -> PerSample:
        """Squared error of each row."""
        return np.asarray((self.rows.truth - self.mean) ** 2)

    @cached_property
    def mse(self) -> Values:
        """Mean squared error."""
        return np.asarray(self.weights @ self.error / self.total)

    @property
    def nll(self) -> Values:
        """Of a normal distribution, in nats: mean of ½ (log 2πv + (y - μ)² / v)."""
        variance = self.rows.moments[:, 1]
        loss = 0.5 * (np.log(2 * np.pi * variance) + self.error / variance)
        return np.asarray(self.weights @ loss / self.total)

    @property
    def r2(self) -> Values:
        """1 - MSE / (variance of the truth); NaN where the truth does not vary."""
        spread = _moments(self.rows.truth, self.rows.truth, self.weights)[0]
        return np.where(spread > 0, 1 - self.mse / np.maximum(spread, 1e-300), np.nan)


def _moments(a: PerSample, b: PerSample, weights: RowWeights) -> tuple[Values, Values, Values]:
    """Weighted covariance of a and b, and their variances."""
    a, b = a - a.mean(), b - b.mean()
    total = np.maximum(weights.sum(axis=1), 1e-300)
    table = weights @ np.stack([a, b, a * b, a * a, b * b], axis=1) / total[:, None]
    mean_a, mean_b, ab, aa, bb = table.T
    return ab - mean_a * mean_b, aa - mean_a**2, bb - mean_b**2


def _correlation(a: PerSample, b: PerSample, weights: RowWeights) -> Values:
    """Pearson's r = cov(a, b) / √(var(a) var(b)); of ranks, taken once of all rows, Spearman's ρ."""
    covariance, spread_a, spread_b = _moments(a, b, weights)
    flat = (spread_a <= 1e-12 * max(float(np.var(a)), 1e-300)) | (
        spread_b <= 1e-12 * max(float(np.var(b)), 1e-300)
    )
    bottom = np.sqrt(np.where(flat, 1.0, spread_a * spread_b))
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    return np.where(flat | constant, np.nan, covariance / bottom)


CONSTANT = "is undefined: the predictions or the truth do not vary"
NO_CORRELATION = "constant values: no correlation"

GAUSSIAN_NLL = replace(
    NLL, function=lambda w: w.nll, scale=PLAIN,
    undefined="is undefined: it gives no standard deviation, and there is no fit row to take one from",
)  # fmt: skip
PEARSON = Metric(
    "pearson", "Pearson r", "correlation of predicted and observed values",
    lambda w: _correlation(w.mean, w.rows.truth, w.weights), undefined=CONSTANT, undefined_at_site=NO_CORRELATION,
    scale=FISHER, principal=True, chance=0.0,
)  # fmt: skip
SPEARMAN = Metric(
    "spearman", "Spearman ρ", "correlation of their ranks",
    lambda w: _correlation(rankdata(w.mean), rankdata(w.rows.truth), w.weights), undefined=CONSTANT,
    undefined_at_site=NO_CORRELATION, scale=FISHER,
)  # fmt: skip
RMSE = Metric(
    "rmse", "RMSE", "root mean squared error, in the unit of the target",
    lambda w: np.sqrt(w.mse), undefined=CONSTANT, lower_is_better=True, scale=LOG, on_a_scale=True,
)  # fmt: skip
R2 = Metric(
    "r2", "R²", "share of the target's variance that is explained",
    lambda w: w.r2, undefined=CONSTANT, scale=UNEXPLAINED,
)  # fmt: skip

METRICS = (GAUSSIAN_NLL, PEARSON, SPEARMAN, RMSE, R2)
