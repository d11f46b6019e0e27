"""The published LogitProd's loss: rows as tensors, a linear gate, task plus penalty.

See docs/design/logitprod.md, section 1.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import gate_features
from pathfuse.fusion.categorical.logpool import Features
from pathfuse.fusion.categorical.published_recipe import PublishedRecipe
from pathfuse.types import LogProbs, Observed, PerSample

Tensor: TypeAlias = Any
"""``torch.Tensor``; the core knows no torch."""

PENALTY = 0.1
"""Strength of ``w'Rw``."""
CENSORED_SHARE = 0.6
"""Weight of censored cases: ``(1 - alpha)(u + v) + alpha u = u + 0.6 v`` with alpha 0.4."""


def need_torch() -> Any:
    """The module ``torch``.

    Raises:
        InputError: It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError(
            "LogitProd(variant='published') needs torch: pip install 'pathfuse[torch]'"
        ) from error
    return torch


def published_features(experts: Experts) -> Features:
    """All 3M + 2 features, unscaled; with two outcomes the margin too, as ``2 * confidence - 1``."""
    features, _ = gate_features(experts)
    m = experts.shape[1]
    if experts.shape[2] > 2:
        return features
    return np.concatenate([features[:, :m], 2 * features[:, :m] - 1, features[:, m:]], axis=1)


def loss_correlation(
    loss: Float[np.ndarray, "sample expert"], present: Bool[np.ndarray, "sample expert"]
) -> Float[np.ndarray, "expert expert"]:
    """R of the penalty, step by step as published; an absent cell is the expert's mean loss.

    See docs/design/logitprod.md, section 1.4.
    """
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, loss - np.where(present, loss, 0).sum(axis=0) / count, 0.0)
    n = max(len(loss), 2)
    unit = centred / np.maximum(np.sqrt((centred**2).sum(axis=0) / (n - 1)), 1e-6)
    raw = unit.T @ unit / (n - 1)
    shrunk = 0.9 * (raw + raw.T) / 2 + 0.1 * np.diag(raw).mean() * np.eye(len(raw))
    values, vectors = np.linalg.eigh(shrunk)
    clipped = np.maximum((vectors * np.maximum(values, 0)) @ vectors.T, 0)
    np.fill_diagonal(clipped, 0.0)
    return np.asarray(clipped)


def loss_shares(observed: Observed, recipe: PublishedRecipe) -> PerSample:
    """Weight of each sample's loss: 0.6 for the censored, 1 for everybody else."""
    if not recipe.survival:
        return np.ones(len(observed))
    return np.where(had_event(observed), 1.0, CENSORED_SHARE)


def had_event(observed: Observed) -> Bool[np.ndarray, " sample"]:
    """Whether the event is known to lie in one bin before the tail."""
    return np.asarray(((observed > 0).sum(axis=1) == 1) & (observed[:, -1] == 0))


def bin_concordance(risk: PerSample, observed: Observed) -> float:
    """Harrell's C with times known by their bin; NaN without a comparable pair.

    Higher risk, earlier event.
    """
    first, event = (observed > 0).argmax(axis=1), had_event(observed)
    inside = observed[np.arange(len(observed)), first] < 1  # "half" censoring names the bin itself
    time = np.where(event | inside, first, first - 1)
    later = (time[:, None] < time) | ((time[:, None] == time) & ~event)
    comparable = later & event[:, None]
    difference = risk[:, None] - risk
    right = np.where(np.abs(difference) <= 1e-8, 0.5, difference > 0)
    return float(right[comparable].mean()) if comparable.any() else float("nan")


@dataclass(frozen=True)
class TrainingRows:
    """Some rows as tensors, ready for training."""

    phi: Tensor
    """(sample, feature)"""
    log_prob: Tensor
    """(sample, outcome, expert)"""
    absent: Tensor
    """(sample, 1, expert): minus infinity where the expert is absent, else 0."""
    log_observed: Tensor
    """(sample, outcome)"""
    share: Tensor
    """(sample,): weight of the sample's loss."""

    @classmethod
    def of(cls, experts: Experts, observed: Observed, recipe: PublishedRecipe) -> "TrainingRows":
        """From arrays."""
        with np.errstate(divide="ignore"):
            log_observed = np.log(observed.astype(np.float64))
        absent = np.where(experts.present, 0.0, -np.inf)[:, None]
        features, log_prob = published_features(experts), experts.log_prob.transpose(0, 2, 1)
        arrays = (features, log_prob, absent, log_observed, loss_shares(observed, recipe))
        return cls(*(need_torch().from_numpy(np.ascontiguousarray(a)) for a in arrays))

    def rows(self, index: Any) -> "TrainingRows":
        """Some of the rows."""
        return TrainingRows(
            *(
                t[index]
                for t in (self.phi, self.log_prob, self.absent, self.log_observed, self.share)
            )
        )

    def __len__(self) -> int:
        return len(self.phi)


class Gates:
    """One linear gate, or one per outcome, starting at exactly 0: equal weights."""

    def __init__(self, n_gates: int, n_experts: int, n_features: int) -> None:
        torch = need_torch()
        self.gate = torch.zeros(
            n_gates, n_experts, n_features, dtype=torch.float64, requires_grad=True
        )
        self.bias = torch.zeros(n_gates, n_experts, dtype=torch.float64, requires_grad=True)

    def weights(self, part: TrainingRows) -> Tensor:
        """Weights, (sample, gate, expert)."""
        n_gates, n_experts, n_features = self.gate.shape
        scores = part.phi @ self.gate.reshape(-1, n_features).T
        return (scores.reshape(-1, n_gates, n_experts) + self.bias + part.absent).softmax(dim=2)

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """A real copy of gate and bias."""
        return self.gate.detach().numpy().copy(), self.bias.detach().numpy().copy()


@dataclass(frozen=True)
class Objective:
    """The published loss: task plus penalty."""

    recipe: PublishedRecipe
    quirks: frozenset[str]
    correlation: Tensor
    """R."""

    def pooled(self, weights: Tensor, part: TrainingRows) -> Tensor:
        """Fused log-probabilities, (sample, outcome).

        Under ``unnormalised_mutation`` they do not sum to 1.
        """
        scores = (weights * part.log_prob).sum(dim=2)
        return scores if "unnormalised_mutation" in self.quirks else scores.log_softmax(dim=1)

    def task(self, weights: Tensor, part: TrainingRows) -> Tensor:
        """Mean NLL of the observed sets."""
        log_prob = self.pooled(weights, part)
        if self.recipe.survival:
            log_prob = through_hazards(log_prob, gradient="no_survival_gradient" not in self.quirks)
        return -(part.share * (log_prob + part.log_observed).logsumexp(dim=1)).mean()

    def penalty(self, weights: Tensor) -> Tensor:
        """0.1 times the mean of ``w'Rw``; with gates per bin w is their mean."""
        mean = weights.mean(dim=1)
        return PENALTY * ((mean @ self.correlation) * mean).sum(dim=1).mean()

    def criterion(self, gates: Gates, part: TrainingRows, observed: Observed) -> float:
        """What chooses the epoch, lower is better: the task loss, or minus the C-index.

        0 for no rows, as published.
        """
        if not len(part):
            return 0.0
        with need_torch().no_grad():
            weights = gates.weights(part)
            if self.recipe.survival:
                concordance = bin_concordance(risk_of(self.pooled(weights, part).numpy()), observed)
                if not np.isnan(concordance):
                    return -concordance
            return float(self.task(weights, part).item())


def through_hazards(log_prob: Tensor, gradient: bool = True) -> Tensor:
    """An event distribution taken to hazards and back, clamped on the way as published.

    See docs/design/logitprod.md, section 1.5.
    """
    torch = need_torch()
    prob = log_prob.exp()
    before = (1 - (prob.cumsum(dim=1) - prob))[:, :-1]
    hazard = (prob[:, :-1] / before.clamp(min=1e-7)).clamp(1e-7, 1 - 1e-7)
    if not gradient:
        hazard = hazard.detach()
    survival = torch.log1p(-hazard).cumsum(dim=1).clamp(min=float(np.log(1e-7)))
    alive = torch.cat([torch.zeros_like(survival[:, :1]), survival[:, :-1]], dim=1)
    return torch.cat([alive + hazard.log(), survival[:, -1:]], dim=1)


def risk_of(log_prob: LogProbs) -> PerSample:
    """Minus the sum of the survival curve."""
    return np.asarray(-survival_at_edges(log_prob).sum(axis=1))
