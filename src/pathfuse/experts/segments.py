"""Sums, means and softmax over the tiles of each bag in a packed batch: no padding, so nothing
leaks between bags.
"""

import torch
from torch import Tensor


def segment_sum(values: Tensor, index: Tensor, n_bags: int) -> Tensor:
    """Sum of each bag's rows.

    Args:
        values: Float, (tile, column).
        index: Int, (tile,), the bag of each tile.
        n_bags: How many bags there are.

    Returns:
        Float, (bag, column).
    """
    return torch.zeros(
        n_bags, values.shape[1], dtype=values.dtype, device=values.device
    ).index_add_(0, index, values)


def segment_mean(values: Tensor, index: Tensor, n_bags: int) -> Tensor:
    """Mean of each bag's rows; see ``segment_sum``."""
    count = torch.bincount(index, minlength=n_bags).clamp(min=1)
    return segment_sum(values, index, n_bags) / count[:, None]


def segment_softmax(scores: Tensor, index: Tensor, n_bags: int) -> Tensor:
    """Softmax over the tiles of each bag.

    Args:
        scores: Float, (tile, column).
        index: Int, (tile,).
        n_bags: How many bags there are.

    Returns:
        Float, (tile, column); each bag's rows sum to 1.
    """
    highest = torch.full(
        (n_bags, scores.shape[1]), -torch.inf, dtype=scores.dtype, device=scores.device
    )
    where = index[:, None].expand_as(scores)
    highest = highest.scatter_reduce(0, where, scores.detach(), "amax", include_self=False)
    raised = torch.exp(scores - highest[index])
    return raised / segment_sum(raised, index, n_bags)[index]
