"""Weights of groups by inverse frequency, and what training with them does to the outputs."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from pathfuse.types import Index

if TYPE_CHECKING:
    from torch import Tensor

MOST = 20.0
"""No group weighs more than this many times another: a handful of rows would steer all training."""
CERTAIN = -30.0
"""Logarithm of what a probability lacks to 1, from which on it counts as 1."""


def inverse_frequency(groups: Index) -> Float[np.ndarray, " row"]:
    """A weight per row, inverse to the size of its group, with mean 1.

    Args:
        groups: Int, (row,). A group with less than 1 / ``MOST`` of the rows of the largest one
            weighs as if it had that many.

    Examples:
        >>> inverse_frequency(np.array([0, 0, 0, 1])).round(3).tolist()
        [0.667, 0.667, 0.667, 2.0]
    """
    _, member, count = np.unique(groups, return_inverse=True, return_counts=True)
    weight = 1.0 / np.maximum(count, count.max() / MOST)[member]
    return np.asarray(weight / weight.mean())


def log_before_focus(log_prob: "Tensor", log_rest: "Tensor", gamma: float) -> "Tensor":
    """Logarithm, up to a constant, of the probability that focal loss turned into ``prob``.

    The expected loss ``-sum_k p_k (1 - q_k)^g log q_k`` is smallest where every ``p_k`` is
    proportional to ``q_k / ((1 - q_k)^g - g (1 - q_k)^(g - 1) q_k log q_k)``, which is what this
    gives (Charoenphakdee et al., CVPR 2021).

    Args:
        log_prob: Float64, any shape: ``log q``.
        log_rest: Float64, likewise: ``log (1 - q)``.
        gamma: Of the loss.
    """
    import torch

    ratio = -log_prob / log_rest.clamp(min=CERTAIN).exp()  # 1 in the limit
    ratio = torch.where(log_rest < CERTAIN, torch.ones_like(ratio), ratio)
    return log_prob - gamma * log_rest - torch.log1p(gamma * log_prob.exp() * ratio)
