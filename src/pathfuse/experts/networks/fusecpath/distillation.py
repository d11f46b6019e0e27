"""What FuseCPath minimises: the student's task, its distance to the teachers, the teachers' task.

docs/design/fusecpath.md, section 7.3. The teachers learn from the labels alone: the distillation
term is detached on their side.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from pathfuse.experts.networks.fusecpath.model import Distilled
from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.targets.distances import Distance, Pair

Task: TypeAlias = Callable[[Tensor], Tensor]
"""From outputs (bag, output) to the loss of each bag, (bag,), row by row."""


def distillation_loss(
    distilled: Distilled,
    task: Task,
    way: TargetKind,
    alpha: float = 0.5,
    beta: float = 1.0,
    how: Distance | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """``alpha task(student) + (1 - alpha) mean distance to the teachers + beta mean
    task(teacher)``, bag by bag.

    Means are over the teachers that a bag has. A bag without any has the task loss of its student
    alone.

    Args:
        distilled: Of ``FuseCPath``.
        task: The endpoint's loss.
        way: The way of being trained, which says what the distance is of.
        alpha: Share of the student's own task, 0 to 1.
        beta: Weight of the teachers' task; 0 leaves them untrained.
        how: Temperature, direction and distance of embeddings; None: the defaults.
        known: Bool, (bag, output): labels that count in the distance of several labels; None counts
            all.

    Returns:
        Float, (bag,).
    """
    own = task(distilled.outputs)
    if (
        distilled.teacher_outputs is None
        or distilled.teacher_embeddings is None
        or distilled.teacher_present is None
    ):
        return own
    teachers, present = distilled.teacher_outputs.detach(), distilled.teacher_present
    student = distilled.outputs[:, None].expand_as(teachers)
    embeddings = distilled.embedding[:, None], distilled.teacher_embeddings.detach()
    apart = way.distance(Pair(student, teachers, *embeddings), known, how or Distance())
    taught = torch.stack([task(one) for one in distilled.teacher_outputs.unbind(1)], dim=1)
    mixed = alpha * own + (1 - alpha) * _mean(apart, present) + beta * _mean(taught, present)
    return torch.where(present.any(dim=1), mixed, own)


def _mean(values: Tensor, present: Tensor) -> Tensor:
    """Mean over the teachers that are there; 0 where none is."""
    return values.masked_fill(~present, 0).sum(dim=1) / present.sum(dim=1).clamp(min=1)
