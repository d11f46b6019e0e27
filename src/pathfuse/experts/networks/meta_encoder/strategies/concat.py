"""The tokens side by side."""

from torch import Tensor

from pathfuse.experts.networks.meta_encoder.strategies.base import Fused, Shape, TokenStrategy


class Concat(TokenStrategy):
    """Concatenation.

    With the identity as projection and a linear head it is the linear probe on all features.

    An absent model's columns are 0. Features are standardised and tokens layer-normalised, so 0 is
    the middle: the model adds nothing to the outputs of a linear head, which then lie nearer to the
    head's bias. There is no learned filler, since rows without gaps would not train it.
    """

    def build(self, width: int, shape: Shape) -> int:
        """See ``TokenStrategy``."""
        return sum(self.widths)

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """See ``TokenStrategy``."""
        return Fused(self.side_by_side(tokens), None)
