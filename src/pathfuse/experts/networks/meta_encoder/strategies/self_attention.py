"""Self-attention with one token per model: the method that the paper describes."""

from torch import Tensor, nn

from pathfuse.experts.networks.meta_encoder.attention import ModelLayers, chained
from pathfuse.experts.networks.meta_encoder.strategies.base import (
    Fused,
    Shape,
    TokenStrategy,
    equal_weights,
    mean_over,
    softmax_weights,
)


class SelfAttention(TokenStrategy):
    """Tokens and model embeddings, pre-norm attention across the models, LayerNorm, then mean or
    attention pooling.

    There is no feed-forward block: the paper has attention alone, a fusion for some hundred
    patients should be light, and attention already expresses products of two models' features
    (tests, complementary models). The weights follow the attention of all layers and the pooling
    (see ``ModelAttention``); they tell where the vector came from, not what it would be without a
    model.
    """

    def build(self, width: int, shape: Shape) -> int:
        """See ``TokenStrategy``."""
        self.layers = ModelLayers(
            len(self.widths), width, shape.heads, shape.layers, shape.dropout, others=False
        )
        self.pool = nn.Linear(width, 1, bias=False) if shape.pooling == "attention" else None
        return width

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """See ``TokenStrategy``."""
        tokens, origin = self.layers(tokens, present)
        pooling = equal_weights(present)
        if self.pool is not None:
            pooling = softmax_weights(self.pool(tokens)[..., 0], present)
        return Fused(mean_over(tokens, pooling), chained(pooling[:, None], origin)[:, 0])
