"""The contract of every encoder: an image becomes a grid of tokens."""

import re
from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.dense.encoders.cards import EncoderCard
from pathfuse.errors import InputError

Normalisation = Literal["fixed", "paper"]

# Names of the linear layers of attention. transformers renamed its own in version 5, so both kinds
# are here; MUSK's layers end in .A where images and text have weights of their own.
_ATTENTION = {
    "timm": r"blocks\.\d+\.attn\.(qkv|proj)",
    "conch": r"blocks\.\d+\.attn\.(qkv|proj)",
    "transformers": r"attention\.(query|key|value|output\.dense|[qkvo]_proj)",
    "musk": r"self_attn\.[qkv]_proj(\.A)?|self_attn\.out_proj(\.A)?",
}


def reflected(length: int, wanted: int) -> Tensor:
    """Positions that continue 0 to ``length - 1`` by reflection, without repeating the edge.

    Unlike torch's own padding this goes on beyond one reflection, so an image of a few pixels can
    be padded too.
    """
    if length == 1:
        return torch.zeros(wanted, dtype=torch.long)
    place = torch.arange(wanted) % (2 * length - 2)
    return torch.minimum(place, 2 * length - 2 - place)


class TokenEncoder(nn.Module):
    """A vision transformer whose last layer is read as a grid.

    See docs/design/densebench.md, section 8.

    Images are Float (batch, 3, height, width), RGB in [0, 1], of any height and width. They are
    normalised by the card, and padded by reflection at the bottom and right to the multiple of the
    patch, or resized to the one size that the model takes.

    Attributes:
        card: What is known of the model.
        trunk: The network itself.
        dim: Values per token.
        patch: Side of a patch in pixels.
        adapted_by: Name of the strategy that changed the trunk, else None.
    """

    def __init__(
        self, card: EncoderCard, trunk: nn.Module, normalisation: Normalisation = "fixed"
    ) -> None:
        super().__init__()
        self.card, self.trunk = card, trunk
        self.dim, self.patch = card.dim, card.patch
        self.adapted_by: str | None = None
        self.normalise_as(normalisation)

    def normalise_as(self, normalisation: Normalisation) -> None:
        """Normalise as the model was trained (``fixed``) or as the benchmark did (``paper``), wrong
        for two models.
        """
        card, paper = self.card, normalisation == "paper"
        self.normalisation = normalisation
        for name, true, published in (
            ("mean", card.mean, card.paper_mean),
            ("sd", card.sd, card.paper_sd),
        ):
            used = published if paper and published is not None else true
            like = next(self.trunk.parameters()).device
            self.register_buffer(
                f"_{name}", torch.tensor(used, device=like).view(1, 3, 1, 1), persistent=False
            )

    @abstractmethod
    def run(self, image: Tensor) -> Tensor:
        """All tokens of the last layer, (batch, prefix + h * w, dim), of an image from ``prepare``."""

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that the trunk sees."""
        if self.card.size_policy == "fixed":
            return self.card.size_px, self.card.size_px
        return -(-height // self.patch) * self.patch, -(-width // self.patch) * self.patch

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens of an image."""
        rows, columns = self.padded(height, width)
        return rows // self.patch, columns // self.patch

    def prepare(self, x: Tensor) -> Tensor:
        """The image as the trunk sees it: normalised, and padded or resized."""
        height, width = x.shape[-2:]
        rows, columns = self.padded(height, width)
        x = (x - self._mean) / self._sd
        if (rows, columns) == (height, width):
            return x
        if self.card.size_policy == "fixed":
            return functional.interpolate(
                x, (rows, columns), mode="bilinear", align_corners=False, antialias=True
            )
        x = x[..., reflected(height, rows).to(x.device), :]
        return x[..., reflected(width, columns).to(x.device)]

    def restore(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Maps of the prepared image's size, cut or resized back to the image's own."""
        if self.card.size_policy == "fixed" and maps.shape[-2:] != (height, width):
            return functional.interpolate(
                maps, (height, width), mode="bilinear", align_corners=False
            )
        return maps[..., :height, :width]

    def sequence(self, x: Tensor) -> tuple[Tensor, int, int]:
        """All tokens of the last layer, and the grid's rows and columns.

        Returns:
            Float (batch, prefix + h * w, dim), h and w.

        Raises:
            InputError: The trunk gives another number of tokens than the card says.
        """
        rows, columns = self.grid(*x.shape[-2:])
        tokens = self.run(self.prepare(x))
        expected = (self.card.num_prefix + rows * columns, self.dim)
        if tuple(tokens.shape[1:]) != expected:
            raise InputError(
                f"{self.card.key} gives {tokens.shape[1]} tokens of {tokens.shape[2]} values for an image of "
                f"{x.shape[-2]} x {x.shape[-1]} pixels, its card says {expected[0]} of {expected[1]}."
            )
        return tokens, rows, columns

    def to_grid(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Tokens of ``sequence`` without the prefix, as (batch, dim, rows, columns)."""
        return tokens[:, self.card.num_prefix :].transpose(1, 2).unflatten(2, (rows, columns))

    def tokens(self, x: Tensor) -> Tensor:
        """The grid of tokens, Float (batch, dim, h, w)."""
        return self.to_grid(*self.sequence(x))

    def forward(self, x: Tensor) -> Tensor:
        """As ``tokens``."""
        return self.tokens(x)


def adapted_names(encoder: TokenEncoder) -> list[str]:
    """Names, within the trunk, of the linear layers that LoRA and DoRA adapt.

    These are the layers of attention: queries, keys and values, and the output projection. A list
    without any name is possible here; the strategies refuse it, since the benchmark's silent "no
    match" left six of its 17 models unadapted (docs/design/densebench.md, section 7, defect 1).
    """
    pattern = re.compile(rf"(.*\.)?({_ATTENTION[encoder.card.loader]})")
    layers: list[tuple[str, Any]] = list(encoder.trunk.named_modules())
    return [
        name for name, layer in layers if isinstance(layer, nn.Linear) and pattern.fullmatch(name)
    ]
