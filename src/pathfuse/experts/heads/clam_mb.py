"""CLAM with one attention branch per class (Lu et al. 2021)."""

import torch
from torch import Tensor

from pathfuse.experts.heads.clam import ClamSingleBranch


class ClamMultiBranch(ClamSingleBranch):
    """As ``ClamSingleBranch``, but each output pools the tiles by attention of its own.

    It is a linear function of that pooled vector alone.

    The attention that is shown is the mean over the branches.
    """

    def branches(self, n_outputs: int) -> int:
        """See ``ClamSingleBranch``: one for each output."""
        return n_outputs

    def outputs(self, tiles: Tensor, attention: Tensor, index: Tensor, n_bags: int) -> Tensor:
        """See ``ClamSingleBranch``."""
        sizes = torch.bincount(index, minlength=n_bags).tolist()
        bags = zip(attention.split(sizes), tiles.split(sizes), strict=True)
        pooled = torch.stack([attended.T.to(bag.dtype) @ bag for attended, bag in bags])
        return torch.einsum("bch,ch->bc", pooled, self.decide.weight) + self.decide.bias
