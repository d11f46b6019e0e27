"""CNN adapter: a residual network on the image, next to the frozen encoder.

See docs/design/densebench.md, section 3.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.strategies.base import AdaptationStrategy, Parity

WIDTH = 64
UNITS = (3, 4, 9)


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose weights have mean 0 and variance 1 per output channel."""

    def forward(self, x: Tensor) -> Tensor:
        """As a convolution."""
        weight = functional.batch_norm(
            self.weight.flatten(1).unsqueeze(0), None, None, training=True, momentum=0.0, eps=1e-5
        ).view_as(self.weight)
        return functional.conv2d(x, weight, None, self.stride, self.padding)


def _conv(channels_in: int, channels_out: int, side: int, stride: int = 1) -> nn.Sequential:
    convolution = StandardisedConv2d(channels_in, channels_out, side, stride, side // 2, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(32, channels_out))


class Bottleneck(nn.Module):
    """A residual unit: 1x1, 3x3 and 1x1 convolutions, and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        middle = channels_out // 4
        self.first = _conv(channels_in, middle, 1)
        self.second = _conv(middle, middle, 3, stride)
        self.third = _conv(middle, channels_out, 1)
        same = channels_in == channels_out and stride == 1
        self.shortcut = nn.Identity() if same else _conv(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the size where the stride is 2."""
        inner = functional.relu(self.first(x))
        inner = self.third(functional.relu(self.second(inner)))
        return functional.relu(inner + self.shortcut(x))


def _stage(channels_in: int, channels_out: int, units: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels_in, channels_out, stride)
    return nn.Sequential(
        first, *(Bottleneck(channels_out, channels_out, 1) for _ in range(units - 1))
    )


class CnnAdapter(AdaptationStrategy):
    """Maps at 1/8, 1/4 and 1/2 of the image, for the decoder's first three steps.

    As in TransUNet: stem 7x7, pooling, stages of 3, 4 and 9 units. The published last stage (1/16,
    9 units, 88 % of the adapter's weights) leads nowhere; it is made under ``parity="paper"`` only,
    where its weights never get a gradient. Sizes need not be even or square: each map is fitted to
    the decoder's own.
    """

    name = "cnn"
    skips = (8 * WIDTH, 4 * WIDTH, WIDTH, 0)

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__(encoder, rank=rank, parity=parity)
        self.stem = _conv(3, WIDTH, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.quarter = _stage(WIDTH, 4 * WIDTH, UNITS[0], 1)
        self.eighth = _stage(4 * WIDTH, 8 * WIDTH, UNITS[1], 2)
        self.sixteenth = _stage(8 * WIDTH, 16 * WIDTH, UNITS[2], 2) if parity == "paper" else None

    def maps(self, image: Tensor) -> list[Tensor]:
        """Maps of 512, 256 and 64 channels, coarsest first."""
        half = functional.relu(self.stem(image))
        quarter = self.quarter(self.pool(half))
        # The dead stage is not run: it would cost time and change nothing.
        return [cast("Tensor", self.eighth(quarter)), quarter, half]
