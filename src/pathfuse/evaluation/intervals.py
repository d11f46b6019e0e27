"""Intervals and p-values from resampled figures: what covers, percentile, and BCa.

``auto`` takes the bootstrap's standard error with a t distribution: of a figure on the scale of its
metric (``evaluation.scales``), of a paired difference as it is. The degrees of freedom follow how
many patients carry the
figure: where two of two hundred bear most of a loss, the standard error is itself a guess from two,
and Satterthwaite's degrees of freedom say so. Percentile and BCa intervals are too short there,
since a quantile of resamples never passes what the sample holds. The choice rests on ``python -m
benchmarks coverage`` (docs/concepts/judging.md).

Sources: Efron, Better bootstrap confidence intervals, JASA 82 (1987); Hesterberg, What teachers
should know about the bootstrap, The American Statistician 69 (2015), sections 3.3 and 4;
Satterthwaite, Biometrics Bulletin 2 (1946).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

Draws = Float[np.ndarray, " resample"]

KINDS = ("auto", "percentile", "bca")
"""What ``--interval`` takes."""
MIN_RESAMPLES = 100
"""Fewer defined resamples than this do not define a 2.5 % tail."""
LEVEL = 0.95
SPENT, FEWEST = 3, 4
"""Degrees of freedom taken off Satterthwaite's, since a sample shows its kurtosis too small, and
how many are left at least: with 4 the interval of a loss that one patient bears reaches from a
sixteenth of it to sixteen times of it, and a longer one is useless. Both from the benchmark."""


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
        """Degrees of freedom of a plain mean: each fold spends one on its own."""
        return max(self.n_patients - self.n_folds, 1)

    def freedom_of(self, left_out: Float[np.ndarray, " part"]) -> float:
        """Degrees of freedom of a figure's standard error: fewer, the fewer patients carry it.

            ν = 2 / (1 / k - 1 / n) - 3        k = (Σ_i d_i²)² / Σ_i d_i⁴

        ``d_i`` is the figure without part i minus the mean of those, (part,), and k the number of
        equal parts that would have the same kurtosis; ν is at least 4 and at most the patients
        minus the folds. The 3 allows for samples that show their kurtosis too small.

        Args:
            left_out: Float, (part,), the figure without each part in turn; NaN is left out.

        References:
            Satterthwaite (1946).

        Examples:
            >>> Sampled(n_patients=20).freedom_of(np.array([-1.0, 1.0] * 10))  # all alike
            19.0
            >>> float(Sampled(n_patients=20).freedom_of(np.array([1.0] + [0.0] * 19)))  # one carries it
            4.0
        """
        pulls = left_out[~np.isnan(left_out)]
        pulls = pulls - pulls.mean() if len(pulls) else pulls
        return self.freedom_from(float((pulls**2).sum()), float((pulls**4).sum()), len(pulls))

    def freedom_from(self, squares: float, fourths: float, n_parts: int) -> float:
        """``freedom_of`` from Σ_i d_i², Σ_i d_i⁴ and the number of parts."""
        if squares == 0:
            return float(self.freedom)
        carriers = squares**2 / fourths
        excess = 1 / carriers - 1 / n_parts
        return min(max(2 / excess - SPENT if excess > 0 else np.inf, FEWEST), float(self.freedom))

    @property
    def inflation(self) -> float:
        """Standard deviation among samples over that among resamples: sqrt(n / (n - folds))."""
        return float(np.sqrt(max(self.n_patients, 2) / self.freedom))

    def tail(self, level: float = LEVEL) -> float:
        """The share of resamples to cut off at either end so that a mean's interval is the t
        interval.

            tail = Φ(-√(n / (n - f)) t)

        ``t`` is the (1 + level) / 2 quantile of Student's t with n - f degrees of freedom, n the
        number of patients, f that of folds, Φ the normal distribution function.

        References:
            Hesterberg (2015): the expanded percentile interval.
        """
        from scipy.special import ndtr, stdtrit  # not at the top: predict does without

        return float(ndtr(-self.inflation * stdtrit(self.freedom, (1 + level) / 2)))


def defined(draws: Draws) -> Draws:
    """The resamples that define a figure; none where they are too few or fewer than half."""
    kept = draws[~np.isnan(draws)]
    return kept if len(kept) >= max(MIN_RESAMPLES, len(draws) / 2) else kept[:0]


def percentile_interval(draws: Draws, tail: float = (1 - LEVEL) / 2) -> Interval:
    """Quantiles of the defined resamples, ``tail`` cut off at either end.

        (low, high) = quantiles of the draws at tail and 1 - tail

    Args:
        draws: Float, (resample,); NaN is left out.
        tail: Share outside at either end.

    References:
        Efron (1987).

    Examples:
        >>> found = percentile_interval(np.arange(201.0))
        >>> round(found.low, 3), round(found.high, 3)
        (5.0, 195.0)
    """
    kept = defined(draws)
    if not len(kept):
        return NO_INTERVAL
    low, high = np.quantile(kept, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bca_interval(
    point: float,
    draws: Draws,
    left_out: Float[np.ndarray, " patient"],
    tail: float = (1 - LEVEL) / 2,
) -> Interval:
    """Bias-corrected and accelerated interval, with a leave-one-patient-out jackknife.

        low, high = quantiles of the draws at  Φ(z₀ + z / (1 - a z)),    z = z₀ ± Φ⁻¹(1 - tail)
        z₀ = Φ⁻¹(share of draws below the point)        a = Σ_i d_i³ / (6 (Σ_i d_i²)^{3/2})

    ``d_i`` is the mean of the values without one patient minus the value without patient i,
    (patient,); a draw equal to the point counts half below it. Φ is the normal distribution
    function.

    Args:
        point: The value on all rows.
        draws: Float, (resample,); NaN is left out.
        left_out: Float, (patient,), the value without each patient; NaN is left out.
        tail: Nominal share outside at either end.

    References:
        Efron (1987).

    Examples:
        >>> draws = np.arange(201.0)  # symmetric about the point, and no patient stands out: percentile
        >>> found = bca_interval(100.0, draws, left_out=np.array([99.0, 101.0]))
        >>> round(found.low, 3), round(found.high, 3)
        (5.0, 195.0)
    """
    from scipy.special import ndtr, ndtri  # not at the top: predict does without

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
    """Of a figure, from its defined resamples; NaN where they are too few.

        error = √(n / (n - f)) sd(draws)

    n is the number of patients, f that of folds: resamples spread less than samples do.

    References:
        Hesterberg (2015).

    Examples:
        >>> round(standard_error(np.array([0.0, 2.0] * 100), Sampled(n_patients=10)), 3)
        1.054
    """
    kept = defined(draws)
    return float(kept.std() * sampled.inflation) if len(kept) else float("nan")


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """How many standard errors an interval goes to either side: Student's t quantile.

    Examples:
        >>> round(t_quantile(10), 3)
        2.228
    """
    from scipy.special import stdtrit  # not at the top: predict does without

    return float(stdtrit(freedom, (1 + level) / 2))


@lru_cache(maxsize=64)
def t_quantiles(freedom: float, n: int) -> Float[np.ndarray, " quantile"]:
    """``n`` quantiles of Student's t, evenly spaced in probability.

    Many figures of one run have the same degrees of freedom. The upper half mirrors the lower.

    Examples:
        >>> t_quantiles(10.0, 3).round(2)
        array([-1.02,  0.  ,  1.02])
    """
    from scipy.special import stdtrit  # not at the top: predict does without

    lower = stdtrit(freedom, (np.arange(n // 2) + 0.5) / max(n, 1))
    return np.concatenate([lower, np.zeros(n % 2), -lower[::-1]])


def t_p_value(point: float, error: float, freedom: float) -> float:
    """Two-sided p-value of the hypothesis that the figure is 0; the error is positive.

        p = 2 P(T ≤ -|point| / error)        T: Student's t with ``freedom`` degrees

    Examples:
        >>> round(t_p_value(2.228, 1.0, 10), 3)
        0.05
    """
    from scipy.special import stdtr  # not at the top: predict does without

    return float(2 * stdtr(freedom, -abs(point) / error))


def two_sided_p(draws: Draws) -> float:
    """Bootstrap p-value: twice the smaller share of resampled differences on either side of 0.

        p = 2 min(1 + #{d_b ≤ 0}, 1 + #{d_b ≥ 0}) / (B + 1), at most 1

    ``d_b`` are the B defined resampled differences, (resample,); p is at least 2 / (B + 1).

    Examples:
        >>> two_sided_p(np.array([0.1, 0.2, -0.1, 0.3, 0.2, 0.4, 0.1, 0.2, 0.3]))
        0.4
    """
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return float("nan")
    n = len(kept) + 1
    return float(min(1.0, 2 * min((1 + (kept <= 0).sum()) / n, (1 + (kept >= 0).sum()) / n)))


def described(kind: str, drawn: str = "patient") -> dict[str, str]:
    """Which intervals ``kind`` gives figures and differences, in words."""
    if kind == "auto":
        error = "bootstrap standard error with a t distribution"
        carried = f"degrees of freedom from how many {drawn}s carry it (Satterthwaite)"
        return {
            "figures": f"{error} on the metric's scale (log of losses; Wilson's for shares), {carried}",
            "differences": f"{error}, {carried}",
        }
    plain = f"BCa, leaving each {drawn} out in turn" if kind == "bca" else "percentile"
    return {"figures": plain, "differences": plain}
