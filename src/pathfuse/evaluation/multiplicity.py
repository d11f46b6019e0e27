"""Adjusting p-values for how many were computed."""

import numpy as np
from jaxtyping import Float


def holm_once(p: Float[np.ndarray, " test"], differences: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Holm's adjustment where one comparison may stand twice: the best expert is also an expert by its own name.

    Args:
        p: As in ``holm``.
        differences: Float, (test,). Tests with the same p-value and the same difference count once.
    """
    first = np.unique(np.column_stack([p, differences]), axis=0, return_index=True, return_inverse=True)
    return holm(p[first[1]])[first[2].reshape(-1)]


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Holm's step-down adjustment (Holm 1979): controls the chance of any false rejection, whatever the dependence.

    Args:
        p: Float, (test,), in [0, 1]; NaN (undefined) stays NaN and does not count.

    Examples:
        >>> holm(np.array([0.01, 0.04, 0.03, np.nan])).round(3).tolist()
        [0.03, 0.06, 0.06, nan]
    """
    adjusted = np.full(len(p), np.nan)
    defined = np.flatnonzero(~np.isnan(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted
