"""Ranks that mean the same number of trained weights, however an encoder's attention is built."""

import re
from typing import Literal, cast

from torch import nn

from pathfuse.dense.encoders.base import TokenEncoder, adapted_names

Capacity = Literal["rank", "equal"]
REFERENCE = 6
"""Weights per block and rank, in token widths, where queries, keys and values are one layer (d to
3 d, then d to d), as in timm. Where they are apart there are 8."""
_BLOCK = re.compile(r"(?:.*?\.)?\d+(?=\.)")


def rank_of(encoder: TokenEncoder, rank: int, capacity: Capacity) -> int:
    """The rank of each update.

    Args:
        encoder: Not adapted yet.
        rank: As asked for.
        capacity: ``rank``: every update has that rank, so that layers apart train a third more
            weights than one joint layer. ``equal``: the rank that comes nearest to the weights per
            block that a joint layer trains: 12 instead of 16 where they are apart.

    Returns:
        At least 1; ``rank`` itself for an encoder without a layer to adapt, which the strategies
        refuse.

    Examples:
        >>> from pathfuse.dense.encoders.tiny import tiny_encoder
        >>> rank_of(tiny_encoder(), 16, "equal")  # timm's own layout
        16
    """
    names = adapted_names(encoder)
    if capacity == "rank" or not names:
        return rank
    layers = [cast("nn.Linear", encoder.trunk.get_submodule(name)) for name in names]
    weights = sum(layer.in_features + layer.out_features for layer in layers)
    blocks = {found.group() for name in names if (found := _BLOCK.match(name))}
    return max(1, round(rank * REFERENCE * encoder.dim * max(1, len(blocks)) / weights))
