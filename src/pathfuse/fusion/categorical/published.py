"""LogitProd as its authors trained it: the recipe of ``LogitProd(variant="published")``, for
comparison.

Source: arXiv 2604.07779, written down in docs/design/logitprod.md, section 1. Kept: a linear gate
of zeros on unscaled features, Adam with weight decay, tiny learning rates with cosine warm
restarts, up to 600 epochs with patience on a validation part, batches of 16, the decorrelation
penalty, and for survival one gate per bin. The sharpness is 1.

Repaired, unless a quirk asks for it back (``QUIRKS``): the survival loss reaches the gate, the best
epoch is really returned, the product is always normalised, no row is dropped. Two oddities are no
switches, because they are the recipe
itself: its penalty (R is not positive semi-definite and has a zero diagonal, so picking one expert
costs nothing: defect 8) and its learning rates, which decide how far the gate can travel at all
(defect 10).

Forced departures: the validation part is a fifth of the fit rows, stratified by outcome (patients
are not known here), R comes from the other four fifths, and the C-index that selects a survival
epoch knows times by their bin only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.distributions.likelihood import set_nll
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import gate_features
from pathfuse.fusion.categorical.logpool import Features
from pathfuse.fusion.inner_cv import strata_of
from pathfuse.types import Index, LogProbs, Observed, Params, PerSample

Tensor: TypeAlias = Any
"""``torch.Tensor``; the core knows no torch."""

BATCH = 16
PENALTY = 0.1
"""Strength of ``w'Rw``."""
FIRST_RESTART, GROWTH = 10, 2
"""Epochs of the first cosine, and how much longer each one is than the one before."""
CENSORED_SHARE = 0.6
"""Weight of censored cases: ``(1 - alpha)(u + v) + alpha u = u + 0.6 v`` with alpha 0.4."""
MIN_ROWS = 5
"""Fit rows below which nothing can be held out for the choice of the epoch."""


@dataclass(frozen=True)
class PublishedRecipe:
    """Hyper-parameters of one family of tasks (docs/design/logitprod.md, section 1.7)."""

    weight_decay: float = 1e-4
    rate: float = 1e-5
    lowest_rate: float = 1e-6
    """Where each cosine ends; for tiles it lies above ``rate``, which therefore rises."""
    epochs: int = 600
    patience: int = 100
    survival: bool = False
    """One gate per outcome, the discrete survival loss, and the epoch with the highest C-index."""


RECIPES: dict[str, PublishedRecipe] = {
    "classification": PublishedRecipe(),
    "mutation": PublishedRecipe(patience=50),
    "survival": PublishedRecipe(weight_decay=1e-3, lowest_rate=1e-7, survival=True),
    "tile": PublishedRecipe(rate=1e-7, epochs=100, patience=10),
}

QUIRKS: dict[str, tuple[str, ...]] = {
    "no_survival_gradient": ("survival",),
    "last_epoch": tuple(RECIPES),
    "unnormalised_mutation": ("mutation",),
    "dropped_rows": ("classification", "mutation", "tile"),
}
"""Accidents of the released code that can be switched on, and the recipes that have them.

``no_survival_gradient`` (defect 1): hazards are cut off from the gradient, so the survival gate
learns from the penalty alone and prefers experts whose errors are unlike the others', skilled or
not.

``last_epoch`` (defect 2): the "best" state is an alias of the live one, so the last epoch is
returned, up to ``patience`` epochs after the best.

``unnormalised_mutation`` (defect 3): the loss is ``-z_y = sum_m w_m NLL_m``, linear in the weights;
its minimum is one expert, and combining earns nothing. (Predictions are normalised here all the
same.)

``dropped_rows`` (defect 9): the last partial batch is dropped, in training and in validation. Below
16 training rows nothing is trained and the weights stay uniform; below 16 validation rows every
epoch scores 0, so the first one wins.
"""


@dataclass(frozen=True)
class Training:
    """A trained gate and how it was chosen."""

    gate: Float[np.ndarray, "gate expert feature"]
    bias: Float[np.ndarray, "gate expert"]
    epoch: int
    """The epoch that was returned, counted from 1."""
    validation: tuple[float, ...]
    """The criterion after each epoch, lower is better: mean loss, or minus the C-index."""


def fit_published(
    experts: Experts,
    observed: Observed,
    recipe: str = "classification",
    quirks: Sequence[str] = (),
    seed: int = 0,
    epochs: int | None = None,
) -> Params:
    """The published fit, stored as any ``LogitProd`` is.

    Args:
        experts: Log-probabilities of the fit rows; for survival event distributions with their
            tail.
        observed: Their observed sets.
        recipe: A key of ``RECIPES``.
        quirks: Keys of ``QUIRKS``.
        seed: Seed of the validation part and of the batches.
        epochs: At most so many; None: as published.

    Raises:
        InputError: torch is missing, a recipe or quirk is unknown, or there are too few rows.
    """
    training = train(experts, observed, recipe, quirks, seed, epochs)
    return as_params(training.gate, training.bias, experts.shape[2])


def checked_recipe(recipe: str, quirks: Sequence[str]) -> PublishedRecipe:
    """The recipe of this name, if it has these quirks.

    Raises:
        InputError: It does not.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe '{recipe}' is unknown; choose one of {', '.join(RECIPES)}")
    for quirk in quirks:
        if quirk not in QUIRKS:
            raise InputError(f"quirk '{quirk}' is unknown; choose from {', '.join(QUIRKS)}")
        if recipe not in QUIRKS[quirk]:
            raise InputError(
                f"quirk '{quirk}' belongs to the recipe {' or '.join(QUIRKS[quirk])}, not to '{recipe}'"
            )
    return RECIPES[recipe]


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


def learning_rate(recipe: PublishedRecipe, epoch: int) -> float:
    """Rate of an epoch counted from 1: cosine annealing, restarting at epochs 11, 31, 71, 151, 311."""
    since, length = epoch - 1, FIRST_RESTART
    while since >= length:
        since -= length
        length *= GROWTH
    return (
        recipe.lowest_rate + (recipe.rate - recipe.lowest_rate) * (1 + cos(pi * since / length)) / 2
    )


def published_features(experts: Experts) -> Features:
    """All 3M + 2 features, unscaled; with two outcomes the margin too, as ``2 * confidence - 1``."""
    features, _ = gate_features(experts)
    m = experts.shape[1]
    if experts.shape[2] > 2:
        return features
    return np.concatenate([features[:, :m], 2 * features[:, :m] - 1, features[:, m:]], axis=1)


def as_params(
    gate: Float[np.ndarray, "gate expert feature"],
    bias: Float[np.ndarray, "gate expert"],
    n_outcomes: int,
) -> Params:
    """The gate in terms of ``gating.gate_features``: with two outcomes, the margin folded into the
    confidence.

    ``a * confidence + c * margin = (a + 2 c) * confidence - c``, exactly, for absent experts too.
    """
    if n_outcomes == 2:
        m = bias.shape[1]
        margin = gate[:, :, m : 2 * m]
        gate = np.concatenate([gate[:, :, :m] + 2 * margin, gate[:, :, 2 * m :]], axis=2)
        bias = bias - margin.sum(axis=2)
    n_features = gate.shape[2]
    return {
        "bias": bias[0] if len(bias) == 1 else bias,
        "log_sharpness": np.array(0.0),
        "gate": gate[0] if len(gate) == 1 else gate,
        "feature_mean": np.zeros(n_features),
        "feature_scale": np.ones(n_features),
    }


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


def validation_part(observed: Observed, seed: int) -> tuple[Index, Index]:
    """The rows to train on, and every fifth row, stratified by outcome, to choose the epoch on."""
    order = np.random.default_rng(seed).permutation(len(observed))
    order = order[np.argsort(strata_of(observed)[order], kind="stable")]
    held_out = np.arange(len(order)) % 5 == 2
    return np.sort(order[~held_out]), np.sort(order[held_out])


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
class Part:
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
    def of(cls, experts: Experts, observed: Observed, recipe: PublishedRecipe) -> "Part":
        """From arrays."""
        with np.errstate(divide="ignore"):
            log_observed = np.log(observed.astype(np.float64))
        absent = np.where(experts.present, 0.0, -np.inf)[:, None]
        features, log_prob = published_features(experts), experts.log_prob.transpose(0, 2, 1)
        arrays = (features, log_prob, absent, log_observed, loss_shares(observed, recipe))
        return cls(*(need_torch().from_numpy(np.ascontiguousarray(a)) for a in arrays))

    def rows(self, index: Any) -> "Part":
        """Some of the rows."""
        return Part(
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

    def weights(self, part: Part) -> Tensor:
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

    def pooled(self, weights: Tensor, part: Part) -> Tensor:
        """Fused log-probabilities, (sample, outcome).

        Under ``unnormalised_mutation`` they do not sum to 1.
        """
        scores = (weights * part.log_prob).sum(dim=2)
        return scores if "unnormalised_mutation" in self.quirks else scores.log_softmax(dim=1)

    def task(self, weights: Tensor, part: Part) -> Tensor:
        """Mean NLL of the observed sets."""
        log_prob = self.pooled(weights, part)
        if self.recipe.survival:
            log_prob = through_hazards(log_prob, gradient="no_survival_gradient" not in self.quirks)
        return -(part.share * (log_prob + part.log_observed).logsumexp(dim=1)).mean()

    def penalty(self, weights: Tensor) -> Tensor:
        """0.1 times the mean of ``w'Rw``; with gates per bin w is their mean."""
        mean = weights.mean(dim=1)
        return PENALTY * ((mean @ self.correlation) * mean).sum(dim=1).mean()

    def criterion(self, gates: Gates, part: Part, observed: Observed) -> float:
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


def batches(part: Part, rng: np.random.Generator, drop: bool) -> Iterator[Part]:
    """All rows in random order, by 16; ``drop`` leaves out the last partial batch."""
    n, shuffled = len(part), part.rows(need_torch().from_numpy(rng.permutation(len(part))))
    for start in range(0, n - BATCH + 1 if drop else n, BATCH):
        yield shuffled.rows(slice(start, start + BATCH))


def train(
    experts: Experts,
    observed: Observed,
    recipe: str,
    quirks: Sequence[str],
    seed: int,
    epochs: int | None = None,
) -> Training:
    """The published training; see ``fit_published``."""
    chosen, torch = checked_recipe(recipe, quirks), need_torch()
    if experts.n_samples < MIN_ROWS:
        raise InputError(
            f"the published recipe needs at least {MIN_ROWS} fit rows, not {experts.n_samples}"
        )
    _, m, k = experts.shape
    fit, held_out = validation_part(observed, seed)
    drop = "dropped_rows" in quirks
    if drop:
        held_out = held_out[: len(held_out) // BATCH * BATCH]
    training = Part.of(experts.rows(fit), observed[fit], chosen)
    validation = Part.of(experts.rows(held_out), observed[held_out], chosen)
    loss = np.stack([set_nll(experts.log_prob[fit, j], observed[fit]) for j in range(m)], axis=1)
    correlation = loss_correlation(loss * training.share.numpy()[:, None], experts.present[fit])
    objective = Objective(chosen, frozenset(quirks), torch.from_numpy(correlation))
    gates = Gates(k if chosen.survival else 1, m, training.phi.shape[1])
    adam = torch.optim.Adam(
        [gates.gate, gates.bias], lr=chosen.rate, weight_decay=chosen.weight_decay
    )
    rng, best, best_epoch, scores = np.random.default_rng(seed), gates.state(), 0, [np.inf]
    for epoch in range(1, 1 + (chosen.epochs if epochs is None else min(epochs, chosen.epochs))):
        adam.param_groups[0]["lr"] = learning_rate(chosen, epoch)
        for batch in batches(training, rng, drop):
            _step(adam, objective, gates, batch)
        scores.append(objective.criterion(gates, validation, observed[held_out]))
        if scores[-1] < scores[best_epoch]:
            best, best_epoch = gates.state(), epoch
        elif epoch - best_epoch >= chosen.patience:
            break
    if "last_epoch" in quirks:
        best, best_epoch = gates.state(), len(scores) - 1
    return Training(*best, best_epoch, tuple(scores[1:]))


def _step(adam: Any, objective: Objective, gates: Gates, batch: Part) -> None:
    weights = gates.weights(batch)
    adam.zero_grad()
    (objective.task(weights, batch) + objective.penalty(weights)).backward()
    adam.step()
