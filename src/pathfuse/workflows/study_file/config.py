"""``study.yaml``: what a whole study is, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.experts.heads.registry import REFERENCE, names_of
from pathfuse.experts.recipe import TrainingRecipe, check_name, reference_recipe
from pathfuse.experts.tuning.recipe_file import with_recipe_files
from pathfuse.features.locate import split_layer
from pathfuse.files.yaml import read_yaml_as
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.workflows.options import FuseOptions, StudyFuseOptions, chosen
from pathfuse.workflows.study_file.auto_heads import expanded, is_auto
from pathfuse.workflows.study_file.expression import ExpressionOptions

STRICT = ConfigDict(frozen=True, extra="forbid")


def _known_endpoint(name: str) -> str:
    if name not in ENDPOINTS:
        raise ValueError(f"'endpoint' must be one of {', '.join(ENDPOINTS)}, not '{name}'")
    return name


EndpointName = Annotated[str, AfterValidator(_known_endpoint)]

EXAMPLE = """\
# A study: features of several encoders in, held-out experts, their fusion and a report out.
# Run it with:  pathfuse run study.yaml
# Paths are relative to this file. What is commented out shows the default.

samples: labels.csv        # sample_id, patient_id, site, split (fit/test) or fold, and the target:
                           #   label | grade | label_<name> | time + event | target_<name>
# slides: slides.csv       # sample_id, slide_id: needed where a sample is not one slide of its name
# endpoint: multiclass     # needed only if the table has targets of several
# time_edges: [0, 12, 24, 48, .inf]     # survival
# reading: {columns: {label: isMSIH}, id_pattern: tcga-case}   # names that are not ours
# expression: {library_size: 10000, log1p: true}    # regression: targets are counts of genes

features:                  # one folder per encoder: TRIDENT, CLAM, STAMP, eva, .pt, or a table of vectors
  uni: features/uni
  virchow2: features/virchow2

experts:                   # every encoder gets each of these heads, and all sit in the fusion;
                           # may be left out if 'fused' is not. '- heads: auto' stands for these
                           # four (of vectors: tile_mlp in place of abmil)
  - head: pooled_linear    # seconds each: linear, kernel and forest on min, mean, max, sd of the tiles
  - head: pooled_kernel
  - head: pooled_forest
  - head: abmil            # HEADS
    # name: abmil          # the same head twice, with other values, needs two names
    # recipe: ours         # or published: the values of the head's paper
    # epochs: 40
    # learning_rate: 2.0e-4
    # networks: 3          # trained from different seeds and averaged
    # folds: 5             # fit rows are predicted out of fold, patients whole
    # group: patient       # or site
    # several: bag         # several slides of a sample: one bag, or the mean of their predictions
    # test_from: refit     # or mean: of the folds' models
  # - recipe_file: tuned.yaml       # of 'experts tune': a head and its recipe

# fused:                   # several encoders' tiles, joined by coordinates and read by one expert
  # - head: meta_encoder   # pca_ridge on the same features joins by itself, as the reference
    # encoders: [uni, virchow2]     # default: all
    # strategy: self_attention      # mean, concat, gated, cross_attention, contrastive
  # - head: fusecpath
    # teachers: {titan: features/titan}     # slide-level embeddings; they may lack slides
  # - head: abmil          # any head on all encoders side by side
    # name: abmil_of_all

# folds: 5                 # outer folds, only if the samples have neither split nor fold

fuse:
  method: auto
  # resamples: 2000
  # positive: tumor        # of two classes; default: the second in alphabetical order
  # coverage: 0.9          # conformal prediction sets
  # ablation: false
  # skip_unscored: true    # leave out samples that no expert scored; default: unless 'strict' is
  # true

out: result
# seed: 0
# strict: false            # true: a missing or broken feature file stops the run
# allow_partial: false     # true: go on where more than half of the samples drop out of an expert
""".replace("HEADS", names_of(fuses=False))
"""What ``pathfuse init`` writes."""


class FusedExpert(BaseModel):
    """An expert that reads several encoders; other keys are those of its recipe."""

    model_config = ConfigDict(frozen=True, extra="allow")

    head: str
    name: str | None = None
    encoders: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """None: all."""
    teachers: dict[str, Path] = {}

    def recipe(self, seed: int = 0) -> TrainingRecipe:
        """Its recipe."""
        return TrainingRecipe.of(self.head, **{"seed": seed, **(self.model_extra or {})})

    @property
    def called(self) -> str:
        """Its name; without one that of its head."""
        return self.name or self.head.replace("-", "_")


@dataclass(frozen=True)
class Planned:
    """One expert of a study."""

    features: Path | dict[str, Path]
    recipe: TrainingRecipe
    teachers: dict[str, Path] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    """Experts that it has to beat: of a fusion of features the linear one on the same features, of a
    network on one encoder the pooled ones on the same encoder."""
    encoders: tuple[str, ...] = ()
    """Whose features it reads, by the names in the study file."""


class StudyConfig(BaseModel):
    """The content of ``study.yaml``."""

    model_config = STRICT

    samples: Path
    slides: Path | None = None
    endpoint: EndpointName | None = None
    time_edges: tuple[float, ...] | None = None
    features: Annotated[dict[str, Path], Field(min_length=1)]
    experts: list[dict[str, Any]] = []
    """One per encoder and head, or ``heads: auto``; a study may be of fused heads only."""
    fused: list[FusedExpert] = []
    reading: Reading = DEFAULT
    """How the samples table is understood if it does not have our names."""
    expression: ExpressionOptions | None = None
    """Regression: what is done to counts of genes first."""
    folds: Annotated[int, Field(ge=2)] = 5
    fuse: StudyFuseOptions = StudyFuseOptions()
    out: Path
    seed: Annotated[int, Field(ge=0)] = 0
    strict: bool = False
    allow_partial: bool = False
    """Go on where more than half of the samples with a truth drop out of an expert."""

    @field_validator("features")
    @classmethod
    def _named(cls, features: dict[str, Path]) -> dict[str, Path]:
        for name in features:
            check_name(name)
        return features

    @field_validator("experts")
    @classmethod
    def _complete(cls, experts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [_split(one)[0] for entry in experts for one in expanded(entry)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' stands twice; give each of the two a 'name'")
        return experts

    @property
    def feature_files(self) -> list[Path]:
        """Folders and files of features, and those that teach."""
        taught = [path for one in self.planned().values() for path in one.teachers.values()]
        return [split_layer(path)[0] for path in (*self.features.values(), *taught)]

    @property
    def reads(self) -> list[Path]:
        """Every path that is read."""
        slides = [self.slides] if self.slides else []
        return [self.samples, *slides, *self.feature_files]

    @model_validator(mode="after")
    def _fused_well(self) -> Self:
        if not (self.experts or self.fused):
            raise ValueError("there is no expert; list heads under 'experts', 'fused' or both")
        for one in self.fused:
            check_name(one.called)
            one.recipe()
            if one.encoders and len(set(one.encoders)) < len(one.encoders):
                raise ValueError(f"'{one.called}' names an encoder twice")
            unknown = next((name for name in one.encoders or () if name not in self.features), None)
            if unknown is not None:
                raise ValueError(
                    f"'{one.called}' reads the encoder '{unknown}', which is not among the features"
                )
            if one.teachers and not one.recipe().facts.has_teachers:
                raise ValueError(
                    f"'{one.called}' has teachers, and its head '{one.head}' takes none; fusecpath does"
                )
        names = [*self._single(), *(one.called for one in self.fused)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two experts are called '{twice}'; give one under 'fused' a name")
        return self

    def fuse_options(self) -> FuseOptions:
        """How to fuse.

        Who lets experts leave out broken feature files need not say once more that samples may go.
        """
        options = self.fuse.model_dump()
        if "skip_unscored" not in self.fuse.model_fields_set:
            options["skip_unscored"] = not self.strict
        return chosen(**options, seed=self.seed)

    @property
    def has_auto_heads(self) -> bool:
        """Whether what is planned depends on what the encoders' files hold."""
        return any(is_auto(entry) for entry in self.experts)

    def planned(self, granularity: Mapping[str, str] | None = None) -> dict[str, Planned]:
        """Every expert by name: one per encoder and head, the fused ones, and the references of
        these.

        Args:
            granularity: What each encoder's files hold, which decides what ``heads: auto`` is; None:
                not known yet, and all default heads are planned.
        """
        found, references = self._single(granularity), self._references()
        for one in self.fused:
            recipe, chosen = self._recipe(one), self._encoders(one)
            features = {name: self.features[name] for name in chosen}
            beaten: tuple[str, ...] = ()
            if recipe.facts.fuses:
                linear = reference_recipe(recipe)
                beaten = (references[chosen, linear],)
                if beaten[0] not in {*found, *(other.called for other in self.fused)}:
                    found[beaten[0]] = Planned(features, linear, encoders=chosen)
            found[one.called] = Planned(features, recipe, one.teachers, beaten, chosen)
        return found

    def _single(self, granularity: Mapping[str, str] | None = None) -> dict[str, Planned]:
        """One expert per encoder and head; their name joins where there are several heads."""
        found = {}
        for encoder, place in self.features.items():
            kind = None if granularity is None else granularity[encoder]
            entries = [_split(one) for entry in self.experts for one in expanded(entry, kind)]
            several = len(entries) > 1
            called = {name: f"{encoder}_{name}" if several else encoder for name, _ in entries}
            recipes = {
                called[name]: TrainingRecipe.of(**{"seed": self.seed, **values})
                for name, values in entries
            }
            pooled = tuple(name for name, one in recipes.items() if one.facts.pooled)
            for name, recipe in recipes.items():
                beaten = () if recipe.facts.pooled else pooled
                found[name] = Planned(place, recipe, references=beaten, encoders=(encoder,))
        return found

    def _encoders(self, one: FusedExpert) -> tuple[str, ...]:
        return tuple(sorted(one.encoders or self.features))

    def _recipe(self, one: FusedExpert) -> TrainingRecipe:
        """Without a slide table a sample is one slide, so that nothing depends on ``several``."""
        recipe = one.recipe(self.seed)
        return recipe if self.slides is not None else recipe.model_copy(update={"several": "bag"})

    def _references(self) -> dict[tuple[tuple[str, ...], TrainingRecipe], str]:
        """The name of each linear reference: that of an equal expert that is listed, or one that is
        free.
        """
        taken = {*self._single(), *(one.called for one in self.fused)}
        found = {(self._encoders(one), self._recipe(one)): one.called for one in self.fused}
        needed: dict[tuple[tuple[str, ...], TrainingRecipe], str] = {}
        for one in self.fused:
            if self._recipe(one).facts.fuses:
                needed.setdefault(
                    (self._encoders(one), reference_recipe(self._recipe(one))), one.called
                )
        for key, called in needed.items():
            if key not in found:
                plain = REFERENCE if len(needed) == 1 else f"{REFERENCE}_{called}"
                name = next(
                    name for n in count() if (name := plain + (f"_{n}" if n else "")) not in taken
                )
                found[key] = name
                taken.add(name)
        return found


def _split(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and recipe of an entry of ``experts``; without a name it has that of its head."""
    values = {"head": "abmil", **entry}
    name = values.pop("name", None)
    recipe = TrainingRecipe.of(**values)
    return check_name(str(name or recipe.head)), values


def read_config(file: Path) -> StudyConfig:
    """Reads ``study.yaml``; paths in it become absolute.

    Raises:
        InputError: It is not YAML, or a key or value is wrong.
    """
    base = file.resolve().parent
    config = read_yaml_as(
        file,
        StudyConfig,
        "holds no study; 'pathfuse init' writes an example",
        lambda content: with_recipe_files(content, base),
    )
    return config.model_copy(
        update={
            "samples": base / config.samples,
            "slides": None if config.slides is None else base / config.slides,
            "features": {name: base / path for name, path in config.features.items()},
            "fused": [
                one.model_copy(
                    update={"teachers": {name: base / path for name, path in one.teachers.items()}}
                )
                for one in config.fused
            ],
            "out": base / config.out,
        }
    )
