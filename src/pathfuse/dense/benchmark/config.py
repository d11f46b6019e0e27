"""``grid.yaml``: models x data sets x strategies x seeds, checked before anything runs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from pathfuse.dense.fusion.fused_model import FUSED
from pathfuse.dense.fusion.options import BESTS, CHOOSE, DenseFuseOptions
from pathfuse.errors import InputError, first_problem
from pathfuse.files.yaml import read_yaml_as
from pathfuse.fusion.methods import methods_of

STRICT = ConfigDict(frozen=True, extra="forbid")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""What may name a model or a data set: it becomes a folder."""
TAKEN = (*methods_of("multiclass"), *BESTS, CHOOSE, FUSED)
"""Names that no model may have, since a fusion bears them in the leaderboard."""
OF_FUSION = ("methods", "method", "pixels", "balance", "pool_px")
SET_BY_BENCHMARK = ("strategy", "seed")

EXAMPLE = """\
# Every model, adapted by every strategy, trained on every data set, once per seed; then evaluated,
# and fused per pixel. Run it with:  pathfuse dense run grid.yaml
# Paths are relative to this file. What is commented out shows the default.

models:
  phikon: phikon                     # a key of 'pathfuse dense encoders', or a folder with a model
  uni:
    encoder: uni_v1
    weights: models/uni.safetensors
  small: tiny:patch=16,dim=48        # a small ViT with random weights, to try it out

datasets:
  glas: data/glas/split.json         # of 'pathfuse dense convert', or a folder train|val|test
  kumar:
    split: data/kumar/split.json
    recipe: {size_px: 512}           # beats 'recipe' below

strategies: [frozen, lora, cnn]      # frozen, lora, dora, cnn, transformer, full
seeds: [0, 1, 2]

recipe:                              # of 'pathfuse dense train'
  epochs: 50
per_strategy:                        # beats 'recipe' and the data set's
  lora: {learning_rate: 1.0e-4}

out: grid
# fuse: true                         # fuse the models of each data set, strategy and seed,
#                                    # fitted on validation images
# fusion: {method: choose, pixels: 20000}      # of 'pathfuse dense fuse'
# resamples: 1000
# keep_logits: true                  # false: they go once all is evaluated and fused; much less disk
"""
"""A benchmark to start from."""


class BenchmarkModel(BaseModel):
    """One encoder."""

    model_config = STRICT

    encoder: str
    """As ``load_encoder`` takes it: a key, a folder, a name of timm or of the hub."""
    weights: Path | None = None


class BenchmarkData(BaseModel):
    """One data set."""

    model_config = STRICT

    split: Path
    recipe: dict[str, Any] = {}
    """Beats the benchmark's recipe, for instance its size."""


@dataclass(frozen=True)
class Cell:
    """One model, adapted by one strategy to one data set, with one seed."""

    dataset: str
    strategy: str
    model: str
    seed: int

    @property
    def place(self) -> Path:
        """Its folder inside the benchmark's."""
        return Path(self.dataset, self.strategy, self.model, f"seed{self.seed}")

    def __str__(self) -> str:
        return f"{self.model}, {self.strategy}, {self.dataset}, seed {self.seed}"


class BenchmarkConfig(BaseModel):
    """The content of ``grid.yaml``."""

    model_config = STRICT

    models: Annotated[dict[str, BenchmarkModel], Field(min_length=1)]
    datasets: Annotated[dict[str, BenchmarkData], Field(min_length=1)]
    strategies: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(min_length=1)] = (0,)
    recipe: dict[str, Any] = {}
    per_strategy: dict[str, dict[str, Any]] = {}
    fuse: bool = True
    fusion: dict[str, Any] = {}
    """Options of ``pathfuse dense fuse``: methods, method, pixels, balance, pool_px."""
    resamples: Annotated[int, Field(ge=0)] = 1000
    keep_logits: bool = True
    out: Path

    @property
    def reads(self) -> list[Path]:
        """Every path that is read; of data sets the file that lists the images."""
        models = self.models.values()
        return [
            *(data.split for data in self.datasets.values()),
            *(model.weights for model in models if model.weights is not None),
            *(Path(model.encoder) for model in models if "/" in model.encoder),
        ]

    @field_validator("models", mode="before")
    @classmethod
    def _models(cls, models: Any) -> Any:
        """``uni: uni_v1`` is short for its encoder."""
        if not isinstance(models, Mapping):
            return models
        return {
            name: {"encoder": one} if isinstance(one, str) else one for name, one in models.items()
        }

    @field_validator("datasets", mode="before")
    @classmethod
    def _datasets(cls, datasets: Any) -> Any:
        """``glas: glas.json`` is short for its split."""
        if not isinstance(datasets, Mapping):
            return datasets
        return {
            name: {"split": one} if isinstance(one, str | Path) else one
            for name, one in datasets.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, names in (("model", self.models), ("data set", self.datasets)):
            for name in names:
                if not NAME.fullmatch(name):
                    raise ValueError(
                        f"'{name}' cannot name a {kind}: use letters, digits and the signs . _ + -"
                    )
        taken = next((name for name in self.models if name in TAKEN), None)
        if taken is not None:
            raise ValueError(f"the name '{taken}' belongs to a fusion; give the model another one")
        for kind, listed in (("strategies", self.strategies), ("seeds", self.seeds)):
            twice = next((one for one in listed if listed.count(one) > 1), None)
            if twice is not None:
                raise ValueError(f"'{twice}' stands twice in '{kind}'")
        unknown = next((one for one in self.fusion if one not in OF_FUSION), None)
        if unknown is not None:
            raise ValueError(f"'fusion' has no option '{unknown}'; it has {', '.join(OF_FUSION)}")
        self.fuse_options(0)
        unused = next((one for one in self.per_strategy if one not in self.strategies), None)
        if unused is not None:
            raise ValueError(f"'per_strategy' names '{unused}', which is not among the strategies")
        if self.fuse and len(self.models) < 2:
            raise ValueError("a fusion needs two models; add one, or say 'fuse: false'")
        overrides = [
            self.recipe,
            *self.per_strategy.values(),
            *(one.recipe for one in self.datasets.values()),
        ]
        for key in SET_BY_BENCHMARK:
            if any(key in one for one in overrides):
                raise ValueError(
                    f"a recipe here cannot set '{key}': the strategies and seeds of the benchmark do"
                )
        return self

    def cells(self) -> Iterator[Cell]:
        """All cells, data sets slowest."""
        for dataset in self.datasets:
            for strategy in self.strategies:
                for model in self.models:
                    for seed in self.seeds:
                        yield Cell(dataset, strategy, model, seed)

    def options(self, cell: Cell) -> dict[str, Any]:
        """What the recipe of a cell sets."""
        return {
            **self.recipe,
            **self.datasets[cell.dataset].recipe,
            **self.per_strategy.get(cell.strategy, {}),
            "strategy": cell.strategy,
            "seed": cell.seed,
        }

    def fuse_options(self, seed: int) -> DenseFuseOptions:
        """How to fuse.

        The benchmark evaluates all models and fusions together, so that a fusion by itself needs no
        interval.

        Raises:
            InputError: A method is unknown, or a number out of range.
        """
        chosen = {**self.fusion, "n_resamples": 0, "seed": seed}
        try:
            return TypeAdapter(DenseFuseOptions).validate_python(chosen).checked()
        except ValidationError as error:
            raise InputError(f"'fusion': {first_problem(error)}") from None


def read_benchmark(file: Path) -> BenchmarkConfig:
    """Reads ``grid.yaml``; paths in it become absolute.

    Raises:
        InputError: It is not YAML, or a key or value is wrong.
    """
    config = read_yaml_as(
        file, BenchmarkConfig, "holds no benchmark; it needs models, datasets, strategies and out"
    )
    return absolute(config, file.resolve().parent)


def absolute(config: BenchmarkConfig, base: Path) -> BenchmarkConfig:
    """The same benchmark with paths from ``base``; an encoder is a path if there is one."""

    def model(one: BenchmarkModel) -> BenchmarkModel:
        encoder = one.encoder
        if isinstance(encoder, str) and (base / encoder).exists():
            encoder = str(base / encoder)
        return BenchmarkModel(
            encoder=encoder, weights=None if one.weights is None else base / one.weights
        )

    return config.model_copy(
        update={
            "models": {name: model(one) for name, one in config.models.items()},
            "datasets": {
                name: one.model_copy(update={"split": base / one.split})
                for name, one in config.datasets.items()
            },
            "out": base / config.out,
        }
    )
