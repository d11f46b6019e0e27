"""FuseCPath: a student on tiles, and slide encoders as its teachers.

See docs/design/fusecpath.md, section 7.3.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pathfuse.experts.networks.fusecpath.student import Across, Activation, Student


class Distilled(NamedTuple):
    """What the student and its teachers make of a packed batch.

    The teachers in the order of their names.
    """

    outputs: Tensor
    """Float, (bag, output), of the student: logits, hazard logits, or standardised targets."""
    attention: Tensor
    """Float, (tile,), of the student's pooling; sums to 1 over each bag."""
    embedding: Tensor
    """Float, (bag, dim), of the student."""
    teacher_outputs: Tensor | None
    """Float, (bag, teacher, output), finite but meaningless where the teacher is absent; None
    without teachers."""
    teacher_embeddings: Tensor | None
    """Float, (bag, teacher, dim), likewise."""
    teacher_present: Tensor | None
    """Bool, (bag, teacher)."""


class FuseCPath(nn.Module):
    """The student and, while training, its teachers: a linear projection of each slide encoder's
    vector.

    Student and teachers share the last layer, so that labels reach all of them through it.
    Xavier-normal weights, zero biases. Prediction needs no teacher.

    Args:
        dim_in: Length of a tile's features, all views together.
        teacher_dims: Length of each slide encoder's vector, by name; may be empty.
        n_outputs: Length of the output.
        dim: Width of student and projected teachers.
        heads: Of every attention; they divide ``dim``.
        blocks: Blocks of attention within clusters.
        representatives: Of each cluster, to the other clusters.
        dropout: After the projection of the tiles.
        sparse_k: Scores that each query keeps, see ``student.Attention``; None keeps all, as does a
            larger number.
        activation: Of the pooling: ``tanh`` (paper) or ``relu`` (released code).
        pool_width: Hidden width of the pooling.
        across: Representatives of a bag attend ``joint`` or in separate ``slots``, see
            ``student.AcrossClusters``.
        separate_teacher_heads: Each teacher has a last layer of its own.
        attention_dropout: On the output of every attention.
        positional: See ``student.Attention``; within clusters only.

    Raises:
        InputError: The heads do not divide the width.
    """

    def __init__(
        self,
        dim_in: int,
        teacher_dims: Mapping[str, int],
        n_outputs: int,
        dim: int = 512,
        heads: int = 8,
        blocks: int = 1,
        representatives: int = 3,
        dropout: float = 0.25,
        sparse_k: int | None = None,
        activation: Activation = "tanh",
        pool_width: int = 128,
        across: Across = "joint",
        separate_teacher_heads: bool = False,
        attention_dropout: float = 0.1,
        positional: bool = False,
    ) -> None:
        super().__init__()
        self.student = Student(
            dim_in, dim, heads, blocks, representatives, dropout, attention_dropout, sparse_k, activation, pool_width,
            across, positional,
        )  # fmt: skip
        self.decide = nn.Linear(dim, n_outputs)
        self.teacher_names = sorted(teacher_dims)
        self._lengths = [teacher_dims[name] for name in self.teacher_names]
        # Lists and not dicts by name: a module's name may hold no dot, an encoder's may
        self.teachers = nn.ModuleList(nn.Linear(length, dim) for length in self._lengths)
        self.teacher_heads = nn.ModuleList(
            nn.Linear(dim, n_outputs) for _ in self._lengths if separate_teacher_heads
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(
        self,
        features: Tensor,
        index: Tensor,
        clusters: Tensor,
        n_bags: int,
        teachers: Tensor | None = None,
    ) -> Distilled:
        """Reads a packed batch.

        Args:
            features: Float, (tile, dim_in), the tiles of all bags, bag after bag.
            index: Int, (tile,), ascending: the bag of each tile; each bag has one.
            clusters: Int, (tile,), not negative: the cluster of each tile, numbered anyhow within
                its bag.
            n_bags: How many bags there are.
            teachers: Float, (bag, all teachers' dims), in the order of the names, NaN where a
                teacher is absent; None for the student alone.
        """
        vector, attention = self.student(features, index, clusters, n_bags)
        outputs = self.decide(vector)
        if teachers is None or not self._lengths:
            return Distilled(outputs, attention, vector, None, None, None)
        embedded, present = self._project(teachers)
        if len(self.teacher_heads):
            teacher_outputs = [
                head(one) for head, one in zip(self.teacher_heads, embedded.unbind(1), strict=True)
            ]
            return Distilled(
                outputs, attention, vector, torch.stack(teacher_outputs, dim=1), embedded, present
            )
        return Distilled(outputs, attention, vector, self.decide(embedded), embedded, present)

    def _project(self, teachers: Tensor) -> tuple[Tensor, Tensor]:
        """The projected teachers, (bag, teacher, dim), and which are there."""
        embedded, present = [], []
        for project, one in zip(self.teachers, teachers.split(self._lengths, dim=1), strict=True):
            there = ~one.isnan().any(dim=1)
            # Zeros before the layer, not after: a NaN times a gradient of 0 is NaN
            embedded.append(project(one.masked_fill(~there[:, None], 0)))
            present.append(there)
        return torch.stack(embedded, dim=1), torch.stack(present, dim=1)
