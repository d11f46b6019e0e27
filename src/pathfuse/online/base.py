"""What every method of weighing candidates over time is: weights, and what a label makes of them.

A candidate is anything that predicts a distribution over outcomes: the fusion, one of its methods,
one expert. The adapted prediction is their linear mixture. A candidate that has no prediction for a
sample sleeps there (NaN): the others share its weight, and its own weight stays as if it had
predicted what the mixture did (Freund, Schapire, Singer & Warmuth, Using and combining predictors
that specialize, STOC 1997; Chernov & Vovk, Prediction with expert evaluators' advice, ALT 2009).

A method is a function of its options alone: what it has learned is a ``State``, an array that every
label turns into the next one. So a state can be kept, compared and gone back to.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.errors import InputError

State: TypeAlias = Float[np.ndarray, "setting candidate"]
"""Logarithms; a row for each setting (rate of change, learning rate) that a method mixes over."""
CandidateWeights: TypeAlias = Float[np.ndarray, " candidate"]
LogLikelihoods: TypeAlias = Float[np.ndarray, " candidate"]
"""Log-probability of what was observed, for one sample; NaN: asleep."""
Awake: TypeAlias = Bool[np.ndarray, " candidate"]
SUM_TOLERANCE = 1e-9


class Weigher(ABC):
    """Base of the methods.

    Args:
        prior: Float, (candidate,), positive, sums to 1: the weights before any label.

    Raises:
        InputError: The prior is no distribution, or holds a 0.
    """

    name: ClassVar[str]

    def __init__(self, prior: CandidateWeights) -> None:
        self.prior = np.array(prior, dtype=np.float64)
        good = self.prior.ndim == 1 and len(self.prior) and (self.prior > 0).all()
        if not good or abs(self.prior.sum() - 1) > SUM_TOLERANCE:
            raise InputError("prior weights must be above 0 and sum to 1")

    @abstractmethod
    def start(self) -> State:
        """The state before any label."""

    @abstractmethod
    def weights(self, state: State, awake: Awake) -> CandidateWeights:
        """Weights for one sample: they sum to 1, and those asleep have 0; all 0 if nobody is awake."""

    @abstractmethod
    def learn(self, state: State, log_likelihood: LogLikelihoods) -> State:
        """The state after one more label.

        Args:
            state: As it was.
            log_likelihood: Of that label under each candidate.
        """


def log_sum(terms: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Logarithm of a sum of exponentials; -inf of nothing but -inf."""
    top = np.max(terms, axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(terms - safe).sum(axis=axis, keepdims=True)) + safe
    return np.asarray(total.squeeze() if axis is None else total.squeeze(axis=axis))


def shares(log_weights: State, awake: Awake) -> CandidateWeights:
    """Weights of those awake, summed over the settings."""
    if not awake.any():
        return np.zeros(len(awake))
    total = np.where(awake, log_sum(log_weights, axis=0), -np.inf)
    return np.asarray(np.exp(total - log_sum(total)))


def conditioned(log_weights: State, log_likelihood: LogLikelihoods) -> State:
    """Bayes' rule: weights times likelihoods, normalised; those asleep say what the mixture says."""
    awake = ~np.isnan(log_likelihood)
    if not awake.any():
        return log_weights
    said = np.where(awake, log_likelihood, 0.0)
    own = np.where(awake, log_weights, -np.inf)
    mixture = log_sum(own + said) - log_sum(own)
    joint = log_weights + np.where(awake, said, mixture)
    return np.asarray(joint - log_sum(joint))
