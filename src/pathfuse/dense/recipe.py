"""How a segmentation network is trained: every choice in one place."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from pathfuse.dense.strategies.registry import PUBLISHED_RATE, STRATEGIES
from pathfuse.errors import InputError, first_problem

Positive = Annotated[float, Field(gt=0, le=1e6)]
Rate = Annotated[float, Field(gt=0, le=10)]
"""A learning rate: no training could use a larger one."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Side = Annotated[int, Field(ge=8, le=16_384)]


def _known(strategy: str) -> str:
    if strategy not in STRATEGIES:
        raise ValueError(f"'strategy' must be one of {', '.join(STRATEGIES)}, not '{strategy}'")
    return strategy


StrategyName = Annotated[str, AfterValidator(_known)]


class DenseRecipe(BaseModel):
    """Adaptation, optimisation and inference of one network.

    Defaults are those of PFM-DenseBench (docs/design/densebench.md, section 4) but for the faults
    of section 7; ``parity="paper"`` repeats them. ``DenseRecipe.of`` sets the adapter's rate by
    strategy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    strategy: StrategyName = "frozen"
    rank: Annotated[int, Field(ge=1, le=8192)] = 16
    """Of LoRA and DoRA."""
    capacity: Literal["rank", "equal"] = "rank"
    """``equal``: the rank is scaled by how an encoder's attention is built, so that as many weights
    per block train as rank ``rank`` has where queries, keys and values are one layer."""
    decoder_width: Annotated[int, Field(ge=16, le=8192)] = 512
    """Channels before the decoder's first step, as published; fewer make it faster and smaller."""
    parity: Literal["paper", "fixed"] = "fixed"
    """``paper`` repeats the published faults of network, loss and schedule."""

    size_px: Side = 224
    """Side of the square that the network sees; a multiple of the encoder's patch is best."""
    fit: Literal["resize", "crop"] = "resize"
    """How an image becomes that square: the whole image resized, its aspect not kept, as published;
    or a crop at its own scale when training and overlapping tiles when predicting."""
    augment: bool = True
    """Flips, turns, scale and stain; without it features of a frozen encoder are computed once if
    ``fit`` is resize."""
    cache: bool = True
    """Whether they are, in a float16 file next to the output."""

    epochs: Count = 150
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] = 2
    """Epochs; of a training that is no longer than this, all but the last."""
    batch: Count = 8
    """Images per step, on each device."""
    learning_rate: Rate = STRATEGIES["lora"].learning_rate
    """Highest, of the adapter or of the encoder's own weights."""
    decoder_rate: Rate = PUBLISHED_RATE
    """Highest, of the decoder."""
    weight_decay: Annotated[float, Field(ge=0, le=1e3)] = 1e-4
    clip_norm: Positive | None = 5.0
    """Largest norm of a step's gradient."""
    loss: Literal["dice", "ce", "dice_ce"] = "dice"
    chosen_by: Literal["miou", "loss"] = "miou"
    """Which epoch is kept: the best mean IoU of the validation images, or their lowest loss."""
    validate_every: Count | None = None
    """Epochs; the last one is always validated, and only validated ones can be kept. None: as many
    as keep validation at a fifth of the work, by numbers of pixels."""
    validate_px: Side | None = None
    """Where ``fit`` is crop: validation sees the middle of each image, at most so many pixels each
    way. None: all of it."""

    tile_overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.25
    """Share of a tile that the next one covers too, when ``fit`` is crop."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto``: bfloat16 on a GPU that has it, else float16 on a GPU, else float32."""
    device: str = "auto"
    """``auto``: CUDA, then Apple's MPS, then the CPU."""
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Processes that read images; they change no result."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.validate_px is not None and self.fit != "crop":
            raise ValueError(
                "'validate_px' is of fit=crop only: with fit=resize whole images are seen"
            )
        return self

    @staticmethod
    def of(strategy: str = "frozen", **chosen: Any) -> "DenseRecipe":
        """The recipe of a strategy, with some values chosen otherwise.

        Raises:
            InputError: A name or a value is not allowed.
        """
        rate = PUBLISHED_RATE
        if strategy in STRATEGIES and chosen.get("parity") != "paper":
            rate = STRATEGIES[strategy].learning_rate
        try:
            return DenseRecipe.model_validate(
                {"strategy": strategy, "learning_rate": rate, **chosen}
            )
        except ValidationError as error:
            raise InputError(f"the recipe of a segmentation: {first_problem(error)}") from None

    @property
    def cacheable(self) -> bool:
        """Whether the encoder's output is the same in every epoch, and may be kept."""
        kept = self.cache and STRATEGIES[self.strategy].cacheable
        return kept and not self.augment and self.fit == "resize"
