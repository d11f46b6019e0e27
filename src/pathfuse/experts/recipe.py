"""How an expert is trained: every choice in one place, with the published values as defaults."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pathfuse.errors import InputError

HeadName = Literal["abmil", "mean_pool", "clam", "trans_mil", "tile_mlp", "linear_probe"]
BAG_HEADS = ("abmil", "mean_pool", "clam", "trans_mil")
"""Heads that pool the tiles of a bag."""

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
"""What an expert may be called: its name becomes a file."""


def check_name(name: str) -> str:
    """The name, if a file can have it.

    Raises:
        InputError: It has other signs than letters, digits, blanks and ``._+-``.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"'{name}' cannot name an expert: use letters, digits, blanks and the signs . _ + -")
    return name


class Recipe(BaseModel):
    """Architecture, optimisation and cross-fitting of one expert.

    Defaults are those of LogitProd's slide expert (logitprod.md, 1.8) but for early stopping, which the paper's code
    does on the rows that it reports. ``Recipe.of`` sets those of other heads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: HeadName = "abmil"
    hidden: Count = 512
    attention: Count = 128
    """Width of the attention branch."""
    gate: Literal["relu", "tanh"] = "relu"
    """Activation of the gated attention: the paper's code has ReLU, Ilse et al. (2018) tanh."""
    dropout: Share = 0.25
    layers: Count = 2
    """Layers of ``trans_mil``."""
    standardize: bool = False
    """Scale features by mean and standard deviation of the training tiles; ``linear_probe`` always does."""
    clip: Positive | None = None
    """Cut standardised features to this many standard deviations: a rare large value of a hand-made feature otherwise
    outweighs all others. Not for ``linear_probe``, which scales the mean of a bag."""

    learning_rate: Positive = 2e-4
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    schedule: Literal["warm_restarts", "cosine", "constant"] = "warm_restarts"
    epochs: Count = 20
    min_epochs: Annotated[int, Field(ge=0)] = 12
    """No epoch before this one is chosen."""
    patience: Count = 10
    """Epochs without a better validation loss, after which training stops."""
    batch: Count = 16
    """Bags per step, packed into one pass."""
    max_tiles: Count | None = None
    """Tiles drawn from a bag in each training epoch; all of them when predicting."""
    class_weights: bool = False
    """Weigh classes by their inverse frequency in the loss (multiclass)."""
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    """Share of the training patients that early stopping looks at."""

    folds: Annotated[int, Field(ge=2)] = 5
    group: Literal["patient", "site"] = "patient"
    """What must not be torn apart between folds."""
    several: Literal["bag", "mean"] = "bag"
    """Several slides of a sample: one bag of all, or the mean of the slides' predictions."""
    test_from: Literal["refit", "mean"] = "refit"
    """Test rows: one model on all fit rows, or the mean of the folds' models."""

    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    """``auto``: CUDA, then Apple's MPS, then the CPU."""
    cache_mb: Annotated[int, Field(ge=0)] = 512
    """Features kept in memory between epochs."""
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("clip")
    @classmethod
    def _scaled_first(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and (info.data.get("head") == "linear_probe" or not info.data.get("standardize")):
            raise PydanticCustomError("clip", "clips standardised features of a trained head, so it needs standardize")
        return value

    @classmethod
    def of(cls, head: str = "abmil", **chosen: Any) -> Self:
        """The recipe of a head, with some values chosen otherwise.

        Raises:
            InputError: A name or a value is not allowed.
        """
        try:
            return cls.model_validate({"head": head, **PUBLISHED.get(head, {}), **chosen})
        except ValidationError as error:
            raise InputError(f"the recipe of an expert: {first_problem(error)}") from None


PUBLISHED: dict[str, dict[str, Any]] = {
    "tile_mlp": {"hidden": 128, "epochs": 30, "min_epochs": 11, "dropout": 0.0, "batch": 16},
    "clam": {"attention": 256, "gate": "tanh"},
    "trans_mil": {"hidden": 256, "dropout": 0.1, "max_tiles": 4096},
}
"""Where a head's recipe differs from that of gated attention."""


def first_problem(error: ValidationError) -> str:
    """What pydantic says first, as half a sentence."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":  # one of our own sentences
        return str(problem["ctx"]["error"])
    where = ".".join(str(part) for part in problem["loc"]) or "the content"
    if problem["type"] == "extra_forbidden":
        return f"'{where}' is unknown"
    return f"'{where}': {problem['msg'][:1].lower()}{problem['msg'][1:]}, not {problem['input']!r}"
