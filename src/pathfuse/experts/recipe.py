"""How an expert is trained: every choice in one place; defaults are ours, the published ones have a name."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pathfuse.errors import InputError, first_problem
from pathfuse.experts.heads.registry import HEADS, REFERENCE, HeadFacts, load

if TYPE_CHECKING:
    HeadName = str
else:
    HeadName = Literal[tuple(HEADS)]
StrategyName = Literal[
    "mean",
    "concat",
    "gated",
    "self_attention",
    "cross_attention",
    "contrastive",
    "self_attention_published",
]

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Rate = Annotated[float, Field(gt=0, le=10)]
"""A learning rate: no training could use a larger one."""
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]
"""Of a layer."""
Few = Annotated[int, Field(ge=1, le=1024)]


IMBALANCE = ("class_weights", "balanced_sampling", "focal")
"""Options about rare outcomes; ``TargetKind.against_imbalance`` says where they mean something."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
"""What an expert may be called: its name becomes a file."""


def check_name(name: str) -> str:
    """The name, if a file can have it.

    Raises:
        InputError: It has other signs than letters, digits, blanks and ``._+-``.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot name an expert: use letters, digits, blanks and the signs . _ + -"
        )
    return name


class TrainingRecipe(BaseModel):
    """Architecture, optimisation and cross-fitting of one expert.

    Widths are those of LogitProd's slide expert (docs/design/logitprod.md, section 1.8); how it is
    trained is ours: features standardised and cut, a rate that falls to the end, and a last model
    on all fit rows for as many epochs as the folds chose. ``PUBLISHED`` has the paper's way.
    ``TrainingRecipe.of`` sets what is special to a head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: HeadName = "abmil"
    hidden: Width = 512
    attention: Width = 128
    """Width of the attention branch."""
    gate: Literal["relu", "tanh"] = "relu"
    """Activation of the gated attention: the paper's code has ReLU, Ilse et al. (2018) tanh."""
    dropout: Share = 0.25
    layers: Few = 2
    """Layers of ``trans_mil``."""
    standardize: bool = True
    """Scale features by mean and standard deviation of the training tiles; pooled heads always scale
    their statistics of a bag."""
    clip: Positive | None = 5.0
    """Cut what is standardised to this many standard deviations: a rare large value otherwise
    outweighs all others."""
    likelihood: Literal["gaussian", "gaussian_spread", "poisson", "negative_binomial"] = "gaussian"
    """Of regression: squared error; a mean and a spread per sample; counts whose mean is the
    exponential of the output, with Poisson's variance or a dispersion per target. Pooled heads have
    the first alone."""

    learning_rate: Rate = 2e-4
    weight_decay: Annotated[float, Field(ge=0, le=1e3)] = 1e-5
    schedule: Literal["warm_restarts", "cosine", "constant"] = "cosine"
    """``cosine`` falls to nothing at the last epoch."""
    epochs: Count = 40
    min_epochs: Annotated[int, Field(ge=0)] = 1
    """No epoch before this one is chosen; epoch 0 is a head that starts at a linear model and has
    learned nothing yet."""
    patience: Count = 20
    """Epochs without a better validation loss, after which training stops."""
    networks: Few = 1
    """Networks that are trained from different seeds and averaged, in every part; see ``NETWORKS``."""
    batch: Count = 16
    """Bags per step, packed into one pass."""
    batch_tiles: Count = 65536
    """Tiles packed into one pass at most; a step with more takes several passes, whose gradients are
    added up."""
    max_tiles: Count | None = None
    """Tiles drawn from a bag in each training epoch."""
    max_tiles_predict: Count | None = None
    """Tiles read of a bag when predicting and validating: always the same ones, evenly spaced in the
    file; all of them by default. The attention of the others is 0."""
    class_weights: bool = False
    """Weigh outcomes in the loss by their inverse frequency among the training rows, none more than
    20 times another: classes, grades, and yes against no of each label. Such a loss shifts the
    probabilities towards rare outcomes, by a known factor, which is taken off again in
    predictions and validation losses. This matters: a product of experts has weights and a sharpness,
    fitted on held-out rows, but no bias that could mend a shift."""
    balanced_sampling: bool = False
    """Draw the bags of an epoch so that rare outcomes come as often as others (up to 20 times as
    often as they occur): classes, grades, the rarest label that a sample has, event or none. As many
    as there are, with replacement. The shift is taken off as that of ``class_weights``: exactly for
    classes, grades and one label; for several labels, and the hazard of each time bin, so that their
    means are right, which is not exact for every sample."""
    focal: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Gamma of focal loss (Lin et al. 2017) for classes, grades and labels: what is predicted well
    counts ``(1 - p) ** gamma``; 0: off. By itself it makes predictions too unsure. The probabilities
    that it started from are a function of its own, which is applied to every prediction: exact where
    the network fits; a sharpness that is left is repaired by the fusion."""
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    """Share of the training patients that early stopping looks at."""

    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Several encoders on different grids: share of a tile of the finest grid that another's tile
    has to cover."""
    incomplete: Literal["mask", "drop"] = "mask"
    """Several encoders: a tile or slide that one of them lacks is masked there, or left out."""
    um_per_px: Positive | None = None
    """Several encoders, some of whose files are in micrometres and others in pixels: size of a
    level-0 pixel."""

    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    group: Literal["patient", "site"] = "patient"
    """What must not be torn apart between folds."""
    several: Literal["bag", "mean"] = "bag"
    """Several slides of a sample: one bag of all, or the mean of the slides' predictions."""
    test_from: Literal["refit", "mean"] = "refit"
    """Test rows: one model on all fit rows, or the mean of the folds' models."""
    refit_epochs: Literal["folds", "validation"] = "folds"
    """The model on all fit rows is trained for the middle of the numbers of epochs that the folds
    chose, and on every fit row; or like a fold's, with rows held back to choose its own."""

    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    """``auto``: CUDA, then Apple's MPS, then the CPU."""
    cache_mb: Annotated[int, Field(ge=0, le=10**8)] = 512
    """Features kept in memory between epochs."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @field_validator("clip")
    @classmethod
    def _scaled_first(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and not _is_pooled(info) and not info.data.get("standardize"):
            raise PydanticCustomError(
                "clip", "clips standardised features, so it needs standardize"
            )
        return value

    @field_validator("networks")
    @classmethod
    def _has_networks(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and _is_pooled(info):
            raise PydanticCustomError("networks", "is for a trained head; a pooled head has none")
        return value

    @field_validator("likelihood")
    @classmethod
    def _trained(cls, value: str, info: ValidationInfo) -> str:
        if value != cls.model_fields["likelihood"].default and _is_pooled(info):
            raise PydanticCustomError("likelihood", f"is {value} only for a trained head")
        return value

    @field_validator(*IMBALANCE)
    @classmethod
    def _of_a_network(cls, value: float, info: ValidationInfo) -> float:
        if value and _is_pooled(info):
            raise PydanticCustomError("imbalance", "is for a trained head; a pooled head has none")
        return value

    @field_validator("balanced_sampling")
    @classmethod
    def _once(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("class_weights"):
            raise PydanticCustomError(
                "imbalance", "does what class_weights does; choose one of the two"
            )
        return value

    @staticmethod
    def of(head: str = "abmil", recipe: str = "ours", **chosen: Any) -> "TrainingRecipe":
        """The recipe of a head, with some values chosen otherwise.

        Args:
            head: Its name; ``meta-encoder`` is ``meta_encoder``.
            recipe: ``ours``, or ``published`` for the values of the head's paper.
            chosen: Values by name.

        Raises:
            InputError: A name or a value is not allowed.
        """
        if not isinstance(head, str):
            raise InputError(f"the recipe of an expert: 'head' is a name, not {head!r}")
        head = head.replace("-", "_")
        if recipe not in RECIPES:
            raise InputError(
                f"the recipe of an expert: 'recipe' must be {' or '.join(RECIPES)}, not {recipe!r}"
            )
        values: dict[str, Any] = {}
        if head in HEADS:
            facts, published = HEADS[head], recipe == "published"
            averaged = {} if facts.pooled else {"networks": NETWORKS}
            values = {**(PUBLISHED if published else averaged), **facts.own}
            values |= facts.published if published else {}
        if chosen.get("standardize") is False:  # nothing to cut, unless a value is given
            values["clip"] = None
        try:
            return TrainingRecipe.read({"head": head, **values, **chosen})
        except ValidationError as error:
            known = set(_class_of(head).model_fields) - {"head"}
            raise InputError(f"the recipe of an expert: {first_problem(error, known)}") from None

    @staticmethod
    def read(content: dict[str, Any]) -> "TrainingRecipe":
        """A recipe from all its values, in the class of its head.

        Raises:
            ValidationError: A name or a value is not allowed.
        """
        return _class_of(str(content.get("head"))).model_validate(content)

    @property
    def facts(self) -> HeadFacts:
        """What there is to know of the head."""
        return HEADS[self.head]

    @property
    def tiles_read(self) -> dict[str, str]:
        """Which tiles of a bag training and prediction read, in words."""
        if self.facts.pooled:
            return {"training": "all", "prediction": "all"}
        drawn, even = self.max_tiles, self.max_tiles_predict
        training = "all" if drawn is None else f"at most {drawn}, drawn anew in every epoch"
        predicting = "all" if even is None else f"at most {even}, evenly spaced"
        return {"training": training, "prediction": predicting}


RECIPES = ("ours", "published")
NETWORKS = 3
"""Networks of a trained head that are averaged in every part, in our recipe: over seven sets of
features and four endpoints the fusion's NLL is lower by 6 % than with one (``benchmarks refit``)."""
PUBLISHED: Mapping[str, Any] = {
    "standardize": False,
    "clip": None,
    "schedule": "warm_restarts",
    "epochs": 20,
    "min_epochs": 12,
    "patience": 10,
    "refit_epochs": "validation",
}
"""How LogitProd trains its slide expert (docs/design/logitprod.md, section 1.7), but for early
stopping, which the paper's code does on the rows that it reports."""


def _class_of(head: str) -> type[TrainingRecipe]:
    """The class of a head's recipe; that of all recipes for an unknown head."""
    own: type[TrainingRecipe] = load(HEADS[head].recipe) if head in HEADS else TrainingRecipe
    return own


def _is_pooled(info: ValidationInfo) -> bool:
    """Whether the head of a recipe is pooled; an unknown head, which is refused anyway, is not."""
    head = info.data.get("head")
    return head in HEADS and HEADS[head].pooled


class ForestRecipe(TrainingRecipe):
    """A forest on pooled features."""

    trees: Annotated[int, Field(ge=20, le=100_000)] = 300
    leaf: Count = 1
    """Units in a leaf, at least."""


class PcaRidgeRecipe(TrainingRecipe):
    """Principal components and a linear model: the reference of every fusion of features."""

    components: Count = 256
    """At most; there are never more than training rows."""


class MetaEncoderRecipe(TrainingRecipe):
    """Meta-Encoder: one token per encoder, a strategy that joins them, pooled tiles.

    See docs/design/meta-encoder.md, section 6.
    """

    strategy: StrategyName = "self_attention"
    projection: Literal["linear", "identity"] = "linear"
    """``identity``: features side by side as they are, for ``concat`` only."""
    attention_heads: Few = 8
    pooling: Literal["mean", "attention"] = "mean"
    """Of the encoders' tokens after attention."""
    drop_encoder: Share = 0.0
    """Chance that training hides an encoder from a row."""
    contrast_weight: Annotated[float, Field(ge=0)] = 0.1
    """Of the contrastive loss, added to the task's, for ``contrastive``."""
    contrast_temperature: Positive = 0.5
    linear_path: bool = False
    """Start at principal components and a linear model of the same features, in closed form and
    frozen, and learn what to add to its outputs; ``min_epochs`` 0 lets early stopping add nothing.
    Only with the gaussian likelihood, the one that linear models know, and with all outcomes weighed
    alike."""

    @property
    def starts_linear(self) -> bool:
        """Whether there is a linear path."""
        plain = not any(getattr(self, name) for name in IMBALANCE)
        return self.linear_path and self.likelihood == "gaussian" and plain

    @model_validator(mode="after")
    def _fits(self) -> Self:
        attends = self.strategy in ("self_attention", "cross_attention")
        if attends and self.hidden % self.attention_heads:
            raise ValueError(
                f"'hidden' ({self.hidden}) must be a multiple of 'attention_heads' ({self.attention_heads})"
            )
        if self.projection == "identity" and self.strategy != "concat":
            raise ValueError(
                f"'projection' identity is for the strategy concat, not for {self.strategy}"
            )
        return self


class FuseCPathRecipe(TrainingRecipe):
    """FuseCPath: clusters of tiles, attention in and between them, distillation.

    See docs/design/fusecpath.md, section 7.
    """

    clusters: Count = 50
    per_cluster: Count = 10
    """Tiles drawn from each cluster, anew in every epoch."""
    clustering: Literal["kmeans", "spectral"] = "kmeans"
    view_components: Count = 64
    """Principal components of each encoder that the clustering sees."""
    draws: Count = 10
    """Draws whose outputs are averaged when predicting."""
    attention_heads: Few = 8
    blocks: Few = 1
    representatives: Count = 3
    """Of each cluster, which attend to those of other clusters."""
    across: Literal["joint", "slots"] = "joint"
    """Representatives of all slots attend to each other, or each slot on its own as published."""
    sparse: Count | None = None
    """Scores kept in each row of attention; the paper's code has 16."""
    task_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Alpha: share of the task against distillation."""
    teacher_weight: Annotated[float, Field(ge=0)] = 1.0
    """Beta: the teachers' own task."""
    temperature: Positive = 3.0
    direction: Literal["teacher_student", "student_teacher"] = "teacher_student"
    """Of the divergence: the code's, or the paper's."""
    distance: Literal["cosine", "mse"] = "cosine"
    """Between features, for survival and regression."""
    positional: bool = False
    """Add to the scores within a cluster their convolution over the querying tiles, in the order of
    the file, as published. Tiles of a cluster have no order of their own."""
    separate_teacher_heads: bool = False
    """Each teacher has a last layer of its own, in place of the student's."""

    @property
    def tiles_read(self) -> dict[str, str]:
        """See ``TrainingRecipe``."""
        drawn = f"at most {self.per_cluster} of each of at most {self.clusters} clusters"
        return {
            "training": f"{drawn}, drawn anew in every epoch",
            "prediction": f"{drawn}, the mean of {self.draws} draws",
        }

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hidden % self.attention_heads:
            raise ValueError(
                f"'hidden' ({self.hidden}) must be a multiple of 'attention_heads' ({self.attention_heads})"
            )
        return self


def reference_components() -> int:
    """Principal components of the reference of a fusion of features, at most."""
    return cast("PcaRidgeRecipe", TrainingRecipe.of(REFERENCE)).components


def reference_recipe(own: TrainingRecipe) -> TrainingRecipe:
    """The linear reference of a fusion of features: the same folds, slides and tiles."""
    same = ("folds", "group", "several", "test_from", "seed", "overlap", "incomplete", "um_per_px")
    return TrainingRecipe.of(REFERENCE, **{key: getattr(own, key) for key in same})
