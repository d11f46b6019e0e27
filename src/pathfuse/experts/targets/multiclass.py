"""One of several classes: the set of classes that the truth allows, class logits, cross-entropy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.experts.targets.balance import inverse_frequency, log_before_focus
from pathfuse.experts.targets.base import Encoded, Linear, Raw, TargetKind
from pathfuse.experts.targets.linear import fit_classes
from pathfuse.experts.targets.probabilities import TINY

if TYPE_CHECKING:
    from torch import Tensor

    from pathfuse.experts.targets.distances import Distance, Pair


class MulticlassTargets(TargetKind):
    """See the module."""

    name: ClassVar[str] = "multiclass"
    one_class: ClassVar[bool] = True
    against_imbalance: ClassVar[frozenset[str]] = frozenset(
        {"class_weights", "balanced_sampling", "focal"}
    )

    def encode(self, endpoint: Endpoint, truth: Mapping[str, Truth]) -> Encoded:
        """See ``TargetKind``."""
        one = truth["all"]
        return endpoint.outcomes, one.observed.astype(np.float64), one.known[:, None]

    def strata(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: the classes."""
        return np.asarray(values.argmax(axis=1))

    def columns(
        self, names: Sequence[str], raw: Raw, sd: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """See ``TargetKind``: ``logit_<class>``."""
        return {f"logit_{name}": raw[:, k] for k, name in enumerate(names)}

    def mean_of(self, raws: Sequence[Raw]) -> Raw:
        """See ``TargetKind``."""
        return np.log(np.maximum(np.mean([np.exp(log_softmax(raw)) for raw in raws], axis=0), TINY))

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Minus the log-probability of the set of classes that the truth allows."""
        return self.losses(outputs, values)[:, 0]

    def losses(self, outputs: "Tensor", values: "Tensor") -> "Tensor":
        """See ``TargetKind``: one part."""
        import torch

        log_prob = outputs.log_softmax(dim=1) + torch.log(values)
        return -torch.logsumexp(log_prob, dim=1, keepdim=True)

    def class_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``."""
        return self.draw_weights(values, known)[:, None]

    def draw_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: every class as often."""
        return inverse_frequency(values.argmax(axis=1))

    def before_focus(self, outputs: "Tensor", gamma: float) -> "Tensor":
        """See ``TargetKind``."""
        import torch

        log_prob = outputs.double().log_softmax(dim=1)
        itself = torch.eye(log_prob.shape[1], dtype=torch.bool, device=log_prob.device)
        others = log_prob[:, None, :].masked_fill(itself, -torch.inf)
        return log_before_focus(log_prob, others.logsumexp(dim=2), gamma)

    def fit_linear(
        self, table: np.ndarray, values: np.ndarray, known: np.ndarray, strength: float
    ) -> Linear:
        """Multinomial logistic regression."""
        return fit_classes(table, values.argmax(axis=1), values.shape[1], strength)

    def counts(self, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``TargetKind``: a unit counts for its class, or in equal parts for those allowed."""
        shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
        return shares * known, np.broadcast_to(known, values.shape).astype(np.float64)

    def link(self, rate: np.ndarray) -> Raw:
        """See ``TargetKind``."""
        return np.asarray(np.log(np.maximum(rate, TINY)))

    def distance(self, pair: "Pair", known: "Tensor | None", how: "Distance") -> "Tensor":
        """KL divergence of the classes at a temperature T, times T squared."""
        from pathfuse.experts.targets.distances import of_classes

        return of_classes(pair, how)
