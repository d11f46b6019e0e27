"""Encoder, strategy and decoder as one network for segmentation."""

from typing import Any

from torch import Tensor, nn

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.network.decoder import WIDTH, CupDecoder
from pathfuse.dense.strategies.base import AdaptationStrategy
from pathfuse.errors import InputError


class SegmentationNet(nn.Module):
    """Logits of K classes for every pixel of an image of any size.

    Attributes:
        encoder: The encoder; in evaluation mode also during training, unless all of it trains.
        adapter: The strategy.
        decoder: The cup decoder.
        strategy: The strategy's name.
        matched: Names of the trunk's modules that the strategy adapted.
        rank: Of their updates; None where there are none.
        n_classes: K.
    """

    def __init__(
        self,
        encoder: TokenEncoder,
        adapter: AdaptationStrategy,
        n_classes: int,
        decoder_width: int = WIDTH,
    ) -> None:
        super().__init__()
        self.encoder, self.adapter, self.n_classes = encoder, adapter, n_classes
        self.decoder = CupDecoder(encoder.dim, n_classes, adapter.skips, decoder_width)
        self.strategy = type(adapter).name
        self.matched = list(adapter.matched)
        self.rank: int | None = None
        self.train()

    def train(self, mode: bool = True) -> "SegmentationNet":
        """Training mode of all but a frozen encoder."""
        super().train(mode)
        self.encoder.train(mode and self.adapter.facts.trains_all)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: Float (batch, 3, height, width), RGB in [0, 1].

        Returns:
            Float (batch, K, height, width).
        """
        height, width = x.shape[-2:]
        skips = self.adapter.maps(self.encoder.prepare(x)) if any(self.adapter.skips) else []
        return self._logits(self.encode(x), height, width, skips)

    @property
    def cacheable(self) -> bool:
        """Whether ``encode`` gives the same all through training, so that ``decode`` can start from
        kept tokens.
        """
        return self.adapter.facts.cacheable

    def encode(self, x: Tensor) -> Tensor:
        """All tokens of the encoder, Float (batch, prefix + h * w, dim)."""
        return self.encoder.sequence(x)[0]

    def decode(self, sequence: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits from kept tokens, of images of height and width ``size``.

        Only where ``cacheable``.

        Raises:
            InputError: The strategy needs the image itself, or changes the encoder.
        """
        if not self.cacheable:
            raise InputError(f"The {self.strategy} strategy cannot start from kept tokens.")
        return self._logits(sequence, *size, [])

    def _logits(self, sequence: Tensor, height: int, width: int, skips: list[Tensor]) -> Tensor:
        grid = self.encoder.to_grid(self.adapter.after(sequence), *self.encoder.grid(height, width))
        return self.encoder.restore(
            self.decoder(grid, self.encoder.padded(height, width), skips), height, width
        )

    @property
    def n_trainable(self) -> int:
        """How many numbers train."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @property
    def n_adapter(self) -> int:
        """How many of them belong to the strategy, not to the decoder."""
        parts = (self.encoder, self.adapter)
        return sum(p.numel() for part in parts for p in part.parameters() if p.requires_grad)

    def parameter_groups(self, lr_adapter: float, lr_decoder: float) -> list[dict[str, Any]]:
        """What an optimiser takes: the decoder's weights, and those of the strategy (in the trunk
        or next to it).

        One rate for both made some models of the benchmark collapse (docs/design/densebench.md,
        section 7, defect 12).
        """
        adapter = [
            p for part in (self.encoder, self.adapter) for p in part.parameters() if p.requires_grad
        ]
        groups = [
            {"params": adapter, "lr": lr_adapter, "name": "adapter"},
            {"params": list(self.decoder.parameters()), "lr": lr_decoder, "name": "decoder"},
        ]
        return [group for group in groups if group["params"]]

    def trainable_state(self) -> dict[str, Tensor]:
        """What training changes, by name: weights that train, and running statistics.

        Not the frozen encoder.
        """
        frozen = {
            name for name, parameter in self.named_parameters() if not parameter.requires_grad
        }
        if not self.adapter.facts.trains_trunk:
            frozen |= {name for name, _ in self.named_buffers() if name.startswith("encoder.")}
        return {
            name: value.detach() for name, value in self.state_dict().items() if name not in frozen
        }

    def load_trainable_state(self, state: dict[str, Tensor]) -> None:
        """Put back what ``trainable_state`` gave.

        Raises:
            InputError: The state is of another encoder, strategy, rank or number of classes, or not
                finite.
        """
        wanted = {name: value.shape for name, value in self.trainable_state().items()}
        wrong = sorted(set(wanted) ^ set(state)) or [
            name for name in wanted if wanted[name] != state[name].shape
        ]
        if wrong:
            raise InputError(
                f"The weights are not of a {self.strategy} network on {self.encoder.card.key} with {self.n_classes} "
                f"classes: {wrong[0]} differs."
            )
        wrong = [name for name, value in state.items() if not bool(value.isfinite().all())]
        if wrong:
            raise InputError(f"The weights are damaged: {wrong[0]} holds NaN or infinity.")
        self.load_state_dict(state, strict=False)
