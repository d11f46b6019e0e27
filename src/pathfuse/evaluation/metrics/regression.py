"""Metrics of one continuous target under row weights: all of them are weighted moments, so a
resample is a product.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from pathfuse.evaluation.metrics.base import (
    Means,
    Metric,
    OfSections,
    ScoresOfMeans,
    Values,
    ValuesOfMeans,
)
from pathfuse.evaluation.metrics.classification import NLL
from pathfuse.evaluation.scales import FISHER, LOG, PLAIN, UNEXPLAINED
from pathfuse.types import PerSample

Rows = Float[np.ndarray, "predictor sample"]
ByPredictor = Float[np.ndarray, "predictor resample"]


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

    @classmethod
    def together(cls, scores: Sequence["RegressionScores"]) -> "PredictorsOfTarget":
        """See ``ScoresOfMeans``; the truth is ranked and averaged once."""
        return PredictorsOfTarget(tuple(scores))


@dataclass(frozen=True)
class PredictorsOfTarget(ValuesOfMeans):
    """Predictors of the same rows of one target; those that predict the same count once."""

    scores: tuple[RegressionScores, ...]

    @cached_property
    def _number(self) -> list[int]:
        """Of each predictor the position of its predictions among the distinct ones."""
        first: dict[bytes, int] = {}
        return [first.setdefault(one.moments.tobytes(), len(first)) for one in self.scores]

    @cached_property
    def _distinct(self) -> list[RegressionScores]:
        return [self.scores[self._number.index(k)] for k in range(max(self._number) + 1)]

    @cached_property
    def predicted(self) -> Rows:
        """The means that are predicted, of the distinct predictors."""
        return np.stack([one.moments[:, 0] for one in self._distinct])

    @cached_property
    def ranks(self) -> Rows:
        """Ranks of the predicted means among all rows; those of the truth come last."""
        from scipy.stats import rankdata  # not at the top: predict does without

        return np.asarray(rankdata(np.vstack([self.predicted, self.scores[0].truth]), axis=1))

    @cached_property
    def least(self) -> tuple[ByPredictor, ByPredictor]:
        """See ``_least``, of values."""
        return _least(self.predicted), _least(self.scores[0].truth[None])

    @cached_property
    def least_of_ranks(self) -> tuple[ByPredictor, ByPredictor]:
        """See ``_least``, of ranks."""
        return _least(self.ranks[:-1]), _least(self.ranks[-1:])

    @cached_property
    def columns(self) -> Float[np.ndarray, "column sample"]:
        """The products of the truth's values, and of its ranks; then predictor by predictor loss
        and squared error, the products of values, those of ranks, and what sections need.
        """
        truth, ranks = self.scores[0].truth, self.ranks
        variance = np.stack([one.moments[:, 1] for one in self._distinct])
        error = (truth - self.predicted) ** 2
        loss = 0.5 * (np.log(2 * np.pi * variance) + error / variance)
        centred, centred_ranks = truth - truth.mean(), ranks[-1] - ranks[-1].mean()
        of_truth = [_squares(centred), _squares(centred_ranks)]
        own = [
            loss,
            error,
            *_products(self.predicted, centred),
            *_products(ranks[:-1], centred_ranks),
        ]
        sections = self.scores[0].sections
        if sections is not None:
            inside = [_of_sections(one, truth, sections) for one in self.predicted]
            own += [np.stack(column) for column in zip(*inside, strict=True)]
        return np.concatenate([*of_truth, *own])

    def of_means(self, means: Means) -> list[dict[str, Values]]:
        """See ``ValuesOfMeans``."""
        of_truth, own = means[:4], means[4:].reshape(-1, len(self.predicted), means.shape[1])
        weighted = WeightedTarget(self, of_truth, own)
        found = {metric.name: metric.function(weighted) for metric in self.scores[0].metrics}
        return [{name: values[k] for name, values in found.items()} for k in self._number]


@dataclass(frozen=True)
class WeightedTarget:
    """Predictors' rows on some resamples; what a metric is has a row per predictor."""

    rows: PredictorsOfTarget
    of_truth: Float[np.ndarray, "four resample"]
    """Weighted means of the truth's columns."""
    own: Float[np.ndarray, "column predictor resample"]
    """Weighted means of the predictors' columns: with those, all that a resample changes."""

    @property
    def nll(self) -> ByPredictor:
        """Of a normal distribution, in nats: mean of ½ (log 2πv + (y - μ)² / v)."""
        return self.own[0]

    @property
    def mse(self) -> ByPredictor:
        """Mean squared error."""
        return self.own[1]

    @property
    def r2(self) -> ByPredictor:
        """1 - MSE / (variance of the truth); NaN where the truth does not vary."""
        spread = self.of_truth[1] - self.of_truth[0] ** 2
        return np.where(spread > 0, 1 - self.mse / np.maximum(spread, 1e-300), np.nan)

    @property
    def pearson(self) -> ByPredictor:
        """Correlation of predicted and observed values."""
        return _correlation(self.rows.least, self.own[2:5], self.of_truth[:2])

    @property
    def spearman(self) -> ByPredictor:
        """Correlation of their ranks."""
        return _correlation(self.rows.least_of_ranks, self.own[5:8], self.of_truth[2:])

    @property
    def pearson_within(self) -> ByPredictor:
        """Mean over sections of the correlation inside each, as often as each is drawn."""
        total, share = self.own[8:10]
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


def _squares(centred: PerSample) -> Float[np.ndarray, "two sample"]:
    """Values about their mean, and their squares."""
    return np.stack([centred, centred * centred])


def _products(predicted: Rows, truth: PerSample) -> tuple[Rows, Rows, Rows]:
    """Predictions about their means, times the truth about its own, and squared: with
    ``_squares`` of the truth what a correlation is made of.
    """
    a = predicted - predicted.mean(axis=1, keepdims=True)
    return a, a * truth, a * a


def _least(rows: Rows) -> Float[np.ndarray, "predictor one"]:
    """The weighted variances up to which a row counts as constant; infinite where it is."""
    flat = np.ptp(rows, axis=1, keepdims=True) == 0
    spread = np.maximum(np.var(rows, axis=1, keepdims=True), 1e-300)
    return np.where(flat, np.inf, 1e-12 * spread)


def _correlation(
    least: tuple[ByPredictor, ByPredictor],
    own: Float[np.ndarray, "three predictor resample"],
    of_truth: Float[np.ndarray, "two resample"],
) -> ByPredictor:
    """Pearson's r = cov(a, b) / √(var(a) var(b)); of ranks, taken once of all rows, Spearman's ρ.

    Args:
        least: Of ``_least``, of the predictions and of the truth.
        own: Weighted means of ``_products``.
        of_truth: Weighted means of ``_squares``.
    """
    (mean_a, ab, aa), (mean_b, bb) = own, of_truth
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
