"""The strategies by name. A new strategy is one file and one line here."""

from collections.abc import Sequence

from pathfuse.experts.networks.meta_encoder.strategies.base import Shape, TokenStrategy
from pathfuse.experts.networks.meta_encoder.strategies.concat import Concat
from pathfuse.experts.networks.meta_encoder.strategies.contrastive import Contrastive
from pathfuse.experts.networks.meta_encoder.strategies.cross_attention import CrossAttention
from pathfuse.experts.networks.meta_encoder.strategies.gated import Gated
from pathfuse.experts.networks.meta_encoder.strategies.mean import Mean
from pathfuse.experts.networks.meta_encoder.strategies.self_attention import SelfAttention
from pathfuse.experts.networks.meta_encoder.strategies.self_attention_published import (
    SelfAttentionPublished,
)

STRATEGIES: dict[str, type[TokenStrategy]] = {
    "mean": Mean, "concat": Concat, "gated": Gated, "self_attention": SelfAttention,
    "cross_attention": CrossAttention, "contrastive": Contrastive, "self_attention_published": SelfAttentionPublished,
}  # fmt: skip


def make_strategy(name: str, widths: Sequence[int], shape: Shape) -> TokenStrategy:
    """An untrained strategy; torch's global generator sets its weights."""
    return STRATEGIES[name](widths, shape)
