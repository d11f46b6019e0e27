"""Exact attention between all tiles of a bag, without positions, as an alternative to TransMIL's."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.experts.networks.transmil.body import HEADS, Project
from pathfuse.experts.networks.transmil.token import class_token

ROOM = 32_768
"""Padded tiles in one pass: short bags share one, a long bag has its own."""


class ExactLayer(nn.Module):
    """Pre-norm self-attention and a feed-forward block."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens after the layer, and what the class token looked at.

        Args:
            tokens: Float, (bag, token, width).
            mask: Bool, (bag, token), False where padded.
        """
        n, length, width = tokens.shape
        parts = (
            self.mix(self.norm(tokens))
            .reshape(n, length, 3, HEADS, width // HEADS)
            .permute(2, 0, 3, 1, 4)
        )
        query, key, value = parts[0], parts[1], parts[2]
        allowed = mask[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        scores = (query[:, :, :1] @ key.transpose(2, 3)).float() / (width // HEADS) ** 0.5
        attended = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1).mean(dim=1)[:, 0]
        tokens = tokens + self.drop(self.out(mixed.transpose(1, 2).reshape(n, length, width)))
        return tokens + self.drop(self.feed(self.norm_2(tokens))), attended


class ExactBody(nn.Module):
    """Class token and layers of exact attention; bags of like length share a pass.

    Args:
        width: Of a token; a multiple of ``HEADS``.
        layers: How many.
        dropout: Of the layers' outputs.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.token = class_token(width)
        self.layers = nn.ModuleList(ExactLayer(width, dropout) for _ in range(layers))

    def forward(self, bags: list[Tensor], project: Project) -> tuple[Tensor, list[Tensor]]:
        """See ``NystromBody``."""
        groups = _groups([len(bag) for bag in bags])
        vectors: dict[int, Tensor] = {}
        attention: dict[int, Tensor] = {}
        for group in groups:
            found, attended = self._pass([project(bags[i]) for i in group])
            vectors |= dict(zip(group, found, strict=True))
            attention |= dict(zip(group, attended, strict=True))
        order = range(len(bags))
        return torch.stack([vectors[i] for i in order]), [attention[i] for i in order]

    def _pass(self, bags: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Class tokens of some bags, padded to the longest, and their attention to the tiles."""
        padded = nn.utils.rnn.pad_sequence(bags, batch_first=True)
        sizes = torch.tensor([len(bag) for bag in bags], device=padded.device)
        mask = torch.arange(padded.shape[1] + 1, device=padded.device)[None] <= sizes[:, None]
        tokens = torch.cat([self.token.to(padded.dtype).expand(len(bags), 1, -1), padded], dim=1)
        attended = tokens.new_zeros(0)
        for layer in self.layers:
            tokens, attended = layer(tokens, mask)
        seen = [row[1 : len(bag) + 1] for row, bag in zip(attended, bags, strict=True)]
        return tokens[:, 0], [row / row.sum() for row in seen]


def _groups(sizes: list[int]) -> list[list[int]]:
    """Bags of like length together, so that padding stays small."""
    groups: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], i)):
        if groups and (len(groups[-1]) + 1) * (sizes[i] + 1) <= ROOM:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
