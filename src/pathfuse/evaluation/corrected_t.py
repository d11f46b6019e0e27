"""The corrected resampled t-test over outer folds (Nadeau & Bengio 2003).

Folds share training data, so their spread understates the error of their mean; the variance gains
n_test / n_train.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr


@dataclass(frozen=True)
class CorrectedT:
    """Mean difference over folds, and whether it differs from 0."""

    difference: float
    t: float
    """NaN with fewer than two folds, or folds that do not differ at all."""
    degrees_of_freedom: int
    p_value: float


def corrected_t(differences: Float[np.ndarray, " fold"], test_to_train: float) -> CorrectedT:
    """Tests a mean difference over the folds of a cross-validation, two-sided.

        t = d̄ / √((1 / k + r) s²),        k - 1 degrees of freedom

    ``d̄`` and ``s²`` are mean and variance of the differences in the k folds, (fold,); r is
    ``test_to_train``.

    Args:
        differences: Float, (fold,), of a metric inside each fold; NaN where a fold does not define
            it.
        test_to_train: Patients judged per patient fitted on, about 1 / (k - 1).

    References:
        Nadeau and Bengio (2003).

    Examples:
        >>> found = corrected_t(np.array([0.01, 0.03, 0.02, 0.04, 0.00]), test_to_train=1 / 4)
        >>> round(found.difference, 3), round(found.t, 3), round(found.p_value, 3)
        (0.02, 1.886, 0.132)
    """
    defined = differences[~np.isnan(differences)]
    k = len(defined)
    mean = float(defined.mean()) if k else float("nan")
    spread = float(defined.var(ddof=1)) if k > 1 else 0.0
    if (
        spread <= 1e-30 + (1e-12 * np.abs(defined).max(initial=0.0)) ** 2
    ):  # rounding, in whatever unit
        return CorrectedT(mean, float("nan"), max(k - 1, 0), float("nan"))
    t = mean / np.sqrt((1 / k + test_to_train) * spread)
    return CorrectedT(mean, float(t), k - 1, float(2 * stdtr(k - 1, -abs(t))))
