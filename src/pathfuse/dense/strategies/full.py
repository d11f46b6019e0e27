"""Full fine-tuning: every weight of the encoder trains."""

import re

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.strategies.base import AdaptationStrategy, Parity

# These have no part in the tokens, so they could never learn.
_UNUSED = re.compile(r"(.*\.)?(mask_token|pooler|head|fc_norm|attn_pool)(\..*)?")


class Full(AdaptationStrategy):
    """All weights of the encoder that have a part in its tokens; they need a small learning rate."""

    name = "full"

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__(encoder, rank=rank, parity=parity)
        for name, parameter in encoder.trunk.named_parameters():
            parameter.requires_grad_(not _UNUSED.fullmatch(name))
