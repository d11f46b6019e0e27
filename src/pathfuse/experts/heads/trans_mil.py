"""A transformer over the tiles of a bag with a class token, in the manner of TransMIL (Shao et al.
2021).

Attention is exact and masked, in place of TransMIL's Nystrom approximation; there is no positional
encoding, since tiles come without a grid that all formats share.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.experts.heads.base import Head, HeadOutput
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe

N_HEADS = 8
ROOM = 32_768
"""Padded tiles in one pass: short bags share one, a long bag has its own."""


class Layer(nn.Module):
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
            .reshape(n, length, 3, N_HEADS, width // N_HEADS)
            .permute(2, 0, 3, 1, 4)
        )
        query, key, value = parts[0], parts[1], parts[2]
        allowed = mask[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        scores = (query[:, :, :1] @ key.transpose(2, 3)).float() / (width // N_HEADS) ** 0.5
        attended = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1).mean(dim=1)[:, 0]
        tokens = tokens + self.drop(self.out(mixed.transpose(1, 2).reshape(n, length, width)))
        return tokens + self.drop(self.feed(self.norm_2(tokens))), attended


class TransMil(Head):
    """Projection, class token, layers; the class token decides."""

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        width = -(-recipe.hidden // N_HEADS) * N_HEADS
        self.project = nn.Sequential(
            nn.Linear(inputs.dim, width), nn.ReLU(), nn.Dropout(recipe.dropout)
        )
        self.token = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.token, std=0.02)
        self.layers = nn.ModuleList(Layer(width, recipe.dropout) for _ in range(recipe.layers))
        self.norm, self.decide = nn.LayerNorm(width), nn.Linear(width, n_outputs)

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        tiles = self.project(features)
        sizes = torch.bincount(index, minlength=n_bags).tolist()
        bags = list(torch.split(tiles, sizes))
        outputs, attention = [], []
        for group in _groups(sizes):
            one, attended = self._pass([bags[i] for i in group])
            outputs.append(one)
            attention += attended
        order = [i for group in _groups(sizes) for i in group]
        place = torch.tensor(sorted(range(n_bags), key=order.__getitem__), device=features.device)
        by_bag = [attention[i] for i in place.tolist()]
        return HeadOutput(torch.cat(outputs)[place], torch.cat(by_bag))

    def _pass(self, bags: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Outputs of some bags, padded to the longest, and the class token's attention to their
        tiles.
        """
        padded = nn.utils.rnn.pad_sequence(bags, batch_first=True)
        sizes = torch.tensor([len(bag) for bag in bags], device=padded.device)
        mask = torch.arange(padded.shape[1] + 1, device=padded.device)[None] <= sizes[:, None]
        tokens = torch.cat([self.token.to(padded.dtype).expand(len(bags), 1, -1), padded], dim=1)
        attended = tokens.new_zeros(0)
        for layer in self.layers:
            tokens, attended = layer(tokens, mask)
        seen = [row[1 : len(bag) + 1] for row, bag in zip(attended, bags, strict=True)]
        return self.decide(self.norm(tokens[:, 0])), [row / row.sum() for row in seen]


def _groups(sizes: list[int]) -> list[list[int]]:
    """Bags of like length together, so that padding stays small."""
    groups: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], i)):
        if groups and (len(groups[-1]) + 1) * (sizes[i] + 1) <= ROOM:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
