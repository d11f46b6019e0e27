"""DeLong's test of two correlated AUROCs (DeLong, DeLong & Clarke-Pearson 1988), by midranks (Sun &
Xu 2014).

For one row per patient and two classes. Not for several rows per patient, nor for models fitted on
the judged rows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr
from scipy.stats import rankdata

from pathfuse.types import PerSample


@dataclass(frozen=True)
class DeLong:
    """Two AUROCs on the same rows, and whether they differ."""

    auroc: tuple[float, float]
    covariance: Float[np.ndarray, "two two"]
    """NaN where an outcome has one row only, which has no variance to estimate."""
    z: float
    """NaN where the difference has no variance (equal rankings, or both perfect), or an outcome one
    row only."""
    p_value: float

    @property
    def difference(self) -> float:
        """First minus second."""
        return self.auroc[0] - self.auroc[1]


def delong(one: PerSample, other: PerSample, positive: Bool[np.ndarray, " sample"]) -> DeLong:
    """Compares the AUROCs of two scores, two-sided.

        z = (A₁ - A₂) / √(V₁₁ + V₂₂ - 2 V₁₂)        V = S⁺ / n⁺ + S⁻ / n⁻

    ``A`` are the AUROCs, (two,). ``S⁺`` is the covariance over the n⁺ positive rows of the share of
    negative rows below each, (two, two), and ``S⁻`` that over the n⁻ negative rows of the share of
    positive rows above; ties count one half.

    Args:
        one: Float, (sample,), higher = more likely positive.
        other: Float, (sample,), the same of the other predictor.
        positive: Bool, (sample,); both outcomes must occur.

    References:
        DeLong, DeLong and Clarke-Pearson (1988); Sun and Xu (2014).

    Examples:
        >>> positive = np.array([False, False, False, True, True, True])
        >>> found = delong(np.array([1.0, 2, 4, 3, 5, 6]), np.array([3.0, 1, 5, 2, 4, 6]), positive)
        >>> [round(value, 3) for value in found.auroc]
        [0.889, 0.667]
    """
    scores = np.stack([one, other])
    above = _beaten(scores, positive)
    below = 1 - _beaten(scores, ~positive)
    auroc = above.mean(axis=1)
    covariance = np.zeros((2, 2))
    for values in (above, below):
        centred = values - values.mean(axis=1, keepdims=True)
        n = values.shape[1]
        covariance += centred @ centred.T / (n - 1) / n if n > 1 else np.nan
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    z = float((auroc[0] - auroc[1]) / np.sqrt(variance)) if variance > 1e-15 else float("nan")
    return DeLong((float(auroc[0]), float(auroc[1])), covariance, z, float(2 * ndtr(-abs(z))))


def _beaten(
    scores: Float[np.ndarray, "two sample"], side: Bool[np.ndarray, " sample"]
) -> Float[np.ndarray, "two own"]:
    """For each row of one outcome the share of the other outcome's rows that lie below it.

    Ties count one half.
    """
    among_all, among_own = rankdata(scores, axis=1)[:, side], rankdata(scores[:, side], axis=1)
    return (among_all - among_own) / (~side).sum()
