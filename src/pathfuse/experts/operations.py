"""How many operations a training and a prediction take, from a few batches of it."""

from functools import partial
from itertools import islice

import numpy as np
import torch

from pathfuse.experts.batches import Batch, batches
from pathfuse.experts.flops import count_flops
from pathfuse.experts.heads.base import Head
from pathfuse.experts.inputs import Operations
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.work import Work, forward_batch, truths_of
from pathfuse.training.device import device_of

COUNTED = 3
"""Batches that are counted; all others are taken to be like them."""


def count_operations(head: Head, work: Work, recipe: TrainingRecipe, epochs: int) -> Operations:
    """Counts the first batches of an epoch, forward and backward, and scales to the epochs that
    were run.

    Bags differ in size, so this is an estimate where there are more than ``COUNTED`` batches.
    Training counts the tiles that it draws, prediction all of them (or all draws from clusters, and
    the clustering of a slide like the first). The head's gradients are cleared, its weights and
    torch's random state are left as they are.

    Args:
        head: Trained.
        work: What it was trained on.
        recipe: Batch size, draws.
        epochs: That were run, also those after the chosen one.
    """
    device = device_of(recipe.device)
    rng = np.random.default_rng(0)
    drawn = list(
        islice(
            batches(work.reader, work.fitted, recipe.batch, device, rng, recipe.max_tiles), COUNTED
        )
    )
    most = recipe.max_tiles_predict
    whole = list(
        islice(batches(work.reader, work.fitted, recipe.batch, device, max_tiles=most), COUNTED)
    )
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        step = sum(
            count_flops(partial(_step, head, batch, work, recipe, device))[1] for batch in drawn
        )
        forward = sum(
            count_flops(partial(_forward, head, batch, work, recipe, device))[1] for batch in whole
        )
    head.zero_grad(set_to_none=True)
    step_of_one, forward_of_one = (
        n / sum(len(b.units) for b in of) for n, of in ((step, drawn), (forward, whole))
    )
    preparing = work.reader.preparing_flops(work.fitted[0])
    fit = epochs * (step_of_one * len(work.fitted) + forward_of_one * len(work.validation))
    return Operations(
        fit + preparing * len(work.fitted), forward_of_one * work.reader.draws + preparing
    )


def _forward(head: Head, batch: Batch, work: Work, recipe: TrainingRecipe, device: str) -> None:
    with torch.inference_mode():
        forward_batch(head.eval(), batch, work, recipe, device)


def _step(head: Head, batch: Batch, work: Work, recipe: TrainingRecipe, device: str) -> None:
    output, packed = forward_batch(head.train(), batch, work, recipe, device)
    head.loss(output, packed, truths_of(batch, work, recipe, device)).mean().backward()
