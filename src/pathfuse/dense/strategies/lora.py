"""LoRA: updates of low rank, added to the attention layers.

See docs/design/densebench.md, section 7, defects 1 and 8.
"""

import re

from peft import LoraConfig, inject_adapter_in_model

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.strategies.base import AdaptationStrategy, Parity, attention_layers

ALPHA = 16


def inject(
    encoder: TokenEncoder, names: list[str], rank: int, parity: Parity, *, dora: bool
) -> None:
    """Adds peft's adapters to layers of the trunk, without dropout.

    Only the adapters train afterwards.

    The update is scaled by ``ALPHA / rank`` as LoRA defines it. The benchmark's scale was 1 at
    every rank (``parity="paper"``); at its usual rank 16 both are the same.
    """
    layers = "|".join(re.escape(name) for name in names)
    alpha = rank if parity == "paper" else ALPHA
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=layers,
        use_dora=dora,
    )
    inject_adapter_in_model(config, encoder.trunk)
    for name, parameter in encoder.trunk.named_parameters():
        parameter.requires_grad_("lora_" in name)


class Lora(AdaptationStrategy):
    """LoRA on queries, keys, values and the output projection of every block.

    Raises:
        InputError: The encoder has no such layer.
    """

    name = "lora"

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__(encoder, rank=rank, parity=parity)
        self.matched = attention_layers(encoder, self.name)
        inject(encoder, self.matched, rank, parity, dora=False)
