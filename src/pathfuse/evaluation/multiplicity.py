"""Adjusting p-values for how many were computed."""

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float


def holm_once(
    p: Float[np.ndarray, " test"], what: Sequence[Hashable]
) -> Float[np.ndarray, " test"]:
    """Holm's adjustment where one comparison may stand twice: the best expert is also an expert by
    its own name.

    Args:
        p: As in ``holm``.
        what: What each test compares; tests of the same thing have the same p-value and count once.
    """
    number = {key: n for n, key in enumerate(dict.fromkeys(what))}
    first = [what.index(key) for key in number]
    return holm(p[first])[[number[key] for key in what]]


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Holm's step-down adjustment: controls the chance of any false rejection, whatever the
    dependence.

        p̃_(i) = min(1, max over j ≤ i of (n - j + 1) p_(j))

    ``p_(1) ≤ ... ≤ p_(n)`` are the n defined p-values in order.

    Args:
        p: Float, (test,), in [0, 1]; NaN (undefined) stays NaN and does not count.

    References:
        Holm (1979).

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
