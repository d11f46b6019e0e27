"""A family: the kind of predictions that are fused, and what differs between kinds.

Methods of all families share one inner cross-validation, one council and one store. What they
predict is an array with
a row per sample: log-probabilities of the outcomes (categorical), or means, then variances of the
targets (Gaussian).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from pathfuse.fusion.certificate import Certificate
from pathfuse.fusion.expert_table import E, Prediction, Truth, View
from pathfuse.types import Params


class Family(ABC, Generic[E]):
    """What the shared parts ask about predictions of one kind."""

    name: ClassVar[str]
    endpoints: ClassVar[tuple[str, ...]]
    """The endpoints whose experts predict this; empty: all that no other family names."""
    may_be_flat: ClassVar[bool]
    """Whether the experts that are left may count for nothing: nothing is said of the outcomes then."""

    @abstractmethod
    def score(self, predicted: Prediction, truth: Truth) -> float:
        """Mean negative log-likelihood, in nats."""

    @abstractmethod
    def chain_scores(self, experts: E, truth: Truth) -> Float[np.ndarray, " expert"]:
        """The score of each expert over all rows, where it is absent with the best expert that is
        there.
        """

    @abstractmethod
    def strata(self, truth: Truth) -> Int[np.ndarray, " sample"]:
        """A number for each kind of truth, by which inner folds are stratified."""

    def narrow(self, experts: E, truth: Truth) -> tuple[E, Truth]:
        """The part of the columns that choices are made on, where all would take too long."""
        return experts, truth

    @abstractmethod
    def fit_pairs(
        self, seen: Sequence[View[E]], predictions: Sequence[Prediction], experts: E, truth: Truth
    ) -> list[tuple[float, float]]:
        """The two numbers of every set of present experts; see ``fusion.presence``."""

    @abstractmethod
    def corrected(self, predicted: Prediction, experts: E, presence: Params) -> Prediction:
        """Predictions of samples that lack an expert, as sure as the others deserve.

        The rest as they are.
        """

    def certify(
        self, predicted: Prediction, experts: E, truth: Truth, fallback: str | None = None
    ) -> Certificate:
        """The certificate of a fusion's fit-row predictions."""
        return Certificate(
            fused=self.score(predicted, truth),
            experts=tuple(float(x) for x in self.chain_scores(experts, truth)),
            n_scored=tuple(int(x) for x in experts.scored.sum(axis=0)),
            fallback=fallback,
        )


AnyFamily: TypeAlias = Family[Any]
