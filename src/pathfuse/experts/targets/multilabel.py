"""Several yes-or-no labels: 0 or 1 each, log-odds, binary cross-entropy of the known ones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import expit

from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.experts.targets.balance import inverse_frequency, log_before_focus
from pathfuse.experts.targets.base import Encoded, Linear, Raw, TargetKind
from pathfuse.experts.targets.linear import fit_each
from pathfuse.experts.targets.probabilities import log_odds

if TYPE_CHECKING:
    from torch import Tensor

    from pathfuse.experts.targets.distances import Distance, Pair


class MultilabelTargets(TargetKind):
    """See the module."""

    name: ClassVar[str] = "multilabel"
    against_imbalance: ClassVar[frozenset[str]] = frozenset(
        {"class_weights", "balanced_sampling", "focal"}
    )

    def encode(self, endpoint: Endpoint, truth: Mapping[str, Truth]) -> Encoded:
        """See ``TargetKind``."""
        labels = endpoint.tasks
        values = np.stack([truth[label].observed[:, 1] for label in labels], axis=1)
        known = np.stack([truth[label].known for label in labels], axis=1)
        return labels, values.astype(np.float64), known

    def strata(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: whether any label is yes."""
        return np.asarray((values * known).any(axis=1).astype(np.int64))

    def columns(
        self, names: Sequence[str], raw: Raw, sd: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """See ``TargetKind``: ``logit_<label>``."""
        return {f"logit_{name}": raw[:, k] for k, name in enumerate(names)}

    def mean_of(self, raws: Sequence[Raw]) -> Raw:
        """See ``TargetKind``."""
        return log_odds(np.mean([expit(raw) for raw in raws], axis=0))

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Mean binary cross-entropy of the known labels."""
        return (self.losses(outputs, values) * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def losses(self, outputs: "Tensor", values: "Tensor") -> "Tensor":
        """See ``TargetKind``: one part per label."""
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(outputs, values, reduction="none")

    def class_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: yes and no of each label, among the rows where it is known."""
        weights = np.ones(values.shape)
        for k, there in enumerate(known.T):
            if there.any():
                weights[there, k] = inverse_frequency(values[there, k])
        return weights

    def draw_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: rows by the rarest label that they have, those without any as a group
        of their own.
        """
        positive = (values > 0) & known
        share = positive.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        rarest = np.where(positive, share, np.inf).argmin(axis=1)
        return inverse_frequency(np.where(positive.any(axis=1), rarest, -1))

    def before_focus(self, outputs: "Tensor", gamma: float) -> "Tensor":
        """See ``TargetKind``."""
        from torch.nn import functional

        yes, no = functional.logsigmoid(outputs.double()), functional.logsigmoid(-outputs.double())
        return log_before_focus(yes, no, gamma) - log_before_focus(no, yes, gamma)

    def fit_linear(
        self, table: np.ndarray, values: np.ndarray, known: np.ndarray, strength: float
    ) -> Linear:
        """One logistic regression per label, on the units where it is known."""
        return fit_each(table, list(zip(known.T, values.T, strict=True)), strength)

    def counts(self, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``TargetKind``: positives among the known."""
        return values * known, known.astype(np.float64)

    def link(self, rate: np.ndarray) -> Raw:
        """See ``TargetKind``."""
        return log_odds(rate)

    def distance(self, pair: "Pair", known: "Tensor | None", how: "Distance") -> "Tensor":
        """KL divergence of yes and no at a temperature T, times T squared, averaged over labels."""
        from pathfuse.experts.targets.distances import of_labels

        return of_labels(pair, known, how)
