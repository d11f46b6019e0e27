"""Small vision transformers with random weights: to try things out, for tests and for benchmarks."""

from pathlib import Path
from typing import Any

import torch

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.encoders.cards import EncoderCard
from pathfuse.dense.encoders.timm import load_timm
from pathfuse.errors import InputError

TINY = "tiny"
"""Their keys: ``tiny``, or ``tiny:patch=8,dim=96``."""
HEADS = 3
SIZES = {"patch": (16, 1), "registers": (0, 0), "dim": (48, HEADS), "depth": (2, 1), "seed": (0, 0)}
"""What a key may set: default and least value."""


def tiny_encoder(
    patch: int = 16,
    registers: int = 0,
    dim: int = 48,
    depth: int = 2,
    seed: int = 0,
    *,
    weights: Path | None = None,
    **arguments: Any,
) -> TokenEncoder:
    """A small vision transformer; its key says how it was made.

    Args:
        patch: Side of a patch in pixels.
        registers: Register tokens besides the class token.
        dim: Values per token, a multiple of 3 (heads).
        depth: Blocks.
        seed: Of the weights.
        weights: A file to fill it with.
        **arguments: Of timm's VisionTransformer; ``num_heads`` is 3 unless given. The key does not
        tell them.

    Raises:
        InputError: The weights do not fit.
    """
    card = tiny_card(patch, registers, dim, depth, seed, **arguments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = load_timm(card, weights)
    encoder.requires_grad_(False)
    return encoder.eval()


def tiny_card(
    patch: int, registers: int, dim: int, depth: int, seed: int, **arguments: Any
) -> EncoderCard:
    """The card of ``tiny_encoder``; nothing is built."""
    sizes = {"patch": patch, "registers": registers, "dim": dim, "depth": depth, "seed": seed}
    return EncoderCard(
        key=tiny_key(sizes), hub_id="", loader="timm", architecture="vit_tiny_patch16_224",
        arguments={"img_size": 4 * patch, "patch_size": patch, "embed_dim": dim, "depth": depth, "num_heads": HEADS,
                   "reg_tokens": registers, **arguments},
        patch=patch, dim=dim, num_prefix=1 + registers, mean=(0.5, 0.5, 0.5), sd=(0.5, 0.5, 0.5), size_px=4 * patch,
        parameters_m=0.0, note="Random weights.",
    )  # fmt: skip


def tiny_key(sizes: dict[str, int]) -> str:
    """The key that ``parse_tiny`` reads; defaults are left out."""
    stated = ",".join(f"{name}={value}" for name, value in sizes.items() if value != SIZES[name][0])
    return f"{TINY}:{stated}" if stated else TINY


def is_tiny(key: str) -> bool:
    """Whether a key names one of them."""
    return key.partition(":")[0] == TINY


def parse_tiny(key: str) -> dict[str, int]:
    """The arguments of ``tiny_encoder`` that a key says.

    Raises:
        InputError: A name or a value is not allowed.

    Examples:
        >>> parse_tiny("tiny:patch=8,seed=1")
        {'patch': 8, 'registers': 0, 'dim': 48, 'depth': 2, 'seed': 1}
    """
    found = {name: default for name, (default, _) in SIZES.items()}
    for part in filter(None, key.partition(":")[2].split(",")):
        name, _, text = part.partition("=")
        if name not in SIZES or not text.isdecimal() or int(text) < SIZES[name][1]:
            raise InputError(
                f"The encoder {key!r} is not understood at {part!r}: write tiny:patch=8,dim=96,depth=2."
            )
        found[name] = int(text)
    if found["dim"] % HEADS:
        raise InputError(f"The encoder {key!r} has a dim that is not a multiple of {HEADS}.")
    return found
