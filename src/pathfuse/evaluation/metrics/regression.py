"""Metrics of one continuous target under row weights: all of them are weighted moments, so a
resample is a product.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from pathfuse.evaluation.metrics.base import Means, Metric, ScoresOfMeans, Values
from pathfuse.evaluation.metrics.classification import NLL
from pathfuse.evaluation.scales import FISHER, LOG, PLAIN, UNEXPLAINED
from pathfuse.types import PerSample

Pair = tuple[PerSample, PerSample]


@dataclass(frozen=True)
class RegressionScores(ScoresOfMeans):
    """What the metrics need of one predictor's rows."""

    moments: Float[np.ndarray, "sample two"]
    """Mean and variance."""
    truth: PerSample

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of a continuous target."""
        return METRICS

    @property
    def pair(self) -> Pair:
        """What is predicted, and the truth."""
        return self.moments[:, 0], self.truth

    @cached_property
    def ranks(self) -> Pair:
        """Their ranks among all rows."""
        predicted, observed = rankdata(np.stack(self.pair), axis=1)
        return predicted, observed

    @cached_property
    def columns(self) -> Float[np.ndarray, "column sample"]:
        """Loss and squared error of each row, then the products of values, then those of ranks."""
        mean, variance = self.moments.T
        error = (self.truth - mean) ** 2
        loss = 0.5 * (np.log(2 * np.pi * variance) + error / variance)
        return np.stack([loss, error, *_products(self.pair), *_products(self.ranks)])

    def of_means(self, means: Means) -> dict[str, Values]:
        """See ``ScoresOfMeans``."""
        weighted = WeightedTarget(self, means)
        return {metric.name: metric.function(weighted) for metric in self.metrics}


@dataclass(frozen=True)
class WeightedTarget:
    """One predictor's rows on some resamples."""

    rows: RegressionScores
    means: Means
    """Weighted means of ``RegressionScores.columns``: all that a resample changes."""

    @property
    def nll(self) -> Values:
        """Of a normal distribution, in nats: mean of ½ (log 2πv + (y - μ)² / v)."""
        return self.means[0]

    @property
    def mse(self) -> Values:
        """Mean squared error."""
        return self.means[1]

    @property
    def r2(self) -> Values:
        """1 - MSE / (variance of the truth); NaN where the truth does not vary."""
        spread = self.means[6] - self.means[3] ** 2
        return np.where(spread > 0, 1 - self.mse / np.maximum(spread, 1e-300), np.nan)

    @property
    def pearson(self) -> Values:
        """Correlation of predicted and observed values."""
        return _correlation(self.rows.pair, self.means[2:7])

    @property
    def spearman(self) -> Values:
        """Correlation of their ranks."""
        return _correlation(self.rows.ranks, self.means[7:12])


def _products(pair: Pair) -> list[PerSample]:
    """Two columns about their means, and their products: what a correlation is made of."""
    a, b = pair[0] - pair[0].mean(), pair[1] - pair[1].mean()
    return [a, b, a * b, a * a, b * b]


def _correlation(pair: Pair, means: Float[np.ndarray, "five resample"]) -> Values:
    """Pearson's r = cov(a, b) / √(var(a) var(b)); of ranks, taken once of all rows, Spearman's ρ.

    Args:
        pair: The two columns.
        means: Weighted means of ``_products``.
    """
    a, b = pair
    mean_a, mean_b, ab, aa, bb = means
    covariance, spread_a, spread_b = ab - mean_a * mean_b, aa - mean_a**2, bb - mean_b**2
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
    lambda w: w.pearson, undefined=CONSTANT, undefined_at_site=NO_CORRELATION,
    scale=FISHER, principal=True, chance=0.0,
)  # fmt: skip
SPEARMAN = Metric(
    "spearman", "Spearman ρ", "correlation of their ranks",
    lambda w: w.spearman, undefined=CONSTANT,
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
