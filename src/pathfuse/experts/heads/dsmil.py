"""DSMIL (Li, Li and Eliceiri 2021): the best tile of each class, and attention to what is like it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pathfuse.experts.blocks import in_blocks
from pathfuse.experts.heads.base import Head, HeadOutput, Packed, Truths
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


class Streams(NamedTuple):
    """Outputs of both streams, each float, (bag, output)."""

    critical: Tensor
    """Score of the tile that scores highest, for each output."""
    pooled: Tensor


class Dsmil(Head):
    """Two streams on the features h of the tiles, whose outputs are averaged.

    The first scores each tile, ``W_0 h``; the highest score of each output c is that of the bag, and
    its tile m is the critical one. The second pools the tiles by their likeness to it,

    ```text
    u_ic = softmax over i of <q_i, q_m> / sqrt(width)      q = W_q h
    b_c  = sum over i of u_ic v_i                          v = W_v h
    score_c = w_c b_c
    ```

    The paper has no root of the width; without it the softmax of unscaled features picks the
    critical tile alone. The loss is the mean of the streams' losses. The attention that is shown is
    the mean of u over the outputs.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``; ``attention`` is the width of q, ``hidden`` that of v."""
        self.instances = nn.Linear(inputs.dim, n_outputs)
        self.query = nn.Linear(inputs.dim, recipe.attention)
        self.value = nn.Linear(inputs.dim, recipe.hidden)
        self.drop = nn.Dropout(recipe.dropout)
        self.decide = nn.Linear(recipe.hidden, n_outputs)
        for layer in (self.instances, self.query, self.value, self.decide):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        scores, queries = in_blocks(self.instances, features), in_blocks(self.query, features)
        sizes = torch.bincount(index, minlength=n_bags).tolist()
        highest, bags, attention = [], [], []
        for bag, scored, asked in zip(
            features.split(sizes), scores.split(sizes), queries.split(sizes), strict=True
        ):
            best = scored.max(dim=0)
            likeness = (asked @ asked[best.indices].T).float() / asked.shape[1] ** 0.5
            attended = likeness.softmax(dim=0)
            highest.append(best.values)
            bags.append(attended.T @ bag)  # W_v comes after the sum, which is the same
            attention.append(attended.mean(dim=1))
        pooled = self.drop(self.value(torch.stack(bags)))
        second = torch.einsum("bch,ch->bc", pooled, self.decide.weight) + self.decide.bias
        streams = Streams(torch.stack(highest), second)
        outputs = (streams.critical + streams.pooled) / 2
        return HeadOutput(outputs, torch.cat(attention), streams)

    def loss(self, output: HeadOutput, packed: Packed, truths: Truths) -> Tensor:
        """See ``Head`` and the class."""
        return (truths.loss(output.inner.critical) + truths.loss(output.inner.pooled)) / 2
