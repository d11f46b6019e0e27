"""What the experts of a regression predicted: means and variances of G targets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.costs import add_flops

Moments = Float[np.ndarray, "sample expert target"]
Targets = Float[np.ndarray, "sample target"]
"""Observed values; NaN where blank."""

PRIOR_ROWS = 5.0
"""Weight of the prior (scale 1) in a target's sharpness, in rows."""


@dataclass(frozen=True)
class GaussianExperts:
    """Predictions of n samples by M experts for G targets."""

    mean: Moments
    """NaN where absent."""
    variance: Moments
    """NaN where absent, or where the expert gives none."""

    @cached_property
    def present(self) -> Bool[np.ndarray, "sample expert target"]:
        """Where an expert predicts a target of a sample."""
        return np.asarray(~np.isnan(self.mean))

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.mean)

    @property
    def n_columns(self) -> int:
        """A mean and a variance per target."""
        return 2 * self.mean.shape[2]

    @property
    def can_hide(self) -> bool:
        """Always: cells do not depend on one another."""
        return True

    @property
    def scored(self) -> Bool[np.ndarray, "sample expert"]:
        """Where an expert predicts any target of a sample."""
        return np.asarray(self.present.any(axis=2))

    def rows(self, index: np.ndarray | slice) -> "GaussianExperts":
        """The same experts on some of the samples."""
        return GaussianExperts(self.mean[index], self.variance[index])

    def blocks(self) -> "Iterator[tuple[slice, GaussianExperts]]":
        """All in one: the products work through their cells in blocks of their own."""
        yield slice(0, self.n_samples), self

    def only(self, index: np.ndarray, shown: Bool[np.ndarray, "row expert"]) -> "GaussianExperts":
        """Some of the samples, with all experts hidden that are not shown."""
        gone = np.logical_not(shown)[:, :, None]
        return GaussianExperts(
            np.where(gone, np.nan, self.mean[index]), np.where(gone, np.nan, self.variance[index])
        )

    @classmethod
    def joined(cls, parts: "Sequence[GaussianExperts]") -> "GaussianExperts":
        """Samples of several tables of the same experts, one after the other."""
        return cls(
            np.concatenate([p.mean for p in parts]), np.concatenate([p.variance for p in parts])
        )

    def targets(self, index: np.ndarray) -> "GaussianExperts":
        """The same experts on some of the targets."""
        return GaussianExperts(self.mean[:, :, index], self.variance[:, :, index])

    def with_variance(self, residual: Float[np.ndarray, "expert target"]) -> "GaussianExperts":
        """Experts without a variance of their own get one per target."""
        gaps = np.isnan(self.variance) & self.present
        if not gaps.any():
            return self
        return GaussianExperts(self.mean, np.where(gaps, residual, self.variance))


@dataclass(frozen=True)
class Gaussian:
    """Predictions of one predictor."""

    mean: Targets
    variance: Targets

    def flat(self) -> Float[np.ndarray, "sample column"]:
        """Means, then variances, side by side."""
        return np.concatenate([self.mean, self.variance], axis=1)


def as_moments(flat: Float[np.ndarray, "sample column"]) -> Gaussian:
    """Means, then variances, side by side, as a prediction: the inverse of ``Gaussian.flat``."""
    mean, variance = np.split(flat, 2, axis=1)
    return Gaussian(mean, variance)


def residual_variance(experts: GaussianExperts, y: Targets) -> Float[np.ndarray, "expert target"]:
    """Mean squared residual of each expert and target over the rows given.

    The target's own variance without any.
    """
    squares = (y[:, None] - experts.mean) ** 2
    known = ~np.isnan(squares)
    count = known.sum(axis=0)
    total = np.where(known, squares, 0.0).sum(axis=0)
    spread = np.nanvar(y, axis=0) + 1e-12
    return np.where(count > 0, np.maximum(total / np.maximum(count, 1), 1e-9 * spread), spread)


def nll(prediction: Gaussian, y: Targets) -> Targets:
    """Gaussian negative log-likelihood of each cell, in nats.

    NaN where the truth or the prediction is blank.
    """
    return 0.5 * (
        np.log(2 * np.pi * prediction.variance) + (y - prediction.mean) ** 2 / prediction.variance
    )


def mean_nll(prediction: Gaussian, y: Targets) -> float:
    """Mean over the cells that have both a truth and a prediction."""
    return float(np.nanmean(nll(prediction, y)))


def pool(
    experts: GaussianExperts,
    weights: Moments,
    sharpness: Float[np.ndarray, " target"] | float = 1.0,
) -> Gaussian:
    """Product of Gaussians raised to weights: precisions add, means are averaged by precision.

    Args:
        experts: With variances wherever present.
        weights: Float, (sample, expert, target); 0 where absent.
        sharpness: Factor on the precision, per target or for all.
    """
    total, mean = np.zeros((2, *weights[:, 0].shape))
    add_flops(4 * weights.size)
    for m in range(
        weights.shape[1]
    ):  # one expert at a time: few passes over large tables, little memory
        own, variance, present = experts.mean[:, m], experts.variance[:, m], experts.present[:, m]
        if present.all():
            precision = weights[:, m] / variance
        else:
            own = np.where(present, own, 0.0)
            precision = np.where(present, weights[:, m] / np.where(present, variance, 1.0), 0.0)
        total += precision
        precision *= own
        mean += precision
    predicted = total > 0
    safe = np.where(predicted, total, 1.0)
    return Gaussian(
        np.where(predicted, mean / safe, np.nan),
        np.where(predicted, 1 / (sharpness * safe), np.nan),
    )


def sharpness_of(prediction: Gaussian, y: Targets) -> Float[np.ndarray, " target"]:
    """Per target the factor on the precision that maximises the likelihood, shrunk towards 1 by a
    few rows.
    """
    ratio = (y - prediction.mean) ** 2 / prediction.variance
    known = ~np.isnan(ratio)
    total = np.where(known, ratio, 0.0).sum(axis=0)
    return np.asarray((known.sum(axis=0) + PRIOR_ROWS) / (total + PRIOR_ROWS))


def equal_share(experts: GaussianExperts) -> Moments:
    """1 / (number of experts present) per cell."""
    present = experts.present
    return present / np.maximum(present.sum(axis=1, keepdims=True), 1)
