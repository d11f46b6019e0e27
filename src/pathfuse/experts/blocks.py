"""Large bags in blocks of tiles, so that predicting one needs little more memory than its features."""

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 8192
"""Tiles that go through a layer at once when no gradient is kept."""


def in_blocks(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """``function(rows)`` for a function of each row alone.

    In training all rows go at once, since their intermediate values are kept for the gradient
    anyway. Without gradients they go in blocks of ``BLOCK``.

    Args:
        function: From (row, ...) to (row, ...).
        rows: Float, (row, ...).
    """
    if torch.is_grad_enabled() or len(rows) <= BLOCK:
        return function(rows)
    first = function(rows[:BLOCK])
    found = first.new_empty(len(rows), *first.shape[1:])
    found[:BLOCK] = first
    for start in range(BLOCK, len(rows), BLOCK):
        found[start : start + BLOCK] = function(rows[start : start + BLOCK])
    return found
