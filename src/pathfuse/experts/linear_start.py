"""A head that starts at a linear model: the closed-form solution that its network only corrects.

The model is ``pca_ridge``, the reference of every fusion of features, on the mean of each bag as
the head reads it (docs/design/meta-encoder.md, section 6.5).
"""

from collections.abc import Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from pathfuse.costs import tallied
from pathfuse.experts.batches import batches
from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Head
from pathfuse.experts.networks.linear_path import bag_means
from pathfuse.experts.pooled.probe import fit_reduced
from pathfuse.experts.pooled.statistics import Standard, standard_of
from pathfuse.experts.recipe import TrainingRecipe, reference_components
from pathfuse.experts.work import Work, unit_losses
from pathfuse.training.device import device_of


def fit_linear_path(
    head: Head, work: Work, units: Sequence[Unit], recipe: TrainingRecipe, seed: int
) -> float:
    """Fits the linear path of a head that has one on some units, and on nothing else.

    Args:
        head: Its ``linear_path`` is set.
        work: Bags and truth.
        units: The units.
        recipe: How bags are read.
        seed: Of the inner folds, which choose the penalty.

    Returns:
        Operations that it took; 0 without a linear path.
    """
    if head.linear_path is None:
        return 0.0
    table = _table(work, units, recipe)
    standard = _standard(table, work, recipe)
    rows = np.array([unit.sample for unit in units])
    patients = np.arange(len(work.targets.values)) if work.patients is None else work.patients
    with tallied() as tally, threadpool_limits(1):  # many small fits: threads would wait
        coefficients, intercepts, _ = fit_reduced(
            standard.apply(table), rows, work.targets, patients[rows], seed, reference_components()
        )
    head.linear_path.set(
        {
            "mean": standard.mean,
            "sd": standard.sd,
            "coefficients": coefficients,
            "intercepts": intercepts,
        }
    )
    return float(tally.flops)


def _standard(table: np.ndarray, work: Work, recipe: TrainingRecipe) -> Standard:
    """The scale of the bags' means; vectors that the reader has scaled and cut stay as they are.

    Scaled once more, those with heavy tails would outweigh others.
    """
    if recipe.standardize and work.inputs is not None and work.inputs.single:
        return Standard(np.zeros(table.shape[1]), np.ones(table.shape[1]), recipe.clip)
    return standard_of(table, recipe.clip)


def correction_helps(head: Head, work: Work, recipe: TrainingRecipe) -> bool:
    """Whether the validation loss is lower by more than a standard error than without a correction.

    The best of many epochs is a little better by luck alone. Differences are paired, and averaged
    by patient.
    """
    device = device_of(recipe.device)
    kept = {name: value.clone() for name, value in head.state_dict().items()}
    corrected = _losses(head, work, recipe, device)
    head.silence()
    gain = _losses(head, work, recipe, device) - corrected
    head.load_state_dict(kept)
    rows = np.array([unit.sample for unit in work.validation])
    patients = rows if work.patients is None else work.patients[rows]
    _, member = np.unique(patients, return_inverse=True)
    each = np.bincount(member, gain) / np.bincount(member)
    return bool(each.mean() > each.std() / np.sqrt(len(each)))


def _losses(head: Head, work: Work, recipe: TrainingRecipe, device: str) -> np.ndarray:
    """Float, (unit,): losses of the validation units."""
    losses = unit_losses(head, work, work.validation, recipe, device)
    return torch.cat(list(losses)).double().cpu().numpy()


def _table(work: Work, units: Sequence[Unit], recipe: TrainingRecipe) -> np.ndarray:
    """Float, (unit, dim): the mean of each bag, of the tiles that a prediction reads."""
    found = []
    waiting = batches(
        work.reader,
        units,
        recipe.batch,
        device_of(recipe.device),
        max_tiles=recipe.max_tiles_predict,
        batch_tiles=recipe.batch_tiles,
    )
    with torch.inference_mode():
        for batch in waiting:
            packed = batch.packed
            means = bag_means(packed.features, packed.index, packed.n_bags)
            found.append(means.double().cpu().numpy())
    return np.concatenate(found)
