"""Survival in discrete time: the set of bins that the truth allows, hazard logits, the likelihood
of that set.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.distributions.discrete_time import event_distribution, hazards
from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.experts.targets.balance import inverse_frequency
from pathfuse.experts.targets.base import Encoded, Linear, Raw, TargetKind
from pathfuse.experts.targets.linear import fit_each
from pathfuse.experts.targets.probabilities import TINY, log_odds

if TYPE_CHECKING:
    from torch import Tensor

    from pathfuse.experts.targets.distances import Distance, Pair


class SurvivalTargets(TargetKind):
    """See the module."""

    name: ClassVar[str] = "survival"
    against_imbalance: ClassVar[frozenset[str]] = frozenset({"balanced_sampling"})

    def encode(self, endpoint: Endpoint, truth: Mapping[str, Truth]) -> Encoded:
        """See ``TargetKind``; bins are named by number, and the tail has no output."""
        one = truth["all"]
        values = one.observed.astype(np.float64)
        return tuple(str(k + 1) for k in range(values.shape[1] - 1)), values, one.known[:, None]

    def strata(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: observed (or followed to the end), or censored."""
        return np.asarray((values.sum(axis=1) == 1).astype(np.int64))

    def columns(
        self, names: Sequence[str], raw: Raw, sd: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """See ``TargetKind``: ``hazard_logit_<bin>``."""
        return {f"hazard_logit_{name}": raw[:, k] for k, name in enumerate(names)}

    def mean_of(self, raws: Sequence[Raw]) -> Raw:
        """See ``TargetKind``."""
        mean = np.mean([np.exp(event_distribution(raw)) for raw in raws], axis=0)
        return log_odds(hazards(np.log(np.maximum(mean, TINY))))

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Minus the log-probability of the set of outcomes that the truth allows.

        A case censored inside a bin says that the event came later.
        """
        import torch

        return -torch.logsumexp(log_events(outputs) + torch.log(values), dim=1)

    def draw_weights(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: cases with an event in a bin, and all others."""
        event = (values.sum(axis=1) == 1) & (values[:, -1] == 0)
        return inverse_frequency(event.astype(np.int64))

    def fit_linear(
        self, table: np.ndarray, values: np.ndarray, known: np.ndarray, strength: float
    ) -> Linear:
        """One logistic regression per bin on the cases that reached it: the discrete hazard model."""
        n_bins = values.shape[1] - 1
        return fit_each(table, [_reached(values, k) for k in range(n_bins)], strength)

    def counts(self, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``TargetKind``: events of each bin among those who reached it and whose fate is known."""
        reached = [_reached(values, k) for k in range(values.shape[1] - 1)]
        cases = np.stack([inside for inside, _ in reached], axis=1) & known
        events = np.stack([event for _, event in reached], axis=1) & cases
        return events.astype(np.float64), cases.astype(np.float64)

    def link(self, rate: np.ndarray) -> Raw:
        """See ``TargetKind``."""
        return log_odds(rate)

    def distance(self, pair: "Pair", known: "Tensor | None", how: "Distance") -> "Tensor":
        """That of the embeddings, plus the KL divergence of the event distributions."""
        from pathfuse.experts.targets.distances import divergence, of_embeddings

        events = log_events(pair.student.flatten(0, 1)), log_events(pair.teachers.flatten(0, 1))
        apart = of_embeddings(pair, how)
        return apart + divergence(*events, how.direction).reshape(apart.shape)


def log_events(hazard_logit: "Tensor") -> "Tensor":
    """Log-probabilities of an event in each bin, and of none: ``p_t = S_{t-1} h_t``, tail ``S_T``.

    Args:
        hazard_logit: Float, (sample, bin).
    """
    import torch
    from torch.nn import functional

    log_survival = torch.cumsum(functional.logsigmoid(-hazard_logit), dim=1)
    before = functional.pad(log_survival[:, :-1], (1, 0))
    return torch.cat([before + functional.logsigmoid(hazard_logit), log_survival[:, -1:]], dim=1)


def _reached(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cases at risk in bin k whose fate there is known, and whether they had the event in it."""
    first = (values > 0).argmax(axis=1)
    event = (first == k) & (values.sum(axis=1) == 1)
    return (first > k) | event, event
