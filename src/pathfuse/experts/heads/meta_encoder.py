"""Meta-Encoder as a head: the encoders of each tile are joined, the joined tiles pooled by gated
attention.
"""

from typing import cast

import torch
from torch import Tensor, nn

from pathfuse.experts.blocks import BLOCK, in_blocks
from pathfuse.experts.heads.base import Head, HeadOutput, Packed, Truths
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.networks.meta_encoder.contrast import contrast
from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder
from pathfuse.experts.recipe import MetaEncoderRecipe, TrainingRecipe
from pathfuse.experts.segments import segment_softmax, segment_sum


class MetaEncoderHead(Head):
    """One token per encoder and tile, a strategy, attention over tiles, linear.

    See docs/design/meta-encoder.md, section 6.3.

    Of one vector per sample the attention over tiles is the identity, so that the same head reads
    slides and spots.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.recipe = recipe = cast("MetaEncoderRecipe", recipe)
        self.encoder = MetaEncoder(
            inputs.views,
            recipe.strategy,
            dim=recipe.hidden,
            heads=recipe.attention_heads,
            layers=recipe.layers,
            dropout=recipe.dropout,
            projection=recipe.projection,
            pooling=recipe.pooling,
            drop_encoder=recipe.drop_encoder,
        )
        width = self.encoder.dim_out
        self.pools = not inputs.single
        if self.pools:
            self.content, self.gate = (
                nn.Linear(width, recipe.attention),
                nn.Linear(width, recipe.attention),
            )
            self.score = nn.Linear(recipe.attention, 1, bias=False)
        self.drop = nn.Dropout(recipe.dropout)
        self.decide = nn.Linear(width, n_outputs)

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        encoded = None
        if torch.is_grad_enabled() or len(features) <= BLOCK:
            encoded = self.encoder(features)
            vectors = encoded.vector
        else:  # the tokens of all encoders at once would need several times the features' memory
            vectors = in_blocks(lambda block: self.encoder(block).vector, features)
        attention = torch.ones(len(features), 1, device=features.device)
        if self.pools:
            attention = segment_softmax(in_blocks(self._scores, vectors), index, n_bags)
        pooled = segment_sum(attention * vectors, index, n_bags)
        return HeadOutput(self.decide(self.drop(pooled)), attention[:, 0], encoded)

    def _scores(self, vectors: Tensor) -> Tensor:
        """Float, (tile, 1), before the softmax over the tiles of a bag."""
        activate = torch.relu if self.recipe.gate == "relu" else torch.tanh
        hidden = activate(self.content(vectors)) * torch.sigmoid(self.gate(vectors))
        scored: Tensor = self.score(hidden)
        return scored.float()

    def loss(self, output: HeadOutput, packed: Packed, truths: Truths) -> Tensor:
        """That of the endpoint.

        ``contrastive`` adds InfoNCE between the encoders' mean tokens of each bag.
        """
        task = truths.loss(output.outputs)
        if self.recipe.strategy != "contrastive" or packed.patients is None:
            return task
        tokens, there = output.inner.tokens, output.inner.present
        count = segment_sum(there.float(), packed.index, packed.n_bags)
        total = segment_sum(tokens.flatten(1), packed.index, packed.n_bags).unflatten(
            1, tokens.shape[1:]
        )
        mean = total / count.clamp(min=1)[:, :, None]
        return task + self.recipe.contrast_weight * contrast(
            mean, count > 0, packed.patients, self.recipe.contrast_temperature
        )
