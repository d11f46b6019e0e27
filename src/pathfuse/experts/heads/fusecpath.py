"""FuseCPath as a head: tiles drawn from clusters, attention in and between clusters, slide-level
teachers.
"""

from typing import cast

from torch import Tensor

from pathfuse.experts.heads.base import Head, HeadOutput, Packed, Truths
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.networks.fusecpath.distillation import distillation_loss
from pathfuse.experts.networks.fusecpath.model import FuseCPath
from pathfuse.experts.recipe import FuseCPathRecipe, TrainingRecipe
from pathfuse.experts.targets.distances import Distance


class FuseCPathHead(Head):
    """The student and, while training, its teachers; predictions are the student's.

    See docs/design/fusecpath.md, section 7.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.recipe = recipe = cast("FuseCPathRecipe", recipe)
        self.network = FuseCPath(
            inputs.dim,
            inputs.teachers,
            n_outputs,
            dim=recipe.hidden,
            heads=recipe.attention_heads,
            blocks=recipe.blocks,
            representatives=recipe.representatives,
            dropout=recipe.dropout,
            sparse_k=recipe.sparse,
            activation=recipe.gate,
            pool_width=recipe.attention,
            across=recipe.across,
            positional=recipe.positional,
            separate_teacher_heads=recipe.separate_teacher_heads,
        )

    def serving_state(self) -> dict[str, Tensor]:
        """See ``Head``: those of the student."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith("network.teacher")
        }

    def forward_packed(self, packed: Packed) -> HeadOutput:
        """See ``Head``; needs the tiles' clusters."""
        clusters = cast("Tensor", packed.clusters)
        distilled = self.network(
            packed.features, packed.index, clusters, packed.n_bags, packed.teachers
        )
        return HeadOutput(distilled.outputs, distilled.attention, distilled)

    def loss(self, output: HeadOutput, packed: Packed, truths: Truths) -> Tensor:
        """Task, distillation and the teachers' own task (docs/design/fusecpath.md, section 7.3)."""
        recipe = self.recipe
        return distillation_loss(
            output.inner,
            lambda outputs: truths.loss(self.with_shared(outputs)),
            truths.way,
            alpha=recipe.task_weight,
            beta=recipe.teacher_weight,
            how=Distance(recipe.temperature, recipe.direction, recipe.distance),
            known=truths.known,
        )
