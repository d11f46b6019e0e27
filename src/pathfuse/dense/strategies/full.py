"""Full fine-tuning: every weight of the encoder that has a part in its tokens trains."""

import torch
from torch import Tensor

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.strategies.base import AdaptationStrategy, Parity

PATCHES = 2
"""Side, in patches, of the image that the weights are followed from."""


class Full(AdaptationStrategy):
    """All weights of the encoder that its tokens depend on; they need a small learning rate.

    Heads, mask tokens, branches for text and the like have no part in the tokens: they could never
    learn, so they neither train nor count.
    """

    name = "full"

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__(encoder, rank=rank, parity=parity)
        part = taking_part(encoder)
        for name, parameter in encoder.trunk.named_parameters():
            parameter.requires_grad_(name in part)


def taking_part(encoder: TokenEncoder) -> set[str]:
    """Names, within the trunk, of the weights that the grid of tokens depends on.

    Found on torch's own graph of a small image; no gradient is computed.
    """
    trunk = encoder.trunk.requires_grad_(True)
    encoder.eval()  # nothing is dropped
    like = next(trunk.parameters())
    side = PATCHES * encoder.patch
    with torch.enable_grad():
        tokens = encoder.tokens(torch.zeros(1, 3, side, side, device=like.device, dtype=like.dtype))
    found = _leaves(tokens)
    return {name for name, parameter in trunk.named_parameters() if id(parameter) in found}


def _leaves(output: Tensor) -> set[int]:
    """The tensors that a result was computed from, by identity."""
    todo, seen, leaves = [output.grad_fn], set(), set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.add(id(node.variable))
        todo += [before for before, _ in node.next_functions]
    return leaves
