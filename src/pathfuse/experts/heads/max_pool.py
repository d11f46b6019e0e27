"""The largest value of each feature over a bag's tiles, and one linear layer."""

import torch
from torch import Tensor, nn

from pathfuse.experts.heads.base import Head, HeadOutput
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


class MaxPool(Head):
    """Max pooling, feature by feature; dropout, linear."""

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.decide = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(inputs.dim, n_outputs))

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        sizes = torch.bincount(index, minlength=n_bags).tolist()
        highest = torch.stack([bag.amax(dim=0) for bag in features.split(sizes)])
        return HeadOutput(self.decide(highest), None)
