"""Softmax weights of the models from their tokens, and the weighted sum."""

import torch
from torch import Tensor, nn

from pathfuse.experts.networks.meta_encoder.strategies.base import (
    Fused,
    Shape,
    TokenStrategy,
    mean_over,
    softmax_weights,
)

WIDTH = 128
"""Of the hidden layer that scores a token."""


class Gated(TokenStrategy):
    """Gated attention over models, with the score of Ilse, Tomczak and Welling (2018), equation 9.

    The score is Linear(tanh(Linear) times sigmoid(Linear)), shared by the models, and a learned
    preference for each model. The last layer has no bias, which would raise all scores alike.
    """

    def build(self, width: int, shape: Shape) -> int:
        """See ``TokenStrategy``."""
        self.content, self.gate = nn.Linear(width, WIDTH), nn.Linear(width, WIDTH)
        self.score = nn.Linear(WIDTH, 1, bias=False)
        self.preference = nn.Parameter(torch.zeros(len(self.widths)))
        return width

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """See ``TokenStrategy``."""
        hidden = torch.tanh(self.content(tokens)) * torch.sigmoid(self.gate(tokens))
        weights = softmax_weights(self.score(hidden)[..., 0] + self.preference, present)
        return Fused(mean_over(tokens, weights), weights)
