"""The cup decoder: from a grid of tokens to logits of every pixel.

See docs/design/densebench.md, section 3.
"""

from collections.abc import Sequence

from torch import Tensor, cat, nn
from torch.nn import functional

WIDTH = 512
CHANNELS = (256, 128, 64, 16)


def upsampled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps at another size, bilinear with aligned corners, as published."""
    return (
        maps
        if maps.shape[-2:] == size
        else functional.interpolate(maps, size, mode="bilinear", align_corners=True)
    )


def _unit(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class CupDecoder(nn.Module):
    """Four steps of upsampling, each with an optional map of the strategy and two convolutions.

    The first three steps double the size, up to the one that is asked for; the last goes to it, so
    every patch size works without a factor of its own (published: 2, 1.75 or 1 for patch 16, 14 and
    8).

    Args:
        dim: Values per token.
        n_classes: K, at least 2.
        skips: Channels of the maps that join steps 1 to 4; 0 where none does.
        width: Channels before the first step; those of the steps follow in the published
            proportions.
    """

    def __init__(
        self, dim: int, n_classes: int, skips: Sequence[int] = (0, 0, 0, 0), width: int = WIDTH
    ) -> None:
        super().__init__()
        self.entry = _unit(dim, width)
        channels_of = tuple(max(8, count * width // WIDTH) for count in CHANNELS)
        before = (width, *channels_of[:-1])
        self.steps = nn.ModuleList(
            nn.Sequential(_unit(wide + skip, channels), _unit(channels, channels))
            for wide, skip, channels in zip(before, skips, channels_of, strict=True)
        )
        self.head = nn.Conv2d(channels_of[-1], n_classes, 3, padding=1)

    def forward(self, grid: Tensor, size: tuple[int, int], skips: Sequence[Tensor] = ()) -> Tensor:
        """Logits at a size.

        Args:
            grid: Float (batch, dim, h, w).
            size: Height and width of the logits.
            skips: Maps for the first steps, of any size, in order; as many as were announced.

        Returns:
            Float (batch, K, height, width).
        """
        x = self.entry(grid)
        rows, columns = grid.shape[-2:]
        sizes = [
            (min(rows * times, size[0]), min(columns * times, size[1])) for times in (2, 4, 8)
        ] + [size]
        for number, (step, wanted) in enumerate(zip(self.steps, sizes, strict=True)):
            x = upsampled(x, wanted)
            if number < len(skips):
                x = cat([x, upsampled(skips[number].to(x.dtype), wanted)], dim=1)
            x = step(x)
        return self.head(x)
