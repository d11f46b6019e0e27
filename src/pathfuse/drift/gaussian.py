"""Figures of experts that predict means and standard deviations."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.drift.figures import (
    DISAGREEMENT,
    DISTANCE,
    LEVEL,
    MOST_OUTCOMES,
    STATED_SD,
    Figure,
)
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.types import PerSample

Targets = Float[np.ndarray, "sample target"]


def scale_of(experts: GaussianExperts) -> Float[np.ndarray, " target"]:
    """What distances in each target are measured in: the standard deviation of all predicted means.

    1 where they do not vary.
    """
    flat = experts.mean.reshape(-1, experts.mean.shape[2])
    known = np.logical_not(np.isnan(flat))
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, flat, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, flat - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.where(spread > 0, spread, 1.0)


def gaussian_figures(
    experts: GaussianExperts,
    fused: Float[np.ndarray, "sample twice"],
    names: Sequence[str],
    targets: Sequence[str],
    scale: Float[np.ndarray, " target"],
) -> Iterator[tuple[Figure, PerSample]]:
    """The figures of a regression.

    Args:
        experts: Predicted means and variances.
        fused: Fused means, then variances.
        names: Names of the experts.
        targets: Names of the targets.
        scale: Of each target, from ``scale_of`` the fit rows.

    Yields:
        Per expert its mean of every target, the mean over targets of its distance from the mean of
        the others, and of the standard deviation that it states (its logarithm); the standard
        deviation among experts; of the fusion its means and its standard deviation.
    """
    present = experts.present
    known, count = np.where(present, experts.mean, 0.0), present.sum(axis=1)
    total = known.sum(axis=1)
    for m, name in enumerate(names):
        if len(names) > 1:
            others = _mean(total - known[:, m], count - present[:, m])
            apart = np.abs(experts.mean[:, m] - others) / scale
            yield Figure(DISTANCE.name, name), _over_targets(apart)
        yield from _levels(experts.mean[:, m], name, targets)
        variance = experts.variance[:, m]
        if not np.isnan(variance).all():
            yield (
                Figure(STATED_SD.name, name),
                _over_targets(0.5 * np.log(variance) - np.log(scale)),
            )
    if len(names) > 1:
        mean = _mean(total, count)
        squares = np.where(present, experts.mean - mean[:, None], 0.0) ** 2
        spread = np.sqrt(_mean(squares.sum(axis=1), count)) / scale
        yield Figure(DISAGREEMENT.name), _over_targets(np.where(count > 1, spread, np.nan))
    mean, variance = np.split(fused, 2, axis=1)
    yield from _levels(mean, "", targets)
    with np.errstate(invalid="ignore"):
        yield Figure(STATED_SD.name), _over_targets(0.5 * np.log(variance) - np.log(scale))


def _levels(mean: Targets, name: str, targets: Sequence[str]) -> Iterator[tuple[Figure, PerSample]]:
    if len(targets) > MOST_OUTCOMES:
        return
    for g, target in enumerate(targets):
        yield Figure(LEVEL.name, name, outcome=target), mean[:, g]


def _mean(total: Targets, count: np.ndarray) -> Targets:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / np.where(count > 0, count, np.nan))


def _over_targets(values: Targets) -> PerSample:
    """Mean over the targets that are known."""
    known = np.logical_not(np.isnan(values))
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
