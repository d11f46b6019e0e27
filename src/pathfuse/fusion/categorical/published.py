"""LogitProd as its authors trained it: the recipe of ``LogitProd(variant="published")``, for
comparison.

Source: arXiv 2604.07779, written down in docs/design/logitprod.md, section 1. Kept: a linear gate
of zeros on unscaled features, Adam with weight decay, tiny learning rates with cosine warm
restarts, up to 600 epochs with patience on a validation part, batches of 16, the decorrelation
penalty, and for survival one gate per bin. The sharpness is 1.

Repaired, unless a quirk asks for it back (``published_recipe.QUIRKS``): the survival loss reaches
the gate, the best epoch is really returned, the product is always normalised, no row is dropped.
Two oddities have no switch, because they are the recipe itself: its penalty (R is not positive
semi-definite and has a zero diagonal, so picking one expert costs nothing: defect 8) and its
learning rates, which decide how far the gate can travel at all (defect 10).

Forced departures: the validation part is a fifth of the fit rows, stratified by outcome (patients
are not known here), R comes from the other four fifths, and the C-index that selects a survival
epoch knows times by their bin only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import set_nll
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.published_objective import (
    Gates,
    Objective,
    TrainingRows,
    loss_correlation,
    need_torch,
)
from pathfuse.fusion.categorical.published_recipe import checked_recipe, learning_rate
from pathfuse.fusion.inner_cv import strata_of
from pathfuse.types import Index, Observed, Params

BATCH = 16
MIN_ROWS = 5
"""Fit rows below which nothing can be held out for the choice of the epoch."""


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
        recipe: A key of ``published_recipe.RECIPES``.
        quirks: Keys of ``published_recipe.QUIRKS``.
        seed: Seed of the validation part and of the batches.
        epochs: At most so many; None: as published.

    Raises:
        InputError: torch is missing, a recipe or quirk is unknown, or there are too few rows.
    """
    training = train(experts, observed, recipe, quirks, seed, epochs)
    return as_params(training.gate, training.bias, experts.shape[2])


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


def validation_part(observed: Observed, seed: int) -> tuple[Index, Index]:
    """The rows to train on, and every fifth row, stratified by outcome, to choose the epoch on."""
    order = np.random.default_rng(seed).permutation(len(observed))
    order = order[np.argsort(strata_of(observed)[order], kind="stable")]
    held_out = np.arange(len(order)) % 5 == 2
    return np.sort(order[~held_out]), np.sort(order[held_out])


def batches(part: TrainingRows, rng: np.random.Generator, drop: bool) -> Iterator[TrainingRows]:
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
    training = TrainingRows.of(experts.rows(fit), observed[fit], chosen)
    validation = TrainingRows.of(experts.rows(held_out), observed[held_out], chosen)
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


def _step(adam: Any, objective: Objective, gates: Gates, batch: TrainingRows) -> None:
    weights = gates.weights(batch)
    adam.zero_grad()
    (objective.task(weights, batch) + objective.penalty(weights)).backward()
    adam.step()
