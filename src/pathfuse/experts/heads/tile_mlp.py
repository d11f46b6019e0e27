"""LogitProd's tile expert: one vector per sample, two hidden layers.

See docs/design/logitprod.md, section 1.8.
"""

from torch import Tensor, nn

from pathfuse.experts.heads.base import Head, HeadOutput
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.segments import segment_mean


class TileMlp(Head):
    """Linear, LayerNorm, GELU, twice, then linear."""

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        width = recipe.hidden
        self.layers = nn.Sequential(
            nn.Linear(inputs.dim, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(recipe.dropout),
            nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(recipe.dropout),
            nn.Linear(width, n_outputs),
        )  # fmt: skip

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``; a sample of several vectors has the mean of their outputs."""
        return HeadOutput(segment_mean(self.layers(features).float(), index, n_bags), None)
