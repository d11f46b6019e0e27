"""Intervals and p-values from resampled figures: percentile, BCa, and what covers when patients are few.

With fewer than ``FEW_PATIENTS`` the percentile interval is too short: the spread of resamples understates that of
samples by sqrt((n - 1) / n), its tails are those of a normal where a t distribution belongs, and losses are skewed.
``auto`` therefore takes, of figures, BCa at the wider quantiles that correct for both (Hesterberg 2015), and of paired
differences, whose distribution is nearly symmetric, the bootstrap's standard error with a t distribution. The choice
rests on ``python -m benchmarks coverage`` (docs/concepts/judging.md).

Sources: Efron, Better bootstrap confidence intervals, JASA 82 (1987); Hesterberg, What teachers should know about the
bootstrap, The American Statistician 69 (2015), sections 3.3 and 4; Wilson, JASA 22 (1927).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Draws = Float[np.ndarray, " resample"]

KINDS = ("auto", "percentile", "bca")
"""What ``--interval`` takes."""
FEW_PATIENTS = 300
"""From here on ``auto`` is the percentile interval: in the benchmark the kinds differ by less than its noise."""
MIN_RESAMPLES = 100
"""Fewer defined resamples than this tell nothing of a 2.5 % tail."""
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A confidence interval; NaN limits where it is refused."""

    low: float
    high: float


NO_INTERVAL = Interval(float("nan"), float("nan"))


@dataclass(frozen=True)
class Sampled:
    """What an interval must know of how the rows were drawn."""

    n_patients: int
    n_folds: int = 1

    @property
    def freedom(self) -> int:
        """Degrees of freedom: each fold spends one on its mean."""
        return max(self.n_patients - self.n_folds, 1)

    @property
    def inflation(self) -> float:
        """Standard deviation among samples over that among resamples: sqrt(n / (n - folds))."""
        return float(np.sqrt(max(self.n_patients, 2) / self.freedom))

    def tail(self, level: float = LEVEL) -> float:
        """The share of resamples to cut off at either end so that a mean's interval is the t interval."""
        return float(ndtr(-self.inflation * stdtrit(self.freedom, (1 + level) / 2)))


def defined(draws: Draws) -> Draws:
    """The resamples that define a figure; none where they are too few or fewer than half."""
    kept = draws[~np.isnan(draws)]
    return kept if len(kept) >= max(MIN_RESAMPLES, len(draws) / 2) else kept[:0]


def percentile_interval(draws: Draws, tail: float = (1 - LEVEL) / 2) -> Interval:
    """Quantiles of the defined resamples, ``tail`` cut off at either end."""
    kept = defined(draws)
    if not len(kept):
        return NO_INTERVAL
    low, high = np.quantile(kept, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bca_interval(
    point: float, draws: Draws, left_out: Float[np.ndarray, " patient"], tail: float = (1 - LEVEL) / 2
) -> Interval:
    """Bias-corrected and accelerated interval (Efron 1987), with a leave-one-patient-out jackknife.

    Args:
        point: The value on all rows.
        draws: Float, (resample,); NaN is left out.
        left_out: Float, (patient,), the value without each patient; NaN is left out.
        tail: Nominal share outside at either end.
    """
    kept = defined(draws)
    pulls = left_out[~np.isnan(left_out)]
    if not len(kept) or not len(pulls):
        return NO_INTERVAL
    below = ((kept < point).mean() + (kept <= point).mean()) / 2
    pulls = pulls.mean() - pulls
    spread = (pulls**2).sum()
    if not 0 < below < 1 or spread == 0:  # all resamples on one side, or no patient matters
        return percentile_interval(draws, tail)
    shift, acceleration = ndtri(below), (pulls**3).sum() / (6 * spread**1.5)
    z = shift + ndtri(np.array([tail, 1 - tail]))
    low, high = np.quantile(kept, ndtr(shift + z / (1 - acceleration * z)))
    return Interval(float(low), float(high))


def standard_error(draws: Draws, sampled: Sampled) -> float:
    """Of a figure, from its defined resamples; NaN where they are too few."""
    kept = defined(draws)
    return float(kept.std() * sampled.inflation) if len(kept) else float("nan")


def t_interval(point: float, draws: Draws, sampled: Sampled, level: float = LEVEL) -> Interval:
    """Point and bootstrap standard error with a t distribution."""
    half = stdtrit(sampled.freedom, (1 + level) / 2) * standard_error(draws, sampled)
    return Interval(float(point - half), float(point + half))


def t_p_value(point: float, draws: Draws, sampled: Sampled) -> float:
    """Two-sided, of the hypothesis that the figure is 0; the bootstrap's own where no resample moves the figure."""
    error = standard_error(draws, sampled)
    if np.isnan(error) or np.isnan(point):
        return float("nan")
    return float(2 * stdtr(sampled.freedom, -abs(point) / error)) if error > 0 else two_sided_p(draws)


def share_interval(point: float, n: int, level: float = LEVEL) -> Interval:
    """Wilson's interval of a share among n patients: it stays wide where all n agree."""
    z = ndtri((1 + level) / 2)
    middle = (point + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(point * (1 - point) / n + z**2 / (4 * n**2))
    return Interval(float(max(middle - half, 0.0)), float(min(middle + half, 1.0)))


def two_sided_p(draws: Draws) -> float:
    """Bootstrap p-value: twice the smaller share of resampled differences on either side of 0, at least 2/(B+1).

    Examples:
        >>> two_sided_p(np.array([0.1, 0.2, -0.1, 0.3, 0.2, 0.4, 0.1, 0.2, 0.3]))
        0.4
    """
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return float("nan")
    n = len(kept) + 1
    return float(min(1.0, 2 * min((1 + (kept <= 0).sum()) / n, (1 + (kept >= 0).sum()) / n)))


def described(kind: str, n_patients: int, drawn: str = "patient") -> dict[str, str]:
    """Which intervals ``kind`` gives figures and differences among so many patients, in words."""
    plain = "percentile"
    if kind == "bca":
        plain = f"BCa, leaving each {drawn} out in turn"
    if kind != "auto" or n_patients >= FEW_PATIENTS:
        return {"figures": plain, "differences": plain}
    return {
        "figures": f"BCa, leaving each {drawn} out in turn, widened for {n_patients} {drawn}s (Hesterberg 2015)",
        "differences": "bootstrap standard error with a t distribution",
    }
