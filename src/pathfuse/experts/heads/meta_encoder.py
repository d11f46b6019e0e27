"""Meta-Encoder as a head: the encoders of each tile are joined, the joined tiles pooled by gated
attention.
"""

from typing import cast

import torch
from torch import Tensor, nn

from pathfuse.experts.blocks import BLOCK, in_blocks
from pathfuse.experts.heads.base import Head, HeadOutput, Packed, Truths
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.networks.linear_path import LinearPath
from pathfuse.experts.networks.meta_encoder.contrast import contrast
from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder
from pathfuse.experts.recipe import MetaEncoderRecipe, TrainingRecipe
from pathfuse.experts.segments import segment_softmax, segment_sum


class MetaEncoderHead(Head):
    """One token per encoder and tile, a strategy, attention over tiles, linear.

    With a linear path the network corrects a linear model of the features, from which it starts.
    See docs/design/meta-encoder.md, section 6.3, and docs/design/meta-encoder.md, section 6.5.

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
        if recipe.starts_linear:
            self.linear_path = LinearPath(inputs.dim, n_outputs, recipe.clip)

    def silence(self) -> None:
        """See ``Head``."""
        nn.init.zeros_(self.decide.weight)
        nn.init.zeros_(self.decide.bias)

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
        outputs = self.decide(self.drop(pooled))
        if self.linear_path is not None:
            seen = features if encoded is None else self._kept(features, encoded.present)
            outputs = outputs + self.linear_path(seen, index, n_bags)
        return HeadOutput(outputs, attention[:, 0], encoded)

    def _kept(self, features: Tensor, present: Tensor) -> Tensor:
        """Features, NaN also where training hides an encoder from a row."""
        if not (self.training and self.recipe.drop_encoder):
            return features
        sizes = torch.tensor(self.encoder.sizes, device=features.device)
        return torch.where(present.repeat_interleave(sizes, dim=1), features, torch.nan)

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
