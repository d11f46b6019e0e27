"""Attention pooling, gated or plain (Ilse, Tomczak and Welling 2018), with the widths of LogitProd's
slide expert.
"""

from typing import cast

from torch import Tensor, nn

from pathfuse.experts.blocks import in_blocks
from pathfuse.experts.heads.attention_pool import GatedPooling
from pathfuse.experts.heads.base import HeadOutput
from pathfuse.experts.heads.recipes import AbmilRecipe
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.segments import segment_softmax, segment_sum


class Abmil(GatedPooling):
    """One attention branch; the bag is the weighted sum of its projected tiles.

    With the default recipe: Linear D to 512, ReLU, dropout; score = Linear 128 to 1 of ReLU(Linear)
    times sigmoid(Linear), none with bias; Xavier-normal weights, zero biases
    (docs/design/logitprod.md, section 1.8). With ``gated: false`` the sigmoid is left out.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.make_layers(inputs.dim, recipe, gated=cast("AbmilRecipe", recipe).gated)
        self.decide = nn.Linear(recipe.hidden, n_outputs)
        self.xavier()

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        tiles = in_blocks(self.project, features)
        attention = segment_softmax(in_blocks(self.scores, tiles), index, n_bags)
        return HeadOutput(
            self.decide(segment_sum(attention * tiles, index, n_bags)), attention[:, 0]
        )
