"""Transformer adapter: two more blocks after the frozen encoder.

See docs/design/densebench.md, section 3.
"""

from timm.models.vision_transformer import Block
from torch import Tensor, nn

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.strategies.base import AdaptationStrategy, Parity

DROP_PATH = (0.0, 0.1)


def heads(dim: int) -> int:
    """One head per 64 values, as near to that as divides ``dim``."""
    return next(count for count in range(max(1, dim // 64), 0, -1) if dim % count == 0)


class TransformerAdapter(AdaptationStrategy):
    """Two pre-norm blocks and a norm on all tokens, class and registers too; no new positions."""

    name = "transformer"

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__(encoder, rank=rank, parity=parity)
        dim = encoder.dim
        self.blocks = nn.Sequential(*(
            Block(dim, heads(dim), mlp_ratio=4.0, qkv_bias=True, init_values=1e-5, drop_path=rate) for rate in DROP_PATH
        ))  # fmt: skip
        self.norm = nn.LayerNorm(dim)

    def after(self, sequence: Tensor) -> Tensor:
        """Tokens of the same shape."""
        return self.norm(self.blocks(sequence))
