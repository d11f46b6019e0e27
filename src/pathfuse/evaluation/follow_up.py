"""Median follow-up by the reverse Kaplan-Meier method."""

from dataclasses import dataclass

import numpy as np

from pathfuse.evaluation.curves import survivors
from pathfuse.types import PerSample

NORMAL = 1.959963984540054
"""The 97.5 % quantile of a standard normal distribution."""


@dataclass(frozen=True)
class FollowUp:
    """Median follow-up with its 95 % interval; NaN where it is not reached."""

    median: float
    low: float
    high: float


def median_follow_up(time: PerSample, event: PerSample) -> FollowUp:
    """How long patients would have been followed had nobody died: events and censorings change
    places.

        S(t) = Π over t_k ≤ t of (1 - c_k / n_k)       median = the first t with S(t) ≤ ½
        band: S(t) ^ exp(± 1.96 s(t) / log S(t))        s² = Σ over t_k ≤ t of c_k / (n_k (n_k - c_k))

    ``c_k`` are the cases censored at the k-th time, (time,), and ``n_k`` those still followed. The
    interval is where the band, which is Greenwood's on the scale of log(-log S), crosses ½.

    Args:
        time: Float, (patient,), follow-up.
        event: Float, (patient,), 1 = observed, 0 = censored.

    References:
        Schemper and Smith (1996); Brookmeyer and Crowley (1982).

    Examples:
        >>> median_follow_up(np.arange(1.0, 8.0), np.zeros(7)).median  # nobody died
        4.0
    """
    curve = survivors(time, 1 - np.asarray(event, dtype=np.float64))
    at_risk = curve.at_risk.astype(np.float64)
    before = np.concatenate([[1.0], curve.survival[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        left = at_risk * (1 - np.where(before > 0, curve.survival / before, 0.0))
        variance = np.cumsum(left / (at_risk * (at_risk - left)))
        log_survival = np.log(curve.survival)
        reach = NORMAL * np.sqrt(variance) / log_survival
        ends = [curve.survival ** np.exp(sign * reach) for sign in (-1, 1)]
    lower, upper = np.fmin(*ends), np.fmax(*ends)
    # Before the first and after the last censoring the band is not defined.
    lower, upper = (np.where(curve.survival <= 0, 0.0, band) for band in (lower, upper))
    lower, upper = (np.where(curve.survival >= 1, 1.0, band) for band in (lower, upper))
    bands = (curve.survival, lower, upper)
    return FollowUp(*(_first_half(curve.times, band) for band in bands))


def _first_half(times: PerSample, survival: PerSample) -> float:
    """The first time at which a curve is at most one half; NaN if it never is."""
    reached = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(times[reached[0]]) if len(reached) else float("nan")
