"""Pearson's r of many pairs of columns in many resamples at once."""

import numpy as np
from jaxtyping import Float

FLAT = 1e-12
"""A column whose variance in a resample is this part of its own, or less, counts as constant."""


def pearson(
    weights: Float[np.ndarray, "resample sample"],
    truth: Float[np.ndarray, "sample pair"],
    predicted: Float[np.ndarray, "sample pair"],
) -> Float[np.ndarray, "resample pair"]:
    """Weighted r = cov(a, b) / √(var(a) var(b)) of each pair on the rows where both are known.

    NaN where one of them is constant.

    Args:
        weights: Non-negative.
        truth: NaN where it is not known.
        predicted: NaN where there is no prediction.

    Examples:
        >>> y = np.array([[0.0], [1.0], [2.0], [9.0]])
        >>> pearson(np.array([[1.0, 1.0, 1.0, 0.0]]), y, -y).round(6)
        array([[-1.]])
    """
    known = ~(np.isnan(truth) | np.isnan(predicted))
    y, x = (_centred(column, known) for column in (truth, predicted))
    n = np.maximum(weights @ known, 1e-300)
    mean_y, mean_x = weights @ y / n, weights @ x / n
    var_y, var_x = weights @ y**2 / n - mean_y**2, weights @ x**2 / n - mean_x**2
    varies = (var_y > _least(y, known)) & (var_x > _least(x, known))
    covariance = weights @ (x * y) / n - mean_x * mean_y
    size = np.sqrt(np.where(varies, var_y * var_x, 1.0))
    return np.where(varies, np.clip(covariance / size, -1, 1), np.nan)


def _centred(
    column: Float[np.ndarray, "sample pair"], known: np.ndarray
) -> Float[np.ndarray, "sample pair"]:
    """About the mean of what is known, 0 elsewhere."""
    filled = np.where(known, column, 0.0)
    mean = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, filled - mean, 0.0)


def _least(centred: Float[np.ndarray, "sample pair"], known: np.ndarray) -> np.ndarray:
    return FLAT * (centred**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
