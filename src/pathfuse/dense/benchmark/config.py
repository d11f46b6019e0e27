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

from pathfuse.dense.benchmark.variants import (
    RANK,
    SIZE,
    BenchmarkStrategy,
    Rank,
    SizePx,
    Variant,
    named,
    variants_of,
)
from pathfuse.dense.fusion.options import RESERVED, DenseFuseOptions
from pathfuse.dense.strategies.registry import STRATEGIES
from pathfuse.errors import InputError, first_problem
from pathfuse.files.yaml import read_yaml_as

STRICT = ConfigDict(frozen=True, extra="forbid")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""What may name a model or a data set: it becomes a folder."""
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
#  musk: {encoder: musk, size_px: 384, recipe: {batch: 4}}       # beats all others
#  theirs: {encoder: owner/name, revision: 0123abc, remote_code: true}

datasets:
  glas: data/glas/split.json         # of 'pathfuse dense convert', or a folder train|val|test
  kumar:
    split: data/kumar/split.json
    size_px: 512                     # or by patch: {8: 512, 14: 504, 16: 512}
    recipe: {batch: 4}               # beats 'recipe' below

strategies: [frozen, lora, cnn]      # frozen, lora, dora, cnn, transformer, full; or under a label
                                     # of your own: {lora_r4: {strategy: lora, rank: 4}}
seeds: [0, 1, 2]
# rank: [4, 16]                      # axes: each strategy that has a rank with each of these,
# size_px: [224, 448]                # and each strategy at each of these sizes

recipe:                              # of 'pathfuse dense train'
  epochs: 50
per_strategy:                        # beats 'recipe' and the data set's; a model's beats all
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
    size_px: SizePx | None = None
    """Its own size, on every data set."""
    recipe: dict[str, Any] = {}
    """Beats every other recipe."""
    remote_code: bool = False
    """Allow Python code from the model's repository."""
    revision: str | None = None
    """Commit of the hub, in place of the card's."""

    @property
    def sets(self) -> dict[str, Any]:
        """What it says of the recipe."""
        return {**self.recipe, **({} if self.size_px is None else {SIZE: self.size_px})}


class BenchmarkData(BaseModel):
    """One data set."""

    model_config = STRICT

    split: Path
    size_px: SizePx | dict[int, SizePx] | None = None
    """Its own size, or one per patch of the encoder: ``{14: 420, 16: 416}``."""
    recipe: dict[str, Any] = {}
    """Beats the benchmark's recipe."""

    def sets(self, name: str, patch: int | None) -> dict[str, Any]:
        """What it says of the recipe, for an encoder of some patch.

        Raises:
            InputError: It has sizes per patch, and none for this one.
        """
        size = self.size_px
        if isinstance(size, dict):
            if patch not in size:
                known = ", ".join(map(str, size))
                raise InputError(
                    f"the data set '{name}' has sizes for encoders of patch {known}, none for {patch}"
                )
            size = size[patch]
        return {**self.recipe, **({} if size is None else {SIZE: size})}


@dataclass(frozen=True)
class Cell:
    """One model, adapted by one strategy to one data set, with one seed."""

    dataset: str
    strategy: str
    """Its label."""
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
    strategies: Annotated[dict[str, BenchmarkStrategy], Field(min_length=1)]
    rank: tuple[Rank, ...] = ()
    """Axis: every strategy that has a rank with each of these."""
    size_px: tuple[SizePx, ...] = ()
    """Axis: every strategy at each of these sizes."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(min_length=1)] = (0,)
    recipe: dict[str, Any] = {}
    per_strategy: dict[str, dict[str, Any]] = {}
    """By name of an entry of ``strategies``."""
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

    @field_validator("strategies", mode="before")
    @classmethod
    def _strategies(cls, strategies: Any) -> Any:
        return named(strategies)

    @field_validator("rank", "size_px", "seeds", mode="before")
    @classmethod
    def _axis(cls, values: Any) -> Any:
        """One value is an axis, too."""
        return (values,) if isinstance(values, int) else values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, names in (
            ("model", self.models), ("data set", self.datasets), ("strategy", self.strategies),
        ):  # fmt: skip
            for name in names:
                if not NAME.fullmatch(name):
                    raise ValueError(
                        f"'{name}' cannot name a {kind}: use letters, digits and the signs . _ + -"
                    )
        taken = next((name for name in self.models if name in RESERVED), None)
        if taken is not None:
            raise ValueError(f"the name '{taken}' belongs to a fusion; give the model another one")
        for kind, listed in (("seeds", self.seeds), (RANK, self.rank), (SIZE, self.size_px)):
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
        self._check_strategies()
        self._check_recipes()
        return self

    def _check_strategies(self) -> None:
        for label, entry in self.strategies.items():
            if entry.strategy not in STRATEGIES:
                raise ValueError(
                    f"no strategy is called '{entry.strategy}'; there are {', '.join(STRATEGIES)}"
                )
            if RANK in entry.sets and not STRATEGIES[entry.strategy].low_rank:
                raise ValueError(f"the strategy '{label}' has no rank: it is {entry.strategy}")
        ranked = [one for one in self.strategies.values() if STRATEGIES[one.strategy].low_rank]
        if self.rank and all(RANK in entry.sets for entry in ranked):
            raise ValueError(
                "'rank' multiplies nothing: no strategy of the grid takes a rank from it"
            )
        labels = [variant.label for variant in self.variants]
        twice = next((one for one in labels if labels.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"two strategies would be called '{twice}'; give one another label")

    def _check_recipes(self) -> None:
        """A recipe sets nothing that the grid does, and each place says a thing once."""
        places = {
            "'recipe'": (self.recipe, {}),
            **{f"'per_strategy.{k}'": (one, {}) for k, one in self.per_strategy.items()},
            **{
                f"the strategy '{k}'": (one.recipe, vars(one)) for k, one in self.strategies.items()
            },
            **{f"the data set '{k}'": (one.recipe, vars(one)) for k, one in self.datasets.items()},
            **{f"the model '{k}'": (one.recipe, vars(one)) for k, one in self.models.items()},
        }
        for place, (recipe, beside) in places.items():
            for key in SET_BY_BENCHMARK:
                if key in recipe:
                    raise ValueError(
                        f"a recipe here cannot set '{key}': the strategies and seeds of the benchmark do"
                    )
            for key, axis in ((RANK, self.rank), (SIZE, self.size_px)):
                if key in recipe and beside.get(key) is not None:
                    raise ValueError(f"{place} says '{key}' twice")
                if isinstance(recipe.get(key), list):
                    raise ValueError(
                        f"{place} has several values of '{key}'; write '{key}: {recipe[key]}' beside 'seeds'"
                    )
                own = key in recipe or beside.get(key) is not None
                if axis and own and not place.startswith("the strategy"):
                    raise ValueError(
                        f"'{key}' is an axis of this benchmark, so {place} cannot set it"
                    )

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Strategies under their labels, in order."""
        return tuple(variants_of(self.strategies, {RANK: self.rank, SIZE: self.size_px}))

    def cells(self) -> Iterator[Cell]:
        """All cells, data sets slowest."""
        for dataset in self.datasets:
            for variant in self.variants:
                for model in self.models:
                    for seed in self.seeds:
                        yield Cell(dataset, variant.label, model, seed)

    def options(self, cell: Cell, patch: int | None = None) -> dict[str, Any]:
        """What the recipe of a cell sets: the recipe, beaten by the data set's, then the
        strategy's, then the model's.

        Args:
            cell: Which.
            patch: Of the model's encoder, where a data set has sizes per patch.

        Raises:
            InputError: The data set has no size for this patch.
        """
        variant = next(one for one in self.variants if one.label == cell.strategy)
        return {
            **self.recipe,
            **self.datasets[cell.dataset].sets(cell.dataset, patch),
            **self.per_strategy.get(variant.entry, {}),
            **self.strategies[variant.entry].sets,
            **variant.axes,
            **self.models[cell.model].sets,
            "strategy": variant.strategy,
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
        weights = None if one.weights is None else base / one.weights
        return one.model_copy(update={"encoder": encoder, "weights": weights})

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
