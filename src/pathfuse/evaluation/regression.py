"""Metrics of one continuous target under row weights: all of them are weighted moments, so a resample is a product."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from pathfuse.evaluation.classification import RowWeights, Values
from pathfuse.types import PerSample


@dataclass(frozen=True)
class RegressionScores:
    """What the metrics need of one predictor's rows."""

    moments: Float[np.ndarray, "sample two"]
    """Mean and variance."""
    truth: PerSample

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """``nll`` (nats), ``pearson``, ``spearman`` (ranks are those of the rows), ``rmse``, ``r2``.

        A correlation with a constant prediction is NaN, never 0.
        """
        mean, variance = self.moments[:, 0], self.moments[:, 1]
        error = (self.truth - mean) ** 2
        loss = 0.5 * (np.log(2 * np.pi * variance) + error / variance)
        total = np.maximum(weights.sum(axis=1), 1e-300)
        mse = weights @ error / total
        spread = _moments(self.truth, self.truth, weights)[0]
        return {
            "nll": weights @ loss / total,
            "pearson": _correlation(mean, self.truth, weights),
            "spearman": _correlation(rankdata(mean), rankdata(self.truth), weights),
            "rmse": np.sqrt(mse),
            "r2": np.where(spread > 0, 1 - mse / np.maximum(spread, 1e-300), np.nan),
        }


def _moments(a: PerSample, b: PerSample, weights: RowWeights) -> tuple[Values, Values, Values]:
    """Weighted covariance of a and b, and their variances."""
    a, b = a - a.mean(), b - b.mean()
    total = np.maximum(weights.sum(axis=1), 1e-300)
    table = weights @ np.stack([a, b, a * b, a * a, b * b], axis=1) / total[:, None]
    mean_a, mean_b, ab, aa, bb = table.T
    return ab - mean_a * mean_b, aa - mean_a**2, bb - mean_b**2


def _correlation(a: PerSample, b: PerSample, weights: RowWeights) -> Values:
    covariance, spread_a, spread_b = _moments(a, b, weights)
    flat = (spread_a <= 1e-12 * max(float(np.var(a)), 1e-300)) | (spread_b <= 1e-12 * max(float(np.var(b)), 1e-300))
    bottom = np.sqrt(np.where(flat, 1.0, spread_a * spread_b))
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    return np.where(flat | constant, np.nan, covariance / bottom)
