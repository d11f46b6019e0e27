"""The layers between TransMIL's projection and its last layer, as published."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from pathfuse.experts.networks.transmil.nystrom import NystromLayer
from pathfuse.experts.networks.transmil.position import Positions, squared
from pathfuse.experts.networks.transmil.token import class_token

HEADS = 8
Project: TypeAlias = Callable[[Tensor], Tensor]


class NystromBody(nn.Module):
    """Squaring, class token, a Nystroem layer, positions, further Nystroem layers.

    Bags go one by one, so that a bag's result does not depend on others.

    Args:
        width: Of a token; a multiple of ``HEADS``.
        layers: Nystroem layers, 2 in the paper; positions come after the first.
        dropout: Of the layers' outputs.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.token, self.positions = class_token(width), Positions(width)
        self.layers = nn.ModuleList(
            NystromLayer(width, HEADS, max(1, width // 2), dropout) for _ in range(layers)
        )

    def forward(self, bags: list[Tensor], project: Project) -> tuple[Tensor, list[Tensor]]:
        """The class token of each bag, and its attention to the tiles in the last layer.

        Args:
            bags: Of each bag its features, float, (tile, dim).
            project: From (tile, dim) to (tile, width). Called here, bag by bag, so that no second
                copy of a large bag's tokens stays in memory.

        Returns:
            Float, (bag, width), and of each bag float, (tile,), sums to 1.
        """
        done = [self._pass(bag, project) for bag in bags]
        return torch.stack([vector for vector, _ in done]), [seen for _, seen in done]

    def _pass(self, features: Tensor, project: Project) -> tuple[Tensor, Tensor]:
        square = squared(project(features))
        tokens = torch.cat([self.token.to(square.dtype)[None], square])
        del square
        attended = tokens.new_zeros(0)
        for number, layer in enumerate(self.layers):
            tokens, attended = layer(tokens)
            if number == 0:
                tokens = self._placed(tokens)
        n = len(features)
        seen = attended[1 : n + 1].clone()
        again = attended[n + 1 :]
        seen[: len(again)] += again  # tiles that stand on the square twice
        return tokens[0], seen / seen.sum()

    def _placed(self, tokens: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return torch.cat([tokens[:1], self.positions(tokens[1:])])
        self.positions(tokens[1:])  # in place
        return tokens
