"""A linear model inside a network: the network adds to what the model says."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pathfuse.experts.segments import segment_sum

BLOCK = 8192
"""Tiles that are added up at a time."""


class LinearPath(nn.Module):
    """``clip((mean of a bag's tiles - mean) / sd) @ coefficients + intercepts``, frozen.

    Its arrays are buffers: they are stored with the weights, and no optimiser moves them. Until
    ``set`` it gives 0.

    Args:
        dim: Length of a feature vector.
        n_outputs: Length of the output.
        clip: Standard deviations beyond which a bag's mean is cut.
    """

    mean: Tensor
    sd: Tensor
    coefficients: Tensor
    intercepts: Tensor

    def __init__(self, dim: int, n_outputs: int, clip: float | None) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("sd", torch.ones(dim))
        self.register_buffer("coefficients", torch.zeros(dim, n_outputs))
        self.register_buffer("intercepts", torch.zeros(n_outputs))

    def set(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes ``mean``, ``sd``, ``coefficients`` and ``intercepts``."""
        self.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> Tensor:
        """Float32, (bag, output), in full precision also where autocast would halve it.

        Args:
            features: Float, (tile, dim); NaN where an encoder lacks the tile. An encoder that has
                none of a bag's tiles counts as the mean of the training units.
            index: Int, (tile,), the bag of each tile.
            n_bags: How many bags there are.
        """
        with torch.autocast(features.device.type, enabled=False):
            scaled = (bag_means(features.float(), index, n_bags) - self.mean) / self.sd
            scaled = torch.where(scaled.isnan(), 0.0, scaled)
            if self.clip is not None:
                scaled = scaled.clamp(-self.clip, self.clip)
            return scaled @ self.coefficients + self.intercepts


def bag_means(features: Tensor, index: Tensor, n_bags: int) -> Tensor:
    """Float, (bag, dim): the mean over the tiles that are known; NaN where there are none."""
    total = count = features.new_zeros(n_bags, features.shape[1])
    for start in range(0, len(features), BLOCK):
        part, bag = features[start : start + BLOCK], index[start : start + BLOCK]
        known = ~part.isnan()
        total = total + segment_sum(torch.where(known, part, 0.0), bag, n_bags)
        count = count + segment_sum(known.to(part.dtype), bag, n_bags)
    return total / count
