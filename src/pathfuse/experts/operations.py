"""How many operations a training and a prediction take, from a few batches of it."""

from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch

from pathfuse.experts.batches import Batch, batches
from pathfuse.experts.flops import count_flops
from pathfuse.experts.heads.base import Head
from pathfuse.experts.recipe import Recipe
from pathfuse.experts.work import Work, hear, truths_of

COUNTED = 3
"""Batches that are counted; all others are taken to be like them."""


@dataclass(frozen=True)
class Operations:
    """As ``pathfuse.costs`` defines them."""

    fit: float
    predict_per_unit: float
    """With all draws of tiles."""


def count_operations(head: Head, work: Work, recipe: Recipe, device: str, epochs: int) -> Operations:
    """Counts the first batches of an epoch, forward and backward, and scales to the epochs that were run.

    Bags differ in size, so this is an estimate where there are more than ``COUNTED`` batches; tiles that training
    draws are drawn. The head's gradients are cleared, its weights and torch's random state are left as they are.

    Args:
        head: Trained.
        work: What it was trained on.
        recipe: Batch size, draws.
        device: Where to compute.
        epochs: That were run, also those after the chosen one.
    """
    rng = np.random.default_rng(0)
    found = islice(batches(work.reader, work.fitted, recipe.batch, device, rng, recipe.max_tiles), COUNTED)
    counted, step, forward = 0, 0, 0
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        for batch in found:
            counted += len(batch.units)
            forward += count_flops(partial(_forward, head, batch, work, recipe, device))[1]
            step += count_flops(partial(_step, head, batch, work, recipe, device))[1]
    head.zero_grad(set_to_none=True)
    per_unit = forward / counted
    fit = epochs * (step / counted * len(work.fitted) + per_unit * len(work.validation))
    return Operations(fit, per_unit * work.reader.draws)


def _forward(head: Head, batch: Batch, work: Work, recipe: Recipe, device: str) -> None:
    with torch.inference_mode():
        hear(head.eval(), batch, work, recipe, device)


def _step(head: Head, batch: Batch, work: Work, recipe: Recipe, device: str) -> None:
    heard, packed = hear(head.train(), batch, work, recipe, device)
    head.loss(heard, packed, truths_of(batch, work, recipe, device)).mean().backward()
