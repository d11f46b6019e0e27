"""The features of several foundation models in, one vector per row out."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pathfuse.experts.networks.meta_encoder.strategies.base import Shape
from pathfuse.experts.networks.meta_encoder.strategies.registry import STRATEGIES, make_strategy


class Encoded(NamedTuple):
    """What the encoder makes of a batch."""

    vector: Tensor
    """Float, (row, dim_out)."""
    weights: Tensor | None
    """Float, (row, model): the share of each model; not negative, rows sum to 1, 0 for an
    absent model. None if the strategy has none."""
    tokens: Tensor
    """Float, (row, model, width): the projected tokens, 0 where absent."""
    present: Tensor
    """Bool, (row, model): the models that were there and, in training, not dropped."""


class MetaEncoder(nn.Module):
    """One token per foundation model, joined by a strategy.

    See docs/design/meta-encoder.md, section 6.1.

    Each model's features go through Linear and LayerNorm to the common width. A model whose
    features are all NaN in a
    row is absent there: it is masked everywhere and sends no gradient. Models are in the order of
    their names, so the order of ``dims`` changes nothing. torch's global generator sets the weights
    and draws the dropout.

    Args:
        dims: Length of each model's features, by name.
        strategy: A name in ``STRATEGIES``.
        dim: Width of the tokens; a multiple of ``heads`` for the attention strategies.
        heads: Of the attention strategies.
        layers: Of the attention strategies.
        dropout: On the tokens, and on what attention adds to them.
        projection: ``identity`` leaves the features untouched: meant for ``concat``. The tokens are
            then as wide as the widest model, with 0 behind the others'.
        pooling: Of ``self_attention``.
        drop_encoder: In training, each model that is present is dropped from a row with this
            probability; of models that would all be dropped, one stays.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        strategy: str = "self_attention",
        dim: int = 512,
        heads: int = 8,
        layers: int = 1,
        dropout: float = 0.0,
        projection: Literal["linear", "identity"] = "linear",
        pooling: Literal["mean", "attention"] = "mean",
        drop_encoder: float = 0.0,
    ) -> None:
        super().__init__()
        self.names = tuple(sorted(dims))
        self.sizes = [dims[name] for name in self.names]
        self.drop_encoder = drop_encoder
        linear = projection == "linear" and not STRATEGIES[strategy].raw
        widths = [dim] * len(self.sizes) if linear else self.sizes
        self.width = max(widths)
        self.project = nn.ModuleList(
            nn.Sequential(nn.Linear(size, dim), nn.LayerNorm(dim))
            if linear
            else nn.ConstantPad1d((0, self.width - size), 0.0)
            for size in self.sizes
        )
        self.drop = nn.Dropout(dropout)
        self.strategy = make_strategy(strategy, widths, Shape(dim, heads, layers, dropout, pooling))
        self.dim_out = self.strategy.dim_out

    def forward(self, features: Tensor) -> Encoded:
        """Joins the models of each row; a row's result depends on that row alone.

        Args:
            features: Float, (row, sum of dims), the models side by side in the order of their
                names; NaN in all columns of a model that is missing. Each row has at least one
                model.
        """
        parts = features.split(self.sizes, dim=1)
        present = torch.stack([~part.isnan().all(dim=1) for part in parts], dim=1)
        if self.training and self.drop_encoder > 0:
            present = dropped(present, self.drop_encoder)
        # NaN goes before the projection: a gradient of 0 times NaN would be NaN
        known = [torch.where(present[:, m, None], part, 0.0) for m, part in enumerate(parts)]
        tokens = torch.stack(
            [layer(part) for layer, part in zip(self.project, known, strict=True)], dim=1
        )
        tokens = torch.where(present[..., None], self.drop(tokens), 0.0)
        fused = self.strategy(tokens, present)
        return Encoded(fused.vector, fused.weights, tokens, present)


def dropped(present: Tensor, share: float) -> Tensor:
    """Models that stay: each goes with probability ``share``.

    Of a row where all would go, one stays by lot.

    Args:
        present: Bool, (row, model), at least one per row.
        share: In [0, 1).

    Returns:
        Bool, (row, model), a subset of ``present``; torch's global generator draws.
    """
    draw = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    return present & ((draw >= share) | (draw == draw.amax(dim=1, keepdim=True)))
