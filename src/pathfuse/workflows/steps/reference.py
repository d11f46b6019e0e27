"""What a fusion keeps of its fit rows, with predictions by fusions that did not see them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pathfuse.drift.figures import Figures
from pathfuse.drift.gaussian import scale_of
from pathfuse.drift.reference import NONE, Reference
from pathfuse.fusion.auto import Council
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.choose import Choice
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.types import Index
from pathfuse.workflows.model import Aligned, FusedModel
from pathfuse.workflows.steps.figures import figures_of, losses
from pathfuse.workflows.steps.fitting import TaskFit, held_out_fused


def reference_of(
    study: Study,
    parts: Sequence[Partition],
    fit: Mapping[str, TaskFit],
    model: FusedModel,
    seed: int,
) -> Reference:
    """What is kept of the fit rows.

    Args:
        study: The study.
        parts: Its partitions; with one its judged rows count, too.
        fit: The fit that is kept, per task.
        model: What was made of it.
        seed: Of what is chosen and simulated.
    """
    rows = np.unique(
        np.concatenate([own for one in fit.values() for own in (one.rows, one.calibrating)])
    )
    aligned = _aligned(study, model, rows)
    predicted = {
        task: _held_out(one, rows, _of_task(aligned, task), model, task, seed)
        for task, one in fit.items()
    }
    scale = scale_of(aligned) if isinstance(aligned, GaussianExperts) else NONE
    own = _figures(study, model, rows, aligned, predicted, scale)
    judged = None
    if len(parts) == 1:
        others = parts[0].judged
        theirs = _aligned(study, model, others)
        combined = model.combined(theirs).predicted
        judged = (
            _figures(study, model, others, theirs, combined, scale),
            study.samples.patients[others],
        )
    return Reference.of(own, study.samples.patients[rows], judged, seed, scale)


def _figures(
    study: Study,
    model: FusedModel,
    rows: Index,
    aligned: Aligned,
    predicted: Mapping[str, np.ndarray],
    scale: np.ndarray,
) -> Figures:
    truth = {task: study.truth[task].at(rows) for task in predicted}
    return figures_of(model, aligned, predicted, scale, losses(predicted, truth))


def _aligned(study: Study, model: FusedModel, rows: Index) -> Aligned:
    read = {expert.name: expert for expert in study.experts}
    return model.aligned(read, study.samples.ids[rows].tolist())


def _of_task(aligned: Aligned, task: str) -> np.ndarray | GaussianExperts:
    return aligned if isinstance(aligned, GaussianExperts) else aligned[task]


def _held_out(
    fit: TaskFit,
    rows: Index,
    experts: np.ndarray | GaussianExperts,
    model: FusedModel,
    task: str,
    seed: int,
) -> np.ndarray:
    """Fused predictions of rows by fusions that did not see them; NaN where there are none."""
    n_columns = fit.nothing.shape[-1]
    found = np.full((len(rows), n_columns), np.nan)
    held_out = held_out_fused(fit.methods, fit.fused, seed)
    if held_out.predictions.shape[1] == n_columns:
        first, at = np.unique(held_out.rows, return_index=True)
        own = np.searchsorted(rows, fit.rows[fit.methods.rows[first]])
        found[own] = _corrected(fit, held_out.predictions[at], experts, own)
    if len(fit.calibrating):
        calibrating = np.searchsorted(rows, fit.calibrating)
        found[calibrating] = _combined(model, experts, calibrating, task)
    return found


def _combined(
    model: FusedModel, experts: np.ndarray | GaussianExperts, rows: Index, task: str
) -> np.ndarray:
    own = experts.rows(rows) if isinstance(experts, GaussianExperts) else {task: experts[rows]}
    return model.combined(own).predicted[task]


def _corrected(
    fit: TaskFit,
    pooled: np.ndarray,
    experts: np.ndarray | GaussianExperts,
    rows: Index,
) -> np.ndarray:
    """Held-out predictions, as sure as samples without some experts deserve."""
    fused: Any = fit.fused.chosen_ if isinstance(fit.fused, Choice) else fit.fused
    first: Any = next(iter(fused.members_.values())) if isinstance(fused, Council) else fused
    own = (
        experts.rows(rows)
        if isinstance(experts, GaussianExperts)
        else Experts.from_logits(experts[rows])
    )
    return np.asarray(
        fused.family.corrected(pooled, first.completed(own, first.params_), fused.presence_)
    )
