"""Non-inferiority and equivalence with a stated margin: what a difference that is not significant
does not show.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class NonInferiority:
    """Whether a gain lies above minus the margin."""

    p_value: float
    """One-sided, of the hypothesis that the loss is the margin or more."""
    conclusion: str
    """``superior``, ``equivalent``, ``non-inferior``, ``inferior`` or ``unresolved``."""


def non_inferiority(
    gains: Float[np.ndarray, " resample"], margin: float, *, shown: bool = True
) -> NonInferiority:
    """Compares resampled gains (higher = better) with a margin.

        p = (1 + #{g_b ≤ -margin}) / (1 + B)

    ``g_b`` are the B defined gains, (resample,). Superior: the 95 % interval lies above 0, and the
    paired comparison shows a difference. Inferior: it lies below minus the margin. Equivalent: the
    90 % interval lies inside plus and minus the margin (two one-sided tests). Non-inferior: the
    95 % interval lies above minus the margin.

    Args:
        gains: Float, (resample,), paired differences, oriented so that more is better; NaN is left
            out.
        margin: Largest loss that is still acceptable, positive, in the metric's unit.
        shown: Whether the paired comparison, adjusted for how many there are, shows a difference.

    References:
        Schuirmann (1987) for the two one-sided tests.

    Examples:
        >>> gains = np.linspace(-0.005, 0.03, 1000)
        >>> non_inferiority(gains, margin=0.01).conclusion, non_inferiority(gains, margin=0.002).conclusion
        ('non-inferior', 'unresolved')
    """
    defined = gains[~np.isnan(gains)]
    if not len(defined) or len(defined) < len(gains) / 2:
        return NonInferiority(float("nan"), "no intervals")
    low, high = np.quantile(defined, [0.025, 0.975])
    inner_low, inner_high = np.quantile(defined, [0.05, 0.95])
    p_value = float((1 + (defined <= -margin).sum()) / (1 + len(defined)))
    conclusions = (
        (low > 0 and shown, "superior"),
        (high < -margin, "inferior"),
        (inner_low > -margin and inner_high < margin, "equivalent"),
        (low > -margin, "non-inferior"),
    )
    return NonInferiority(p_value, next((word for true, word in conclusions if true), "unresolved"))
