"""Layers that ``abmil``, ``clam`` and ``clam_mb`` share: projected tiles and their attention scores."""

import torch
from torch import Tensor, nn

from pathfuse.experts.heads.base import Head
from pathfuse.experts.recipe import TrainingRecipe


class GatedPooling(Head):
    """A projection of each tile, and one score per tile and attention branch."""

    def make_layers(
        self,
        dim: int,
        recipe: TrainingRecipe,
        *,
        branches: int = 1,
        gated: bool = True,
        bias: bool = False,
    ) -> None:
        """Makes the projection and the attention.

        Args:
            dim: Length of a tile's features.
            recipe: Widths, activation (``gate``) and dropout.
            branches: Scores per tile.
            gated: Whether the hidden layer is multiplied by a sigmoid gate.
            bias: Whether the layers of the attention have biases.
        """
        self.project = nn.Sequential(
            nn.Linear(dim, recipe.hidden), nn.ReLU(), nn.Dropout(recipe.dropout)
        )
        self.content = nn.Linear(recipe.hidden, recipe.attention, bias=bias)
        self.gate = nn.Linear(recipe.hidden, recipe.attention, bias=bias) if gated else None
        self.score = nn.Linear(recipe.attention, branches, bias=bias)
        self.drop = nn.Dropout(recipe.dropout)
        self.activate = nn.ReLU() if recipe.gate == "relu" else nn.Tanh()

    def xavier(self) -> None:
        """Xavier-normal weights and zero biases in all linear layers."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def scores(self, tiles: Tensor) -> Tensor:
        """Float, (tile, branch), before the softmax over the tiles of a bag.

        Args:
            tiles: Float, (tile, hidden), projected.
        """
        content: Tensor = self.drop(self.activate(self.content(tiles)))
        if self.gate is not None:
            content = content * self.drop(torch.sigmoid(self.gate(tiles)))
        scored: Tensor = self.score(content)
        return scored.float()
