"""Attention across the models of one row, on torch's own layer."""

import torch
from torch import Tensor, nn


class ModelAttention(nn.Module):
    """Pre-norm attention across a row's tokens, with residual: ``tokens +
    Attention(LayerNorm(tokens))``.

    Args:
        width: Of a token; a multiple of ``heads``.
        heads: Of the attention.
        dropout: On what the attention adds.
        others: A model looks at the other models only. It may also look at an empty slot (key and
            value 0), which adds nothing: with two models there is one other, softmax over one is 1,
            and without the slot neither query nor key would matter, as in the published code. A
            model that is alone looks at the slot.
    """

    def __init__(self, width: int, heads: int, dropout: float, others: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True, add_zero_attn=others)
        self.drop = nn.Dropout(dropout)
        self.others = others

    def forward(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens after the layer, and where each came from.

        Args:
            tokens: Float, (row, model, width).
            present: Bool, (row, model).

        Returns:
            Float, (row, model, width), without meaning where absent; Float, (row, model, model),
            rows sum to 1: half of a token is the token itself, half is the attention (mean of the
            heads; the empty slot counts as the token itself), as in attention rollout (Abnar and
            Zuidema 2020, section 3).
        """
        n_models = present.shape[1]
        itself = torch.eye(n_models, dtype=torch.bool, device=tokens.device)
        normed = self.norm(tokens)
        mixed, attended = self.attend(
            normed,
            normed,
            normed,
            key_padding_mask=~present,
            attn_mask=itself if self.others else None,
        )
        attended = attended.float()
        if self.others:
            attended = attended[..., :n_models] + itself * attended[..., n_models:]
        return tokens + self.drop(mixed), (attended + itself) / 2


class ModelLayers(nn.Module):
    """A learned embedding of each model, added to its token, and some ``ModelAttention``.

    Args:
        n_models: How many models there are.
        width: Of a token.
        heads: Of the attention.
        layers: How many layers.
        dropout: See ``ModelAttention``.
        others: See ``ModelAttention``.
    """

    def __init__(
        self, n_models: int, width: int, heads: int, layers: int, dropout: float, others: bool
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(n_models, width))
        nn.init.normal_(self.embedding, std=0.02)
        self.layers = nn.ModuleList(
            ModelAttention(width, heads, dropout, others) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised tokens after all layers, and which models each came from.

        See ``ModelAttention``.
        """
        tokens = tokens + self.embedding
        origin = torch.eye(present.shape[1], device=tokens.device).expand(len(tokens), -1, -1)
        for layer in self.layers:
            tokens, attended = layer(tokens, present)
            origin = chained(attended, origin)
        return self.norm(tokens), origin


def chained(then: Tensor, origin: Tensor) -> Tensor:
    """Matrix product of shares, Float, (row, to, model).

    In full precision also where autocast would halve it.

    Args:
        then: Float, (row, to, from).
        origin: Float, (row, from, model).
    """
    return (then[..., None] * origin[:, None]).sum(dim=2)
