"""The mean of a bag's tiles and one linear layer: what attention has to beat."""

from torch import Tensor, nn

from pathfuse.experts.heads.base import Head, HeadOutput
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.segments import segment_mean


class MeanPool(Head):
    """Mean pooling, dropout, linear."""

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.decide = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(inputs.dim, n_outputs))

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        return HeadOutput(self.decide(segment_mean(features, index, n_bags)), None)
