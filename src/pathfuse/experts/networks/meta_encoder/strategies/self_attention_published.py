"""What the published code calls self-attention: a linear map, kept for comparison only."""

from typing import ClassVar

from torch import Tensor, nn

from pathfuse.experts.networks.meta_encoder.strategies.base import Fused, Shape, TokenStrategy


class SelfAttentionPublished(TokenStrategy):
    """Value and output projection of the concatenated features: ``W_out (W_v x + b_v) + b_out``.

    The published code gives attention a sequence of length 1. Softmax over one key is 1, so queries
    and keys, which are left out here, have no effect and never train; what remains is linear in the
    features, whatever the number of heads. With a linear head it can express what the linear probe
    on the concatenation can, and nothing else (docs/design/meta-encoder.md, section 2.1). An absent
    model's features are 0.
    """

    raw: ClassVar[bool] = True

    def build(self, width: int, shape: Shape) -> int:
        """See ``TokenStrategy``."""
        self.value, self.out = (
            nn.Linear(sum(self.widths), shape.dim),
            nn.Linear(shape.dim, shape.dim),
        )
        return shape.dim

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """See ``TokenStrategy``."""
        return Fused(self.out(self.value(self.side_by_side(tokens))), None)
