"""Losses of segmentation, in all of which ignored pixels do not count.

See docs/design/densebench.md, section 7, defect 3.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

Parity: TypeAlias = Literal["paper", "fixed"]
Logits: TypeAlias = Float[Tensor, "image klass height width"]
Truth: TypeAlias = Int[Tensor, "image height width"] | UInt8[Tensor, "image height width"]

SMOOTH = 1e-5
"""Added above and below the line of Dice, as published."""


def dice(
    logits: Logits, truth: Truth, ignore: int = 255, parity: Parity = "fixed"
) -> Float[Tensor, ""]:
    """One minus the soft Dice of each image and class, averaged over them, background included.

    A class that an image does not have gives about 1 whatever the network says of it (0/0 aside),
    and so hides how the others do; by default it takes part in no mean of that image. What the
    network gives to it is missing from the classes that are there, so it is not free.

    Args:
        logits: (b, K, H, W).
        truth: (b, H, W), classes 0..K-1 or ``ignore``.
        ignore: Label of pixels that do not count.
        parity: ``paper``: the mean is over all K classes. The published loss also fails on ignored
            pixels; that is not repeated.

    Returns:
        In [0, 1]; 0, with a gradient of 0, if every pixel is ignored.
    """
    counted = (truth != ignore).unsqueeze(1)
    shares = logits.float().softmax(dim=1) * counted
    labels = truth.long().masked_fill(~counted[:, 0], 0)
    hot = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1) * counted
    both = (shares * hot).sum(dim=(2, 3))
    true = hot.sum(dim=(2, 3))
    lost = 1 - (2 * both + SMOOTH) / (shares.sum(dim=(2, 3)) + true + SMOOTH)
    there = counted.any(dim=-1).any(dim=-1) if parity == "paper" else true > 0
    there = there.expand_as(lost)
    return torch.where(there, lost, 0.0 * lost).sum() / there.sum().clamp(min=1)


def ce(
    logits: Logits,
    truth: Truth,
    ignore: int = 255,
    parity: Parity = "fixed",  # noqa: ARG001 - all losses share one signature
) -> Float[Tensor, ""]:
    """Cross-entropy in nats, averaged over the pixels that count; arguments as of ``dice``.

    Returns:
        At least 0; 0, with a gradient of 0, if every pixel is ignored.
    """
    total = functional.cross_entropy(
        logits.float(), truth.long(), ignore_index=ignore, reduction="sum"
    )
    return total / (truth != ignore).sum().clamp(min=1)


def dice_ce(
    logits: Logits, truth: Truth, ignore: int = 255, parity: Parity = "fixed"
) -> Float[Tensor, ""]:
    """The sum of both; arguments as of ``dice``."""
    return dice(logits, truth, ignore, parity) + ce(logits, truth, ignore, parity)


LOSSES: dict[str, Callable[..., Tensor]] = {"dice": dice, "ce": ce, "dice_ce": dice_ce}
"""By the name in a recipe."""
