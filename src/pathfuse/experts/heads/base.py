"""What every trained head answers."""

from typing import NamedTuple

from torch import Tensor, nn

from pathfuse.experts.recipe import Recipe


class Heard(NamedTuple):
    """What a head makes of a packed batch."""

    outputs: Tensor
    """Float, (bag, output): logits, hazard logits, or standardised targets."""
    attention: Tensor | None
    """Float, (tile,), sums to 1 over each bag; None if the head has none."""


class Head(nn.Module):
    """A network on packed bags. A bag's outputs depend on its own tiles alone."""

    def __init__(self, dim: int, n_outputs: int, recipe: Recipe) -> None:
        super().__init__()
        self.build(dim, n_outputs, recipe)

    def build(self, dim: int, n_outputs: int, recipe: Recipe) -> None:
        """Makes the layers.

        Args:
            dim: Length of a feature vector.
            n_outputs: Length of the output.
            recipe: Widths and dropout.
        """
        raise NotImplementedError

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> Heard:
        """Reads a packed batch.

        Args:
            features: Float, (tile, dim), the tiles of all bags, bag after bag.
            index: Int, (tile,), ascending: the bag of each tile.
            n_bags: How many bags there are.
        """
        raise NotImplementedError
