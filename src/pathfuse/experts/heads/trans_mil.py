"""TransMIL (Shao et al. 2021): a transformer over the tiles of a bag, whose class token decides."""

from typing import cast

import torch
from torch import Tensor, nn

from pathfuse.experts.blocks import in_blocks
from pathfuse.experts.heads.base import Head, HeadOutput
from pathfuse.experts.heads.recipes import TransMilRecipe
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.networks.transmil.body import HEADS, NystromBody
from pathfuse.experts.networks.transmil.exact import ExactBody
from pathfuse.experts.recipe import TrainingRecipe


class TransMil(Head):
    """Projection, layers, LayerNorm; the class token decides.

    With ``attention_kind: nystrom`` as published: Nystroem attention, and positions from the order
    of the tiles in their file (not from their coordinates). With ``exact`` every tile attends to
    every other, and their order does not matter.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``; the width is rounded up to a multiple of the attention heads."""
        recipe = cast("TransMilRecipe", recipe)
        width = -(-recipe.hidden // HEADS) * HEADS
        self.project = nn.Sequential(
            nn.Linear(inputs.dim, width), nn.ReLU(), nn.Dropout(recipe.dropout)
        )
        body = NystromBody if recipe.attention_kind == "nystrom" else ExactBody
        self.body = body(width, recipe.layers, recipe.dropout)
        self.norm, self.decide = nn.LayerNorm(width), nn.Linear(width, n_outputs)

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        sizes = torch.bincount(index, minlength=n_bags).tolist()
        vectors, attention = self.body(list(features.split(sizes)), self._projected)
        return HeadOutput(self.decide(self.norm(vectors)), torch.cat(attention))

    def _projected(self, features: Tensor) -> Tensor:
        """From (tile, dim) to (tile, width)."""
        return in_blocks(self.project, features)
