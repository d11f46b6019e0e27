"""Gated attention pooling (Ilse, Tomczak and Welling 2018), with the widths of LogitProd's slide
expert.
"""

import torch
from torch import Tensor, nn

from pathfuse.experts.heads.base import Head, HeadOutput
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.segments import segment_softmax, segment_sum


class GatedAttention(Head):
    """One attention head; the bag is the weighted sum of its projected tiles.

    With the default recipe: Linear D to 512, ReLU, dropout; score = Linear 128 to 1 of ReLU(Linear)
    times sigmoid(Linear), none with bias; Xavier-normal weights, zero biases
    (docs/design/logitprod.md, section 1.8).
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.project = nn.Sequential(
            nn.Linear(inputs.dim, recipe.hidden), nn.ReLU(), nn.Dropout(recipe.dropout)
        )
        self.content = nn.Linear(recipe.hidden, recipe.attention, bias=False)
        self.gate = nn.Linear(recipe.hidden, recipe.attention, bias=False)
        self.score = nn.Linear(recipe.attention, 1, bias=False)
        self.drop = nn.Dropout(recipe.dropout)
        self.activate = nn.ReLU() if recipe.gate == "relu" else nn.Tanh()
        self.decide = nn.Linear(recipe.hidden, n_outputs)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        tiles = self.project(features)
        content = self.drop(self.activate(self.content(tiles)))
        gate = self.drop(torch.sigmoid(self.gate(tiles)))
        attention = segment_softmax(self.score(content * gate).float(), index, n_bags)
        return HeadOutput(
            self.decide(segment_sum(attention * tiles, index, n_bags)), attention[:, 0]
        )
