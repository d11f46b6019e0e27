"""Cross-attention: each model asks the others, and no model is privileged."""

import torch
from torch import Tensor

from pathfuse.experts.networks.meta_encoder.attention import ModelLayers, chained
from pathfuse.experts.networks.meta_encoder.strategies.base import (
    Fused,
    Shape,
    TokenStrategy,
    equal_weights,
)


class CrossAttention(TokenStrategy):
    """Each model's token queries those of the others.

    Residual, LayerNorm, and the results side by side.

    A model without others keeps its own token. An absent model's columns are 0, as in ``Concat``.
    The weights are the mean over the present models of where each result came from (see
    ``ModelAttention``). The published code has fixed pairs of one key each, so that its queries
    have no effect (docs/design/meta-encoder.md, section 2.1).
    """

    def build(self, width: int, shape: Shape) -> int:
        """See ``TokenStrategy``."""
        self.layers = ModelLayers(
            len(self.widths), width, shape.heads, shape.layers, shape.dropout, others=True
        )
        return width * len(self.widths)

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """See ``TokenStrategy``."""
        tokens, origin = self.layers(tokens, present)
        weights = chained(equal_weights(present)[:, None], origin)[:, 0]
        return Fused(torch.where(present[..., None], tokens, 0.0).flatten(1), weights)
