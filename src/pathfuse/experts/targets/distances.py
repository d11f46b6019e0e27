"""Distances between a student and its teachers, for distillation (docs/design/fusecpath.md, section
7.3).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Direction: TypeAlias = Literal["teacher_student", "student_teacher"]
Feature: TypeAlias = Literal["cosine", "mse"]


@dataclass(frozen=True)
class Distance:
    """How a distance is measured."""

    temperature: float = 3.0
    """Softens the outputs of student and teachers."""
    direction: Direction = "teacher_student"
    """``teacher_student`` is KL(teacher || student), ``student_teacher`` the reverse."""
    feature: Feature = "cosine"
    """Of embeddings: ``cosine`` is 1 - cosine similarity, ``mse`` the mean squared difference."""


class Pair(NamedTuple):
    """A student and its teachers, which get no gradient."""

    student: Tensor
    """Float, (bag, teacher, output): outputs, the same for every teacher."""
    teachers: Tensor
    """Float, (bag, teacher, output)."""
    embedding: Tensor
    """Float, (bag, 1, dim), of the student."""
    teacher_embeddings: Tensor
    """Float, (bag, teacher, dim)."""


def of_classes(pair: Pair, how: Distance) -> Tensor:
    """Divergence of the classes' distributions at a temperature T, times T squared."""
    t = how.temperature
    student, teachers = (
        (pair.student / t).log_softmax(dim=-1),
        (pair.teachers / t).log_softmax(dim=-1),
    )
    return t**2 * divergence(student, teachers, how.direction)


def of_labels(pair: Pair, known: Tensor | None, how: Distance) -> Tensor:
    """Mean divergence of yes and no over the known labels at a temperature T, times T squared."""
    t = how.temperature
    each = divergence(_yes_and_no(pair.student / t), _yes_and_no(pair.teachers / t), how.direction)
    counted = (
        torch.ones_like(each) if known is None else known[:, None].expand_as(each).to(each.dtype)
    )
    return t**2 * ((each * counted).sum(dim=-1) / counted.sum(dim=-1).clamp(min=1))


def of_embeddings(pair: Pair, how: Distance) -> Tensor:
    """Distance of the embeddings."""
    if how.feature == "cosine":
        return 1 - functional.cosine_similarity(pair.embedding, pair.teacher_embeddings, dim=-1)
    return ((pair.embedding - pair.teacher_embeddings) ** 2).mean(dim=-1)


def divergence(student: Tensor, teacher: Tensor, direction: Direction) -> Tensor:
    """KL divergence of log-probabilities over the last axis."""
    given, true = (student, teacher) if direction == "teacher_student" else (teacher, student)
    return functional.kl_div(given, true, reduction="none", log_target=True).sum(dim=-1)


def _yes_and_no(logits: Tensor) -> Tensor:
    """Log-probabilities, (..., 2)."""
    return torch.stack([functional.logsigmoid(logits), functional.logsigmoid(-logits)], dim=-1)
