"""What a strategy is: which weights of the encoder train, and what is added next to it or after it."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from pathfuse.dense.encoders.base import TokenEncoder, adapted_names
from pathfuse.dense.strategies.registry import STRATEGIES, StrategyFacts
from pathfuse.errors import InputError

Parity = Literal["paper", "fixed"]


class AdaptationStrategy(nn.Module):
    """One way to adapt an encoder to segmentation; this class itself changes nothing.

    A strategy may change the encoder's trunk in place when it is made. The encoder is frozen before
    that.

    Attributes:
        name: As in commands and tables; what else is known of it stands in ``STRATEGIES``.
        skips: Channels of the maps that it adds to the decoder's four steps.
        matched: Names of the trunk's modules that were adapted.
    """

    name: ClassVar[str]
    skips: ClassVar[tuple[int, int, int, int]] = (0, 0, 0, 0)

    def __init__(self, encoder: TokenEncoder, *, rank: int = 16, parity: Parity = "fixed") -> None:
        super().__init__()
        self.matched: list[str] = []

    @property
    def facts(self) -> StrategyFacts:
        """What is known of it."""
        return STRATEGIES[self.name]

    def after(self, sequence: Tensor) -> Tensor:
        """What becomes of the tokens (batch, prefix + h * w, dim) before the prefix is dropped."""
        return sequence

    def maps(self, image: Tensor) -> list[Tensor]:
        """Maps of the prepared image (batch, 3, height, width) for the decoder's first steps."""
        return []


def attention_layers(encoder: TokenEncoder, strategy: str) -> list[str]:
    """Names of the layers to adapt.

    Raises:
        InputError: The encoder has none: an adaptation that adapts nothing is never accepted.
    """
    names = adapted_names(encoder)
    if not names:
        raise InputError(
            f"{strategy} found no attention layer to adapt in {encoder.card.key}; the encoder would stay frozen. "
            "Use the frozen, cnn or transformer strategy, or report the model."
        )
    return names
