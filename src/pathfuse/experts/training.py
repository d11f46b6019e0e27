"""Training one head: packed batches, early stopping on other patients, repeatable, and resumable
after a kill.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathfuse.errors import InputError
from pathfuse.experts.batches import Batch, batches
from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Head
from pathfuse.experts.heads.make import make_head
from pathfuse.experts.imbalance import Emphasis, emphasis_of
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.linear_start import correction_helps, fit_linear_path
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.registry import target_kind
from pathfuse.experts.work import Work, forward_batch, truths_of, unit_losses
from pathfuse.files.digests import digest_of
from pathfuse.progress import OnEpoch
from pathfuse.training.checkpoint import read_checkpoint, write_checkpoint
from pathfuse.training.device import device_of
from pathfuse.training.state import TrainingState

FIRST_RESTART, GROWTH = 10, 2
"""Warm restarts fall on epochs 10, 30, 70, ... (docs/design/logitprod.md, section 1.7)."""
LOWEST_RATE = 1e-6


@dataclass
class Trained:
    """The chosen epoch."""

    head: Head
    history: list[dict[str, Any]]
    """A line per epoch; of a head with a linear path also one of epoch 0."""
    unrefitted: dict[str, Tensor] | None = None
    """The weights before the linear path was fitted to the validation rows too, so that they may
    say how large errors are on these; None: it was not."""
    linear_flops: float = 0.0
    """Operations of the linear path."""


def rate_at(recipe: TrainingRecipe, epoch: int) -> float:
    """Learning rate of an epoch, counted from 0."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    position, period = epoch, recipe.epochs
    if recipe.schedule == "warm_restarts":
        period = FIRST_RESTART
        while position >= period:
            position, period = position - period, period * GROWTH
    low = min(LOWEST_RATE, recipe.learning_rate)
    return low + (recipe.learning_rate - low) * (1 + math.cos(math.pi * position / period)) / 2


def train(
    work: Work,
    recipe: TrainingRecipe,
    seed: int,
    checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Trains a head and returns it as it was after its best epoch.

    Args:
        work: Bags and truth.
        recipe: Everything else.
        seed: Of the weights, the order, the dropout and the tiles; each epoch has its own stream,
            so that a resumed run equals an undisturbed one.
        checkpoint: File to go on from, and to write after every epoch; one that is damaged or of
            another recipe or seed is overwritten.
        on_epoch: Called after every epoch.
    """
    device = device_of(recipe.device)
    way = target_kind(work.targets.kind, recipe.likelihood)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inputs = work.inputs or Inputs(work.reader.folder.views)
        head = make_head(recipe, inputs, work.targets.n_outputs, way).to(device)
    rows = np.array([unit.sample for unit in work.fitted])
    emphasis = emphasis_of(work.targets, way, rows, recipe)
    if emphasis.offset is not None:
        head.offset = torch.from_numpy(emphasis.offset).float().to(device)
    flops = fit_linear_path(head, work, work.fitted, recipe, seed)
    adam = torch.optim.Adam(
        head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    of = digest_of([recipe.model_dump(exclude={"cache_mb", "device"}), seed])
    state = None
    if checkpoint is not None:
        state = read_checkpoint(checkpoint, of, TrainingState, head, head.load_state_dict, adam)
    if state is None:
        state = _start(head, work, recipe, device)
    while state.epoch < recipe.epochs and not _stale(state, recipe):
        line = _run_epoch(head, adam, work, recipe, device, seed, state.epoch, emphasis)
        _note(state, line, head, work, recipe)
        if checkpoint is not None:
            write_checkpoint(checkpoint, of, state, head, head.state_dict(), adam)
        if on_epoch is not None:
            on_epoch(line)
    return _chosen(head, state, work, recipe, seed, flops)


def _chosen(
    head: Head,
    state: TrainingState,
    work: Work,
    recipe: TrainingRecipe,
    seed: int,
    linear_flops: float,
) -> Trained:
    """The best epoch, with a linear path of all rows, those of early stopping too."""
    head.load_state_dict(state.best)
    chooses = head.linear_path is not None and bool(work.validation)
    if chooses and recipe.min_epochs == 0 and not correction_helps(head, work, recipe):
        state.best_epoch = -1
        head.silence()
    for line in state.history:
        line["chosen"] = line["epoch"] == state.best_epoch + 1
    if not chooses:
        return Trained(head, state.history, None, linear_flops)
    before = _copy(head)
    every = [*work.fitted, *work.validation]
    linear_flops += fit_linear_path(head, work, every, recipe, seed)
    return Trained(head, state.history, before, linear_flops)


def _start(head: Head, work: Work, recipe: TrainingRecipe, device: str) -> TrainingState:
    """Before the first epoch: a linear path alone is a model that may be chosen."""
    if head.linear_path is None:
        return TrainingState(best=_copy(head))
    head.silence()
    state = TrainingState(best=_copy(head))
    losses = [
        mean_loss(head, work, units, recipe, device) if units else math.nan
        for units in (work.fitted, work.validation)
    ]
    state.history = [
        {"epoch": 0, "train_loss": losses[0], "validation_loss": losses[1], "rate": 0.0}
    ]
    if recipe.min_epochs == 0 and work.validation:
        state.best_value = -losses[1]
    return state


def _run_epoch(
    head: Head,
    adam: torch.optim.Adam,
    work: Work,
    recipe: TrainingRecipe,
    device: str,
    seed: int,
    epoch: int,
    emphasis: Emphasis,
) -> dict[str, Any]:
    """Trains for one epoch and validates.

    Returns:
        Its line of the history.

    Raises:
        InputError: Training diverged.
    """
    rate = rate_at(recipe, epoch)
    for group in adam.param_groups:
        group["lr"] = rate
    train_loss = _epoch(head, adam, work, recipe, device, [seed, epoch], emphasis)
    validation_loss = (
        mean_loss(head, work, work.validation, recipe, device) if work.validation else math.nan
    )
    if not _sound(head, train_loss, validation_loss if work.validation else 0.0):
        raise InputError(
            f"training diverged in epoch {epoch + 1}; lower the learning rate or standardize"
        )
    return {
        "epoch": epoch + 1,
        "train_loss": train_loss,
        "validation_loss": validation_loss,
        "rate": rate,
    }


def _note(
    state: TrainingState, line: dict[str, Any], head: Head, work: Work, recipe: TrainingRecipe
) -> None:
    """Notes an epoch that has ended, and the head's weights if it is the best so far."""
    state.history.append(line)
    value = -line["validation_loss"]
    allowed = state.epoch + 1 >= min(recipe.min_epochs, recipe.epochs)
    if allowed and (not work.validation or value > state.best_value):
        state.best_epoch, state.best_value, state.best = state.epoch, value, _copy(head)
    state.epoch += 1


def _sound(head: Head, *losses: float) -> bool:
    """Whether losses and weights are finite; the last step of an epoch shows in the weights alone."""
    return all(map(math.isfinite, losses)) and all(
        bool(p.isfinite().all()) for p in head.parameters()
    )


def _stale(state: TrainingState, recipe: TrainingRecipe) -> bool:
    return math.isfinite(state.best_value) and state.epoch - state.best_epoch > recipe.patience


def _copy(head: Head) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in head.state_dict().items()}


def _epoch(
    head: Head,
    adam: torch.optim.Adam,
    work: Work,
    recipe: TrainingRecipe,
    device: str,
    seed: list[int],
    emphasis: Emphasis,
) -> float:
    """One pass over the fitted units; the mean loss on the way."""
    rng = np.random.default_rng(seed)
    head.train()
    total = 0.0
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        adam.zero_grad(set_to_none=True)
        for batch in batches(
            work.reader,
            work.fitted,
            recipe.batch,
            device,
            rng,
            recipe.max_tiles,
            recipe.batch_tiles,
            chance=emphasis.chance,
        ):
            loss = _loss(head, batch, work, recipe, device, emphasis)
            (loss.sum() / batch.of).backward()  # a step of several batches adds them up
            if batch.ends:
                adam.step()
                adam.zero_grad(set_to_none=True)
            total += float(loss.detach().sum())
    return total / len(work.fitted)


def mean_loss(
    head: Head, work: Work, units: Sequence[Unit], recipe: TrainingRecipe, device: str
) -> float:
    """Mean loss of the endpoint over some units, the tiles of a prediction, no dropout."""
    losses = unit_losses(head, work, units, recipe, device)
    return sum(float(loss.sum()) for loss in losses) / len(units)


def _loss(
    head: Head,
    batch: Batch,
    work: Work,
    recipe: TrainingRecipe,
    device: str,
    emphasis: Emphasis,
) -> Tensor:
    """Float, (bag,): what training minimises."""
    output, packed = forward_batch(head, batch, work, recipe, device)
    weights = None
    if emphasis.weights is not None:
        weights = torch.from_numpy(emphasis.weights[batch.samples]).float().to(device)
    truths = truths_of(batch, work, recipe, device)
    return head.loss(output, packed, replace(truths, weights=weights, focal=recipe.focal))
