"""The learning rate over the epochs: warm-up, then a cosine that ends where training does.

Source: docs/design/densebench.md, section 7, defect 2.
"""

import math
from typing import Literal

PUBLISHED_LENGTH = 100
"""Epochs of the published cosine, however long training is."""


def rate_share(
    epoch: int, epochs: int, warmup: int = 2, parity: Literal["paper", "fixed"] = "fixed"
) -> float:
    """The learning rate of an epoch as a share of the highest.

    Args:
        epoch: Counted from 0.
        epochs: Of the whole training.
        warmup: Epochs in which the rate rises in equal steps.
        parity: ``fixed``: the first epoch learns, and the cosine would be 0 right after the last
            one. ``paper``: the first epoch has the rate 0, and the cosine reaches 0 after 100
            epochs and rises again; of 150 epochs the last one has half the highest rate.

    Returns:
        In [0, 1].

    Examples:
        >>> [round(rate_share(epoch, 6), 3) for epoch in range(6)]
        [0.333, 0.667, 1.0, 0.854, 0.5, 0.146]
        >>> [round(rate_share(epoch, 150, parity="paper"), 3) for epoch in (0, 2, 100, 149)]
        [0.0, 1.0, 0.0, 0.5]
    """
    if parity == "paper":
        first, warm, length = 0.0, warmup, PUBLISHED_LENGTH
    else:
        warm = min(warmup, epochs - 1)  # at least one epoch at the highest rate
        first, length = 1 / (warm + 1), epochs
    if epoch < warm:
        return first + epoch * (1 - first) / warm
    return (1 + math.cos(math.pi * (epoch - warm) / (length - warm))) / 2
