"""The watched figures of samples that a model fuses."""

from collections.abc import Mapping

import numpy as np

from pathfuse.distributions.likelihood import floor_log_prob, set_nll
from pathfuse.drift.categorical import categorical_figures
from pathfuse.drift.figures import LOSS, Figure, Figures
from pathfuse.drift.gaussian import gaussian_figures
from pathfuse.drift.missing import missing_figures
from pathfuse.endpoints.base import Truth
from pathfuse.fusion.gaussian.experts import GaussianExperts, as_moments, nll
from pathfuse.types import PerSample
from pathfuse.workflows.model import Aligned, FusedModel


def figures_of(
    model: FusedModel,
    aligned: Aligned,
    predicted: Mapping[str, np.ndarray],
    scale: np.ndarray,
    loss: PerSample | None = None,
) -> Figures:
    """All figures of samples.

    Args:
        model: The model.
        aligned: What the experts predict of them.
        predicted: The fused predictions, per task; NaN where there are none.
        scale: Regression: what distances are measured in.
        loss: Of the fusion, where a truth is known; None: no truth is.
    """
    endpoint = model.endpoint
    if isinstance(aligned, GaussianExperts):
        parts = [
            *gaussian_figures(aligned, predicted["all"], model.experts, endpoint.outcomes, scale)
        ]
        scored = aligned.scored
    else:
        parts, scored = [], np.zeros((0, 0), dtype=bool)
        for task, logits in aligned.items():
            parts += categorical_figures(
                floor_log_prob(logits),
                predicted[task],
                model.experts,
                task,
                endpoint.outcomes,
                model.sets.get(task),
            )
            own = ~np.isnan(logits[:, :, 0])
            scored = scored | own if scored.size else own
    parts += missing_figures(scored, model.experts)
    if loss is not None:
        parts.append((Figure(LOSS.name), loss))
    return Figures.of(parts)


def losses(predicted: Mapping[str, np.ndarray], truth: Mapping[str, Truth]) -> PerSample:
    """The mean loss (NLL) over the tasks or targets whose truth is known; NaN where none is.

    Args:
        predicted: The fused predictions, per task.
        truth: Of the same samples, per task.
    """
    cells = []
    for task, values in predicted.items():
        own = truth[task]
        known = own.known & ~np.isnan(values).all(axis=1)
        if own.observed.shape[1] == values.shape[1]:
            cell = np.full(len(values), np.nan)
            cell[known] = set_nll(values[known], own.observed[known])
            cells.append(cell[:, None])
        else:
            cells.append(nll(as_moments(values), own.observed))
    table = np.concatenate(cells, axis=1)
    there = ~np.isnan(table)
    count = there.sum(axis=1)
    total = np.where(there, table, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
