"""Figures of experts that predict probabilities of outcomes."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.calibration.conformal import PredictionIntervals, PredictionSets
from pathfuse.drift.figures import (
    DISAGREEMENT,
    DISTANCE,
    ENTROPY,
    MOST_OUTCOMES,
    PROBABILITY,
    SET_SIZE,
    Figure,
)
from pathfuse.types import Logits, LogProbs, PerSample


def categorical_figures(
    log_prob: Logits,
    fused: LogProbs,
    experts: Sequence[str],
    task: str,
    outcomes: Sequence[str],
    sets: PredictionSets | PredictionIntervals | None = None,
) -> Iterator[tuple[Figure, PerSample]]:
    """The figures of one task.

    Args:
        log_prob: Log-probabilities, (sample, expert, outcome); NaN where an expert is absent.
        fused: Fused log-probabilities; NaN where there are none.
        experts: Names of the experts.
        task: The task.
        outcomes: Names of the outcomes.
        sets: The model's prediction sets.

    Yields:
        Per expert its entropy, the Kullback-Leibler divergence from it to the mean of the others
        that scored the sample, in nats, and its probability of each outcome (of the second, where
        there are two); the experts' Jensen-Shannon divergence; the same of the fusion, and the size
        of its prediction set.
    """
    shown = _shown(outcomes)
    prob = np.exp(log_prob)
    present = ~np.isnan(prob[:, :, 0])
    known, count = np.where(present[:, :, None], prob, 0.0), present.sum(axis=1)
    total, own_entropy = known.sum(axis=1), np.full(present.shape, np.nan)
    for m, name in enumerate(experts):
        if not present[:, m].any():  # another label's expert
            continue
        own_entropy[:, m] = _entropy(log_prob[:, m])
        yield Figure(ENTROPY.name, name, task), own_entropy[:, m]
        if len(experts) > 1:
            others = _mean(total - known[:, m], count - present[:, m])
            yield Figure(DISTANCE.name, name, task), _divergence(log_prob[:, m], others)
        for k in shown:
            yield Figure(PROBABILITY.name, name, task, outcomes[k]), _rounded(prob[:, m, k])
    if len(experts) > 1:
        mean = _mean(total, count)
        with np.errstate(divide="ignore"):
            spread = (
                _entropy(np.log(mean))
                - _mean(np.nansum(own_entropy, axis=1, keepdims=True), count).ravel()
            )
        yield Figure(DISAGREEMENT.name, "", task), np.where(count > 1, spread, np.nan)
    yield Figure(ENTROPY.name, "", task), _entropy(fused)
    for k in shown:
        yield Figure(PROBABILITY.name, "", task, outcomes[k]), _rounded(np.exp(fused[:, k]))
    if isinstance(sets, PredictionSets):
        size = sets.of(fused).sum(axis=1).astype(np.float64)
        yield Figure(SET_SIZE.name, "", task), np.where(np.isnan(fused[:, 0]), np.nan, size)


def _rounded(prob: PerSample) -> PerSample:
    """How far below one in a million a probability lies says nothing."""
    return np.asarray(prob.round(6))


def _shown(outcomes: Sequence[str]) -> Sequence[int]:
    """Whose probabilities are watched: of two outcomes one says all."""
    if len(outcomes) > MOST_OUTCOMES:
        return ()
    return range(1, 2) if len(outcomes) == 2 else range(len(outcomes))


def _entropy(log_prob: LogProbs) -> PerSample:
    """In nats."""
    with np.errstate(invalid="ignore"):
        terms = np.exp(log_prob) * log_prob
    return -np.where(np.isneginf(log_prob), 0.0, terms).sum(axis=1)


def _mean(
    total: Float[np.ndarray, "sample outcome"], count: PerSample
) -> Float[np.ndarray, "sample outcome"]:
    """NaN where nothing was counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / np.where(count > 0, count, np.nan)[:, None])


def _divergence(log_prob: LogProbs, other: Float[np.ndarray, "sample outcome"]) -> PerSample:
    """Kullback-Leibler, in nats; both are floored well above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (np.exp(log_prob) * (log_prob - np.log(np.maximum(other, 1e-12)))).sum(axis=1)
    return np.where(np.isnan(other[:, 0]), np.nan, found)
