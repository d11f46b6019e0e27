"""What FuseCPath minimises: the student's task, its distance to the teachers, the teachers' task.

docs/design/fusecpath.md, section 7.3. The teachers learn from the labels alone: the distillation
term is detached on their side.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from pathfuse.experts.networks.fusecpath.model import Distilled

Direction: TypeAlias = Literal["teacher_student", "student_teacher"]
Feature: TypeAlias = Literal["cosine", "mse"]
Task: TypeAlias = Callable[[Tensor], Tensor]
"""From outputs (bag, output) to the loss of each bag, (bag,), row by row."""
LogProb: TypeAlias = Callable[[Tensor], Tensor]
"""From hazard logits (bag, bin) to log-probabilities (bag, outcome)."""


def distillation_loss(
    said: Distilled,
    task: Task,
    log_prob: LogProb | None,
    kind: str,
    alpha: float = 0.5,
    beta: float = 1.0,
    temperature: float = 3.0,
    direction: Direction = "teacher_student",
    feature: Feature = "cosine",
    known: Tensor | None = None,
) -> Tensor:
    """``alpha task(student) + (1 - alpha) mean distance to the teachers + beta mean
    task(teacher)``, bag by bag.

    Means are over the teachers that a bag has. A bag without any has the task loss of its student
    alone. The distance
    is, by endpoint: multiclass, the KL divergence at a temperature T, times T squared; multilabel,
    the same for each label, averaged; regression, a distance between embeddings; survival, that
    distance plus, with ``log_prob``, the KL divergence of the event distributions (at temperature
    1).

    Args:
        said: Of ``FuseCPath``.
        task: The endpoint's loss.
        log_prob: Of survival only; None for a loss without event probabilities, such as Cox.
        kind: Of the endpoint: multiclass, multilabel, regression or survival.
        alpha: Share of the student's own task, 0 to 1.
        beta: Weight of the teachers' task; 0 leaves them untrained.
        temperature: Softens what student and teachers say.
        direction: ``teacher_student`` is KL(teacher || student), ``student_teacher`` the reverse.
        feature: ``cosine`` is 1 - cosine similarity, ``mse`` the mean squared difference.
        known: Bool, (bag, output): labels that count in the distance of a multilabel endpoint; None
            counts all.

    Returns:
        Float, (bag,).
    """
    own = task(said.outputs)
    if (
        said.teacher_outputs is None
        or said.teacher_embeddings is None
        or said.teacher_present is None
    ):
        return own
    teachers, present = said.teacher_outputs.detach(), said.teacher_present
    student = said.outputs[:, None].expand_as(teachers)
    if kind == "multiclass":
        apart = temperature**2 * _of_classes(
            student / temperature, teachers / temperature, direction
        )
    elif kind == "multilabel":
        apart = temperature**2 * _of_labels(
            student / temperature, teachers / temperature, direction, known
        )
    else:
        apart = _of_embeddings(said.embedding[:, None], said.teacher_embeddings.detach(), feature)
    if kind == "survival" and log_prob is not None:
        events = log_prob(student.flatten(0, 1)), log_prob(teachers.flatten(0, 1))
        apart = apart + _divergence(*events, direction).reshape(apart.shape)
    taught = torch.stack([task(one) for one in said.teacher_outputs.unbind(1)], dim=1)
    mixed = alpha * own + (1 - alpha) * _mean(apart, present) + beta * _mean(taught, present)
    return torch.where(present.any(dim=1), mixed, own)


def _mean(values: Tensor, present: Tensor) -> Tensor:
    """Mean over the teachers that are there; 0 where none is."""
    return values.masked_fill(~present, 0).sum(dim=1) / present.sum(dim=1).clamp(min=1)


def _of_classes(student: Tensor, teacher: Tensor, direction: Direction) -> Tensor:
    """Divergence of the classes' distributions over the last axis."""
    return _divergence(student.log_softmax(dim=-1), teacher.log_softmax(dim=-1), direction)


def _of_labels(
    student: Tensor, teacher: Tensor, direction: Direction, known: Tensor | None
) -> Tensor:
    """Mean divergence of yes and no over the known labels, (bag, teacher)."""
    each = _divergence(_yes_and_no(student), _yes_and_no(teacher), direction)
    counted = (
        torch.ones_like(each) if known is None else known[:, None].expand_as(each).to(each.dtype)
    )
    return (each * counted).sum(dim=-1) / counted.sum(dim=-1).clamp(min=1)


def _yes_and_no(logits: Tensor) -> Tensor:
    """Log-probabilities, (..., 2)."""
    return torch.stack([functional.logsigmoid(logits), functional.logsigmoid(-logits)], dim=-1)


def _of_embeddings(student: Tensor, teacher: Tensor, feature: Feature) -> Tensor:
    """Distance over the last axis."""
    if feature == "cosine":
        return 1 - functional.cosine_similarity(student, teacher, dim=-1)
    return ((student - teacher) ** 2).mean(dim=-1)


def _divergence(student: Tensor, teacher: Tensor, direction: Direction) -> Tensor:
    """KL divergence of log-probabilities over the last axis."""
    given, true = (student, teacher) if direction == "teacher_student" else (teacher, student)
    return functional.kl_div(given, true, reduction="none", log_target=True).sum(dim=-1)
