"""Metrics of one continuous target under row weights: all of them are weighted moments, so a
resample is a product.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from pathfuse.evaluation.metrics.base import Means, Metric, OfSections, ScoresOfMeans, Values
from pathfuse.evaluation.metrics.classification import NLL
from pathfuse.evaluation.scales import FISHER, LOG, PLAIN, UNEXPLAINED
from pathfuse.types import PerSample

Pair = tuple[PerSample, PerSample]


@dataclass(frozen=True)
class RegressionScores(ScoresOfMeans, OfSections):
    """What the metrics need of one predictor's rows."""

    moments: Float[np.ndarray, "sample two"]
    """Mean and variance."""
    truth: PerSample
    sections: Int[np.ndarray, " sample"] | None = None
    """The section of each row; all rows of one are drawn together."""

    def within(self, sections: Int[np.ndarray, " sample"]) -> "RegressionScores":
        """See ``OfSections``."""
        return replace(self, sections=sections)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of a continuous target."""
        return PLAIN_METRICS if self.sections is None else METRICS

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
    def least(self) -> tuple[float, float]:
        """See ``_least``, of values."""
        return _least(self.pair)

    @cached_property
    def least_of_ranks(self) -> tuple[float, float]:
        """See ``_least``, of ranks."""
        return _least(self.ranks)

    @cached_property
    def columns(self) -> Float[np.ndarray, "column sample"]:
        """Loss and squared error of each row, then the products of values, then those of ranks."""
        mean, variance = self.moments.T
        error = (self.truth - mean) ** 2
        loss = 0.5 * (np.log(2 * np.pi * variance) + error / variance)
        inside = [] if self.sections is None else _of_sections(*self.pair, self.sections)
        return np.stack([loss, error, *_products(self.pair), *_products(self.ranks), *inside])

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
        return _correlation(self.rows.least, self.means[2:7])

    @property
    def spearman(self) -> Values:
        """Correlation of their ranks."""
        return _correlation(self.rows.least_of_ranks, self.means[7:12])

    @property
    def pearson_within(self) -> Values:
        """Mean over sections of the correlation inside each, as often as each is drawn."""
        total, share = self.means[12:14]
        return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)


def _of_sections(
    predicted: PerSample, truth: PerSample, sections: Int[np.ndarray, " sample"]
) -> list[PerSample]:
    """Two columns whose sums over rows are the sum of the sections' correlations, and their number.

    r_s / n_s and 1 / n_s    for each of the n_s rows of section s; 0 where r_s is undefined
    """
    member = np.unique(sections, return_inverse=True)[1]
    count = np.bincount(member)

    def mean(x: PerSample) -> PerSample:
        return np.asarray((np.bincount(member, x) / count)[member])

    a, b = predicted - mean(predicted), truth - mean(truth)
    size = np.maximum(mean(predicted**2) * mean(truth**2), 1e-300)
    spread = mean(a * a) * mean(b * b)
    defined = spread > FLAT * size
    r = np.where(defined, mean(a * b) / np.sqrt(np.where(defined, spread, 1.0)), 0.0)
    return [r / count[member], defined / count[member]]


def _products(pair: Pair) -> list[PerSample]:
    """Two columns about their means, and their products: what a correlation is made of."""
    a, b = pair[0] - pair[0].mean(), pair[1] - pair[1].mean()
    return [a, b, a * b, a * a, b * b]


def _least(pair: Pair) -> tuple[float, float]:
    """The weighted variances up to which a column counts as constant; infinite where it is."""
    a, b = (np.inf if np.ptp(x) == 0 else 1e-12 * max(float(np.var(x)), 1e-300) for x in pair)
    return a, b


def _correlation(least: tuple[float, float], means: Float[np.ndarray, "five resample"]) -> Values:
    """Pearson's r = cov(a, b) / √(var(a) var(b)); of ranks, taken once of all rows, Spearman's ρ.

    Args:
        least: Of ``_least``.
        means: Weighted means of ``_products``.
    """
    mean_a, mean_b, ab, aa, bb = means
    covariance, spread_a, spread_b = ab - mean_a * mean_b, aa - mean_a**2, bb - mean_b**2
    flat = (spread_a <= least[0]) | (spread_b <= least[1])
    bottom = np.sqrt(np.where(flat, 1.0, spread_a * spread_b))
    return np.where(flat, np.nan, covariance / bottom)


FLAT = 1e-20
"""Product of two variances, as a share of that of the mean squares, below which one is 0."""
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
PEARSON_WITHIN = Metric(
    "pearson_within", "Pearson r within sections",
    "mean over sections of the correlation of predicted and observed values inside each",
    lambda w: w.pearson_within, undefined="is undefined: in no section do both predictions and truth vary",
    undefined_at_site=NO_CORRELATION, scale=FISHER, brief=False,
)  # fmt: skip

PLAIN_METRICS = (GAUSSIAN_NLL, PEARSON, SPEARMAN, RMSE, R2)
"""Those that need no sections."""
METRICS = (*PLAIN_METRICS, PEARSON_WITHIN)
