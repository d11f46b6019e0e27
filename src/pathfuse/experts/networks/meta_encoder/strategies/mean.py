"""The mean of the tokens: the simplest fusion, and what the others have to beat."""

from torch import Tensor

from pathfuse.experts.networks.meta_encoder.strategies.base import (
    Fused,
    Shape,
    TokenStrategy,
    equal_weights,
    mean_over,
)


class Mean(TokenStrategy):
    """Mean over the models that are present.

    It has no weights, since they would be equal in every row.
    """

    def build(self, width: int, shape: Shape) -> int:
        """See ``TokenStrategy``."""
        return width

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """See ``TokenStrategy``."""
        return Fused(mean_over(tokens, equal_weights(present)), None)
