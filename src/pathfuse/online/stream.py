"""Samples and labels in the order in which they come: labels may be late, and in any order."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.online.base import CandidateWeights, State, Weigher

NEVER = -1
"""The label of a sample is not there yet."""


@dataclass(frozen=True)
class Order:
    """What was known when each sample was predicted."""

    learned: Int[np.ndarray, " label"]
    """The samples in the order in which their labels were learned."""
    n_known: Int[np.ndarray, " sample"]
    """How many labels had been learned when each sample was predicted."""


def arrivals(due: Int[np.ndarray, " sample"], first: int = 0) -> Order:
    """The order of labels, from when each is there.

    Args:
        due: For each sample the position of the first sample that is predicted after its label
            came; ``NEVER`` if it is not there. Labels that are due beyond the last sample wait.
        first: Labels that are due earlier came just before this sample.

    Examples:
        Four samples whose labels come two samples late; the last label is not there.

        >>> order = arrivals(np.array([2, 3, 4, NEVER]))
        >>> order.learned.tolist(), order.n_known.tolist()
        ([0, 1, 2], [0, 0, 1, 2])
    """
    n = len(due)
    when = np.maximum(due, first)
    there = np.flatnonzero((due != NEVER) & (when <= n))
    learned = there[np.argsort(when[there], kind="stable")]
    return Order(learned, np.searchsorted(when[learned], np.arange(n), side="right"))


def late_by(n_samples: int, delay: int) -> Int[np.ndarray, " sample"]:
    """``due`` of labels that all come so many samples late; 0: before the next sample."""
    return np.arange(n_samples) + delay + 1


@dataclass(frozen=True)
class Followed:
    """What a method made of a stream."""

    sample_weights: Float[np.ndarray, "sample candidate"]
    """The weights that each sample was predicted with; those asleep have 0."""
    label_weights: Float[np.ndarray, "label candidate"]
    """After each label, for a sample that all candidates predict."""
    state: State
    """After the last label."""

    @property
    def last(self) -> CandidateWeights | None:
        """The weights after the last label; None before the first."""
        return self.label_weights[-1] if len(self.label_weights) else None


def states(
    weigher: Weigher, log_likelihood: Float[np.ndarray, "sample candidate"], learned: np.ndarray
) -> Iterator[State]:
    """The state before any label, then after each."""
    state = weigher.start()
    yield state
    for n in learned:
        state = weigher.learn(state, log_likelihood[n])
        yield state


def follow(
    weigher: Weigher,
    log_likelihood: Float[np.ndarray, "sample candidate"],
    awake: Bool[np.ndarray, "sample candidate"],
    order: Order,
) -> Followed:
    """Weights over a stream: each sample's rest on nothing but the labels that were there.

    Args:
        weigher: The method.
        log_likelihood: Of each label under each candidate; NaN where a candidate slept, or the label
            is not there.
        awake: Which candidates predict each sample.
        order: Of samples and labels.
    """
    n, k = awake.shape
    everybody = np.ones(k, dtype=bool)
    of_samples, of_labels = np.zeros((n, k)), np.zeros((len(order.learned), k))
    by_known = np.argsort(order.n_known, kind="stable")
    at, state = 0, weigher.start()
    for label, state in enumerate(states(weigher, log_likelihood, order.learned)):
        if label:
            of_labels[label - 1] = weigher.weights(state, everybody)
        while at < n and order.n_known[by_known[at]] == label:
            of_samples[by_known[at]] = weigher.weights(state, awake[by_known[at]])
            at += 1
    return Followed(of_samples, of_labels, state)


def mixed(
    weights: Float[np.ndarray, "sample candidate"],
    log_prob: Float[np.ndarray, "sample candidate outcome"],
) -> Float[np.ndarray, "sample outcome"]:
    """The linear mixture of the candidates' distributions; NaN where all sleep."""
    prob = np.where(np.isnan(log_prob), 0.0, np.exp(log_prob))
    total = np.zeros((len(weights), log_prob.shape[2]))
    for k in range(weights.shape[1]):  # always in the same order, whatever the number of samples
        total += weights[:, k, None] * prob[:, k]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(total) - np.log(total.sum(axis=1, keepdims=True))
    there = weights.sum(axis=1) > 0
    return np.where(there[:, None], found, np.nan)
