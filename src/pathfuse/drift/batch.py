"""The batch test: are new patients, taken together, like those of the fit rows?

Each feature is compared by the difference of its means over its standard error (both groups
pooled), z. The test looks at the largest |z| of all: over patients like those of the fit rows its
distribution is simulated, drawing new patients and fit rows anew from the fit patients, so that all
figures together raise a false alarm at the stated rate, however they hang together.

References:
    Westfall & Young, Resampling-based multiple testing (1993): the maximum over all figures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pathfuse.drift.patients import Features

SMALLEST, SMALLEST_SPREAD = 0.05, 0.02
"""Differences of ranks, and of their squared distances from the middle, that are large enough to
be called drift: among thousands of patients any trifle is sure."""
MOST_DRAWN = 2000
"""New patients of a simulated comparison."""
CHUNK = 500
"""Simulated comparisons at a time."""

Maxima = Float[np.ndarray, " draw"]


@dataclass(frozen=True)
class Pool:
    """The fit patients as new ones are compared with them."""

    features: Features
    weight: Float[np.ndarray, " patient"]
    """Adds up to 1: the same for all, or by their samples where the new patients are not named."""
    n_effective: float
    """Patients that they count as."""
    low: Float[np.ndarray, " feature"]
    high: Float[np.ndarray, " feature"]
    """New means between these are nothing new."""

    @classmethod
    def of(
        cls,
        features: Features,
        size: np.ndarray,
        judged: Float[np.ndarray, " feature"] | None = None,
        *,
        named: bool,
    ) -> "Pool":
        """The fit patients.

        Args:
            features: Of each patient.
            size: Samples of each.
            judged: Means over the judged rows. Experts on the fit rows are held out, by models of a
                part of the data, and those on new samples are not: what is between the fit rows and
                the judged rows is no drift. None: the fit rows alone.
            named: Whether it is known which new sample is of which patient. If not, patients count
                by their samples.
        """
        weight = np.ones(len(size)) if named else size.astype(np.float64)
        weight = weight / weight.sum()
        mean = weight @ features
        other = mean if judged is None else judged
        low, high = np.minimum(mean, other), np.maximum(mean, other)
        return cls(features, weight, float(1 / (weight**2).sum()), low, high)

    @property
    def mean(self) -> Float[np.ndarray, " feature"]:
        """Of the fit patients."""
        return np.asarray(self.weight @ self.features)


def compare(pool: Pool, new: Features) -> Float[np.ndarray, " feature"]:
    """Z of every feature: above 0 where the new patients have more of it. 0 where nothing varies.

    Args:
        pool: The fit patients.
        new: The new ones.
    """
    return compare_moments(pool, new.mean(axis=0), (new**2).mean(axis=0), len(new))


def compare_moments(
    pool: Pool,
    mean: Float[np.ndarray, " feature"],
    square: Float[np.ndarray, " feature"],
    n_new: float,
) -> Float[np.ndarray, " feature"]:
    """``compare``, where means and mean squares of so many new patients are known."""
    old = pool.mean, pool.weight @ pool.features**2
    nearest = np.clip(mean, pool.low, pool.high)
    apart = _z(old, pool.n_effective, (mean, square), n_new)
    gap = mean - old[0]
    outside = np.divide(mean - nearest, gap, out=np.zeros_like(gap), where=gap != 0)
    return apart * outside


def _z(
    old: tuple[np.ndarray, np.ndarray],
    n_old: float,
    new: tuple[np.ndarray, np.ndarray],
    n_new: float,
) -> np.ndarray:
    """Difference of means over its standard error; mean and mean square of both groups."""
    share = n_new / (n_old + n_new)
    mean = old[0] + share * (new[0] - old[0])
    variance = old[1] + share * (new[1] - old[1]) - mean**2
    error = np.sqrt(np.maximum(variance, 0.0) * (1 / n_old + 1 / n_new))
    return np.where(error > 1e-7, (new[0] - old[0]) / np.maximum(error, 1e-7), 0.0)


def simulate(pool: Pool, n_new: int, n_draws: int, seed: int) -> Maxima:
    """The largest |z| of all features in comparisons of patients that are alike.

    Args:
        pool: The fit patients: both sides of every comparison are drawn from them.
        n_new: New patients.
        n_draws: Comparisons.
        seed: The same seed gives the same draws.
    """
    n_new = min(n_new, MOST_DRAWN)  # among so many z no longer depends on their number
    rng = np.random.default_rng([seed, n_new])
    values = pool.features.astype(np.float32)
    both = np.concatenate([values, values**2], axis=1)
    n_old, found = max(2, round(pool.n_effective)), []
    for start in range(0, n_draws, CHUNK):
        n = min(CHUNK, n_draws - start)
        old, new = (
            np.split(_counts(pool, rng, n, size) @ both / size, 2, axis=1)
            for size in (n_old, n_new)
        )
        z = _z((old[0], old[1]), n_old, (new[0], new[1]), n_new)
        found.append(np.abs(z).max(axis=1, initial=0.0))
    return np.concatenate(found).astype(np.float64)


def _counts(
    pool: Pool, rng: np.random.Generator, n_draws: int, size: int
) -> Float[np.ndarray, "draw patient"]:
    """How often each patient is drawn, with replacement."""
    n = len(pool.weight)
    chosen = drawn(pool, rng, n_draws * size).reshape(n_draws, size)
    chosen += np.arange(n_draws)[:, None] * n
    return np.bincount(chosen.ravel(), minlength=n * n_draws).reshape(n_draws, n).astype(np.float32)


def drawn(pool: Pool, rng: np.random.Generator, n: int) -> Int[np.ndarray, " draw"]:
    """Fit patients by their weights, with replacement."""
    n_patients = len(pool.weight)
    if np.ptp(pool.weight) == 0:
        return rng.integers(n_patients, size=n)
    edges = np.cumsum(pool.weight)
    return np.minimum(np.searchsorted(edges, rng.random(n), side="right"), n_patients - 1)


def p_value(largest: float, maxima: Maxima) -> float:
    """The share of simulated comparisons that were as far apart; never 0."""
    return float((1 + (maxima >= largest).sum()) / (1 + len(maxima)))


def threshold(maxima: Maxima, rate: float) -> float:
    """What the largest |z| exceeds in this share of the simulated comparisons."""
    return float(np.quantile(maxima, 1 - rate, method="higher"))
