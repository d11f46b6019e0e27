"""What every way of being trained answers: the form of the truth, the loss of outputs, and the
columns they become.

torch is imported inside the functions that need it, since tables are read without it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.types import Index

if TYPE_CHECKING:
    from torch import Tensor

    from pathfuse.experts.targets.distances import Distance, Pair

Raw = Float[np.ndarray, "sample output"]
"""Outputs of one model: class logits, log-odds per label, hazard logits per bin, or targets in
their own unit."""
Encoded = tuple[
    tuple[str, ...], Float[np.ndarray, "sample column"], Bool[np.ndarray, "sample column"]
]
"""Names of the outputs, values and what is known of them; see ``Targets``."""
Scales = dict[str, np.ndarray]
"""Arrays that bring targets and outputs from one unit into the other, by name."""
Linear = tuple[np.ndarray, np.ndarray]
"""Coefficients (dim, output) and intercepts (output,)."""


class TargetKind(ABC):
    """One way of being trained. Instances have no state; ``targets/registry.py`` names them all."""

    name: ClassVar[str]
    """What an endpoint's ``trained_as`` and a stored expert call it."""
    measure: ClassVar[str] = "negative log-likelihood"
    """What the loss is, in words."""
    scaled: ClassVar[bool] = False
    """Whether targets are numbers with a unit: scaled for training, and predicted with a standard
    deviation."""
    one_class: ClassVar[bool] = False
    """Whether a sample has one class, which its tiles can be told to show."""
    against_imbalance: ClassVar[frozenset[str]] = frozenset()
    """Options of the recipe about rare outcomes that mean something here."""
    of_counts: ClassVar[bool] = False
    """Whether targets are counts, which are never negative."""
    likelihoods: ClassVar[Mapping[str, str]] = {}
    """The recipe's other likelihoods that it allows, and the kind that each makes of it."""

    def n_outputs(self, n_names: int) -> int:
        """How many outputs a head has for so many targets."""
        return n_names

    def n_shared(self, n_names: int) -> int:
        """How many numbers are learned that are the same for all samples.

        They follow the outputs of every sample.
        """
        return 0

    @abstractmethod
    def encode(self, endpoint: Endpoint, truth: Mapping[str, Truth]) -> Encoded:
        """The truth of a samples table in the form that the loss wants."""

    @abstractmethod
    def strata(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Int, (row,): a small number of groups that folds should hold in equal shares."""

    @abstractmethod
    def columns(
        self, names: Sequence[str], raw: Raw, sd: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """The contract's prediction columns (docs/reference/tables.md)."""

    def average(self, raws: Sequence[Raw]) -> Raw:
        """The outputs of the mean of several models' distributions; one model's as they are."""
        return np.mean(raws, axis=0) if len(raws) == 1 else self.mean_of(raws)

    @abstractmethod
    def mean_of(self, raws: Sequence[Raw]) -> Raw:
        """``average`` of two models or more."""

    @abstractmethod
    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Loss of each sample: the negative log-likelihood of the endpoint, as in evaluation.

        See docs/design/fusion.md, section 1.

        Args:
            outputs: Float, (sample, output).
            values: Float, (sample, column), see ``Targets``; those that ``scale`` gives.
            known: Bool, (sample, column).

        Returns:
            Float, (sample,).
        """

    def losses(self, outputs: "Tensor", values: "Tensor") -> "Tensor":
        """The parts of ``loss``, whose mean over what is known it is.

        Float, (sample, part), as many as ``known`` has columns. Asked for by ``emphasised_loss``.
        """
        raise NotImplementedError

    def emphasised_loss(
        self,
        outputs: "Tensor",
        values: "Tensor",
        known: "Tensor",
        weights: "Tensor | None",
        gamma: float,
    ) -> "Tensor":
        """``loss``, its parts weighed, or focused on what is not predicted well yet.

        Args:
            outputs: Float, (sample, output).
            values: Float, (sample, column).
            known: Bool, (sample, column).
            weights: Float, (sample, part); None: all 1.
            gamma: Focal loss (Lin et al. 2017): a part whose truth has the probability p counts
                ``(1 - p) ** gamma``.

        Returns:
            Float, (sample,).
        """
        each = self.losses(outputs, values)
        if gamma:
            each = each * (-(-each).expm1()).clamp(min=1e-6) ** gamma
        if weights is not None:
            each = each * weights
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def class_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Float, (row, part): weights of ``losses`` by inverse frequency of the outcome, mean 1."""
        raise NotImplementedError

    def draw_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Float, (row,): how often a row is drawn so that rare outcomes are seen as often as others,
        mean 1.
        """
        raise NotImplementedError

    def corrected(self, outputs: "Tensor", offset: "Tensor | None", gamma: float) -> "Tensor":
        """What a head that was trained with emphasis predicts.

        Args:
            outputs: Float, (sample, output), for which the loss of training is smallest.
            offset: Float, (output,): what weights or draws add to them; None: nothing.
            gamma: Of focal loss.
        """
        outputs = self.before_focus(outputs, gamma) if gamma else outputs
        return outputs if offset is None else outputs - offset.to(outputs)

    def before_focus(self, outputs: "Tensor", gamma: float) -> "Tensor":
        """Outputs of the probabilities for which those of ``outputs`` have the smallest focal loss."""
        raise NotImplementedError

    @abstractmethod
    def fit_linear(
        self, table: np.ndarray, values: np.ndarray, known: np.ndarray, strength: float
    ) -> Linear:
        """One linear model per output.

        Args:
            table: Float, (unit, dim), standardised features.
            values: Float, (unit, column).
            known: Bool, (unit, column).
            strength: C; ridge takes 1 / C.
        """

    @abstractmethod
    def counts(self, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a mean over units divides to a rate: ``sums / cases`` of each output.

        Args:
            values: Float, (unit, column).
            known: Bool, (unit, column).

        Returns:
            Sums and cases, both Float (unit, output); a unit that is no case adds to neither.
        """

    @abstractmethod
    def link(self, rate: np.ndarray) -> Raw:
        """Outputs of which ``rate`` are the probabilities, hazards or means."""

    @abstractmethod
    def distance(self, pair: "Pair", known: "Tensor | None", how: "Distance") -> "Tensor":
        """How far a student is from each of its teachers.

        Args:
            pair: Outputs and embeddings of both.
            known: Bool, (bag, output): labels that count, of several labels; None counts all.
            how: Temperature, direction and distance.

        Returns:
            Float, (bag, teacher).
        """

    def scale(
        self, values: np.ndarray, known: np.ndarray, rows: Index
    ) -> tuple[np.ndarray, Scales]:
        """Values as training wants them, and the scales found on some rows; as they are by default."""
        return values, {}

    def scale_outputs(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """Outputs in the targets' unit as ``loss`` wants them, the inverse of ``in_own_unit``."""
        return outputs

    def in_own_unit(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """Outputs in the unit of the targets, the inverse of ``scale``.

        Where there are two columns per target, the second half are standard deviations.
        """
        return outputs
