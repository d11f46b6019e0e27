"""DoRA: LoRA whose direction and magnitude learn apart.

See docs/design/densebench.md, section 7, defects 1 and 8.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.strategies.base import AdaptationStrategy, Parity, attention_layers
from pathfuse.dense.strategies.lora import inject


class ScalarDora(nn.Module):
    """What the benchmark called DoRA: one magnitude m for the whole layer, where DoRA has one per
    output row.

    The weight is ``m * |W0| * (W0 + B A) / |W0 + B A|`` with Frobenius norms and m = 1, B = 0 at
    the start.

    Args:
        layer: A linear layer (out, in), which stays frozen.
        rank: Of the update.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = layer.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(rank, layer.in_features))
        self.lora_B = nn.Parameter(torch.zeros(layer.out_features, rank))
        self.lora_magnitude = nn.Parameter(torch.ones(()))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def weight(self) -> Tensor:
        """The weight that is in use, (out, in)."""
        changed = self.base.weight + self.lora_B @ self.lora_A
        return self.lora_magnitude * self.base.weight.norm() / changed.norm() * changed

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        return functional.linear(x, self.weight(), self.base.bias)


class Dora(AdaptationStrategy):
    """DoRA on the same layers as LoRA: peft's, row by row, or the benchmark's (``parity="paper"``).

    Raises:
        InputError: The encoder has no such layer.
    """

    name = "dora"

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__(encoder, rank=rank, parity=parity)
        self.matched = attention_layers(encoder, self.name)
        if parity == "fixed":
            inject(encoder, self.matched, rank, parity, dora=True)
            return
        for name in self.matched:
            encoder.trunk.set_submodule(name, ScalarDora(encoder.trunk.get_submodule(name), rank))
