"""The student of FuseCPath: tiles in clusters in bags, one vector per bag out.

See docs/design/fusecpath.md, section 7.2.

Attention groups are clusters, not windows of a raster, and nothing crosses bags. Tiles of all bags
come one after the other; groups are padded only inside attention, and masked there.
"""

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.errors import InputError

Activation: TypeAlias = Literal["tanh", "relu"]
Across: TypeAlias = Literal["joint", "slots"]

POSITIONAL = 15
"""Queries that the positional term spans."""
SOFT = 1e-2
"""Added to both ends of the min-max scaling of scores. A cluster of equal tiles has weight 1
instead of 0/0, and near equality does not amplify rounding."""


class Embedded(NamedTuple):
    """What the student makes of a packed batch."""

    vector: Tensor
    """Float, (bag, dim)."""
    attention: Tensor
    """Float, (tile,), of the pooling; sums to 1 over each bag."""


class Groups:
    """Where the rows of a packed batch stand once each group is padded to the longest.

    Args:
        of: Int, (row,), the group of each row, in any order.
        n_groups: How many groups there are; each has a row.
    """

    def __init__(self, of: Tensor, n_groups: int) -> None:
        count = torch.bincount(of, minlength=n_groups)
        self.of, self.n, self.longest = of, n_groups, int(count.max())
        order = torch.argsort(of, stable=True)
        place = torch.empty_like(of)
        place[order] = (
            torch.arange(len(of), device=of.device) - (count.cumsum(0) - count)[of[order]]
        )
        self._flat = of * self.longest + place
        self.mask = torch.arange(self.longest, device=of.device) < count[:, None]
        """Bool, (group, place), False where padded."""

    def pad(self, rows: Tensor) -> Tensor:
        """From (row, ...) to (group, place, ...), 0 where padded."""
        flat = rows.new_zeros(self.n * self.longest, *rows.shape[1:]).index_copy(
            0, self._flat, rows
        )
        return flat.unflatten(0, (self.n, self.longest))

    def unpad(self, padded: Tensor) -> Tensor:
        """From (group, place, ...) to (row, ...)."""
        return padded.flatten(0, 1).index_select(0, self._flat)

    def softmax(self, scores: Tensor) -> Tensor:
        """Softmax over the rows of each group: from (row, column) to (group, place, column), 0
        where padded.
        """
        return (
            self.pad(scores.float()).masked_fill(~self.mask[..., None], -torch.inf).softmax(dim=1)
        )


class Attention(nn.Module):
    """Multi-head self-attention inside each group; no feed-forward part.

    Args:
        dim: Width.
        heads: Heads; they divide ``dim``.
        dropout: On the output projection.
        sparse_k: Keep the k largest scores of each query, and all that equal the k-th; None keeps
            all.
        positional: Add to the scores their convolution over the queries, one filter of
            ``POSITIONAL`` rows per head, in the order of the rows (the published bias is left out:
            it adds the same to all scores). Without it the order does not matter.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        dropout: float,
        sparse_k: int | None,
        positional: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.sparse_k = heads, sparse_k
        self.mix, self.out, self.drop = (
            nn.Linear(dim, 3 * dim),
            nn.Linear(dim, dim),
            nn.Dropout(dropout),
        )
        kernel, around = (POSITIONAL, 1), (POSITIONAL // 2, 0)
        self.local = (
            nn.Conv2d(heads, heads, kernel, padding=around, groups=heads, bias=False)
            if positional
            else None
        )

    def forward(self, rows: Tensor, groups: Groups) -> Tensor:
        """From (row, dim) to (row, dim)."""
        mixed = groups.pad(self.mix(rows).unflatten(1, (3, self.heads, -1)))
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        allowed = groups.mask[:, None, None, :]
        if self.local is not None:
            seen = self._placed(query, key, groups, self.local) @ value
        else:
            if self.sparse_k is not None and self.sparse_k < groups.longest:
                allowed = allowed & _largest(query @ key.transpose(2, 3), allowed, self.sparse_k)
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.drop(self.out(groups.unpad(seen.transpose(1, 2)).flatten(1)))

    def _placed(self, query: Tensor, key: Tensor, groups: Groups, local: nn.Module) -> Tensor:
        """Attention with the positional term, float, (group, head, place, place).

        Scores of padding are 0 for the convolution, so that it adds nothing.
        """
        allowed = groups.mask[:, None, None, :]
        both = allowed & groups.mask[:, None, :, None]
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~both, 0)
        scores = scores + local(scores)
        if self.sparse_k is not None and self.sparse_k < groups.longest:
            allowed = allowed & _largest(scores, allowed, self.sparse_k)
        return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)


def _largest(scores: Tensor, allowed: Tensor, k: int) -> Tensor:
    """True where a score is among the k largest of its query."""
    with torch.no_grad():
        masked = scores.masked_fill(~allowed, -torch.inf)
        return masked >= masked.topk(k, dim=-1).values[..., -1:]


class WithinClusters(nn.Module):
    """Tiles attend to the tiles of their cluster: ``x + attention(norm(x))``."""

    def __init__(
        self, dim: int, heads: int, dropout: float, sparse_k: int | None, positional: bool
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attend = Attention(dim, heads, dropout, sparse_k, positional)

    def forward(self, tiles: Tensor, clusters: Groups) -> Tensor:
        """From (tile, dim) to (tile, dim)."""
        return tiles + self.attend(self.norm(tiles), clusters)


class AcrossClusters(nn.Module):
    """Each cluster sends representatives, which attend to those of the bag's other clusters and
    report back.

    A representative is a softmax-weighted sum of the cluster's tiles, by scores ``tiles @ slots``.
    A tile gets back the sum over representatives of (its score scaled to 0..1 over the cluster)
    times (softmax of its scores over representatives) times the representative.

    Args:
        dim: Width.
        heads: See ``Attention``.
        dropout: See ``Attention``.
        sparse_k: See ``Attention``.
        representatives: Of each cluster.
        across: ``joint``: all representatives of a bag attend to each other; ``slots``: the first
            ones, the second ones, ... each among themselves, as published.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        dropout: float,
        sparse_k: int | None,
        representatives: int,
        across: Across,
    ) -> None:
        super().__init__()
        self.across = across
        self.norm, self.attend = nn.LayerNorm(dim), Attention(dim, heads, dropout, sparse_k)
        self.slots = nn.Linear(dim, representatives, bias=False)

    def forward(self, tiles: Tensor, clusters: Groups, bag_of: Tensor, n_bags: int) -> Tensor:
        """From (tile, dim) to (tile, dim).

        Args:
            tiles: Float, (tile, dim).
            clusters: Of the tiles.
            bag_of: Int, (cluster,), the bag of each cluster.
            n_bags: How many bags there are.
        """
        normed = self.norm(tiles)
        scores = self.slots(normed).float()
        sent = torch.einsum(
            "gns,gnd->gsd", clusters.softmax(scores).to(normed.dtype), clusters.pad(normed)
        )
        n_slots = sent.shape[1]
        if self.across == "joint":
            groups = Groups(bag_of.repeat_interleave(n_slots), n_bags)
        else:
            groups = Groups(
                (bag_of[:, None] * n_slots + torch.arange(n_slots, device=bag_of.device)).flatten(),
                n_bags * n_slots,
            )
        attended = self.attend(sent.flatten(0, 1), groups).unflatten(0, (-1, n_slots))
        share = clusters.pad(_scaled(scores, clusters) * scores.softmax(dim=1))
        return tiles + clusters.unpad(
            torch.einsum("gns,gsd->gnd", share.to(attended.dtype), attended)
        )


def _scaled(scores: Tensor, groups: Groups) -> Tensor:
    """Scores from 0 for the least of their group (nearly; see ``SOFT``) to 1 for the greatest,
    column by column.
    """
    padded, outside = groups.pad(scores), ~groups.mask[..., None]
    low = padded.masked_fill(outside, torch.inf).amin(dim=1)[groups.of]
    high = padded.masked_fill(outside, -torch.inf).amax(dim=1)[groups.of]
    return (scores - low + SOFT) / (high - low + SOFT)


class AttentionPool(nn.Module):
    """The attention-weighted mean of each bag: scores Linear(activation(Linear)), neither with
    bias.
    """

    def __init__(self, dim: int, width: int, activation: Activation) -> None:
        super().__init__()
        activate = nn.Tanh() if activation == "tanh" else nn.ReLU()
        self.score = nn.Sequential(
            nn.Linear(dim, width, bias=False), activate, nn.Linear(width, 1, bias=False)
        )

    def forward(self, tiles: Tensor, bags: Groups) -> Embedded:
        """From (tile, dim) to one vector per bag."""
        attention = bags.softmax(self.score(tiles))
        vector = torch.einsum("bno,bnd->bd", attention.to(tiles.dtype), bags.pad(tiles))
        return Embedded(vector, bags.unpad(attention)[:, 0])


class Student(nn.Module):
    """Projection, attention within clusters, attention across clusters, norm, pooling.

    A bag's vector depends on its own tiles alone, and neither on their order (but for
    ``positional``) nor on the numbers of the clusters. The memory is that of all clusters padded to
    the largest: draw about equally many tiles of each.

    Args:
        dim_in: Length of a tile's features, all views together.
        dim: Width.
        heads: Of every attention.
        blocks: Blocks of attention within clusters.
        representatives: See ``AcrossClusters``.
        dropout: After the projection.
        attention_dropout: See ``Attention``.
        sparse_k: See ``Attention``.
        activation: Of the pooling: ``tanh`` (paper) or ``relu`` (released code).
        pool_width: Hidden width of the pooling.
        across: See ``AcrossClusters``.
        positional: See ``Attention``; within clusters only.

    Raises:
        InputError: The heads do not divide the width.
    """

    def __init__(
        self,
        dim_in: int,
        dim: int = 512,
        heads: int = 8,
        blocks: int = 1,
        representatives: int = 3,
        dropout: float = 0.25,
        attention_dropout: float = 0.1,
        sparse_k: int | None = None,
        activation: Activation = "tanh",
        pool_width: int = 128,
        across: Across = "joint",
        positional: bool = False,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise InputError(f"the width {dim} cannot be shared by {heads} attention heads")
        self.project = nn.Sequential(nn.Linear(dim_in, dim), nn.ReLU(), nn.Dropout(dropout))
        self.within = nn.ModuleList(
            WithinClusters(dim, heads, attention_dropout, sparse_k, positional)
            for _ in range(blocks)
        )
        self.across = AcrossClusters(
            dim, heads, attention_dropout, sparse_k, representatives, across
        )
        self.norm, self.pool = nn.LayerNorm(dim), AttentionPool(dim, pool_width, activation)

    def forward(self, features: Tensor, index: Tensor, clusters: Tensor, n_bags: int) -> Embedded:
        """Reads a packed batch.

        Args:
            features: Float, (tile, dim_in), the tiles of all bags, bag after bag.
            index: Int, (tile,), ascending: the bag of each tile; each bag has one.
            clusters: Int, (tile,), not negative: the cluster of each tile, numbered anyhow within
                its bag.
            n_bags: How many bags there are.
        """
        keys = index * (clusters.max() + 1) + clusters
        found, of = torch.unique(keys, return_inverse=True)
        bag_of = torch.div(found, clusters.max() + 1, rounding_mode="floor")
        groups = Groups(of, len(found))
        tiles = self.project(features)
        for block in self.within:
            tiles = block(tiles, groups)
        tiles = self.across(tiles, groups, bag_of, n_bags)
        return self.pool(self.norm(tiles), Groups(index, n_bags))
