"""What every strategy is made of and answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """Sizes of a strategy's own layers; each strategy reads those that it has a use for."""

    dim: int = 512
    """Length of the output of ``self_attention_published``; the others' follows from their tokens."""
    heads: int = 8
    layers: int = 1
    dropout: float = 0.0
    pooling: Literal["mean", "attention"] = "mean"


class Fused(NamedTuple):
    """What a strategy makes of the tokens."""

    vector: Tensor
    """Float, (row, dim_out)."""
    weights: Tensor | None
    """Float, (row, model), not negative, rows sum to 1, 0 for an absent model; None if the strategy
    has none."""


class TokenStrategy(nn.Module):
    """Joins the tokens of a row. A row's vector depends on that row alone.

    Args:
        widths: Of each model's token. Tokens are as long as the widest; what lies behind a model's
            own width is 0.
        shape: Sizes of the layers.
    """

    raw: ClassVar[bool] = False
    """Whether the tokens are the features themselves, whatever projection was asked for."""
    contrasted: ClassVar[bool] = False
    """Whether training adds ``contrast`` to the loss."""
    dim_out: int

    def __init__(self, widths: Sequence[int], shape: Shape) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.dim_out = self.build(max(widths), shape)

    def build(self, width: int, shape: Shape) -> int:
        """Makes the layers.

        Args:
            width: Of a token.
            shape: See ``Shape``.

        Returns:
            ``dim_out``.
        """
        raise NotImplementedError

    def forward(self, tokens: Tensor, present: Tensor) -> Fused:
        """Joins tokens.

        Args:
            tokens: Float, (row, model, width), 0 where absent.
            present: Bool, (row, model), at least one per row.
        """
        raise NotImplementedError

    def side_by_side(self, tokens: Tensor) -> Tensor:
        """Float, (row, sum of widths): each model's own columns, in order."""
        return torch.cat([tokens[:, m, :width] for m, width in enumerate(self.widths)], dim=1)


def mean_over(tokens: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of each row's tokens, Float, (row, width).

    Args:
        tokens: Float, (row, model, width).
        weights: Float, (row, model), see ``Fused``.
    """
    return torch.einsum("rm,rmw->rw", weights.to(tokens), tokens)


def equal_weights(present: Tensor) -> Tensor:
    """The same weight for each model that is present, Float, (row, model)."""
    return present / present.sum(dim=1, keepdim=True)


def softmax_weights(scores: Tensor, present: Tensor) -> Tensor:
    """Softmax of scores, Float, (row, model), over the models that are present."""
    return scores.float().masked_fill(~present, -torch.inf).softmax(dim=1)
