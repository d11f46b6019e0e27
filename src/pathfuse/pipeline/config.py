"""``study.yaml``: what a whole study is, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pathfuse.errors import InputError
from pathfuse.experts.recipe import Recipe, check_name, first_problem

STRICT = ConfigDict(frozen=True, extra="forbid")

EXAMPLE = """\
# A study: features of several encoders in, held-out experts, their fusion and a report out.
# Run it with:  pathfuse run study.yaml
# Paths are relative to this file. What is commented out shows the default.

samples: labels.csv        # sample_id, patient_id, site, split (fit/test) or fold, and the target:
                           #   label | label_<name> | time + event | target_<name>
# slides: slides.csv       # sample_id, slide_id: needed where a sample is not one slide of the same name
# endpoint: multiclass     # needed only if the table has targets of several
# time_edges: [0, 12, 24, 48, .inf]     # survival

features:                  # one folder per encoder: TRIDENT, CLAM, STAMP, eva, .pt, or a table of vectors
  uni: features/uni
  virchow2: features/virchow2

experts:                   # every encoder gets each of these heads
  - head: abmil            # abmil, clam, trans_mil, mean_pool, tile_mlp (one vector per sample), linear_probe
    # epochs: 20
    # learning_rate: 2.0e-4
    # standardize: false
    # folds: 5             # fit rows are predicted out of fold, patients whole
    # group: patient       # or site
    # several: bag         # several slides of a sample: one bag, or the mean of their predictions
    # test_from: refit     # or mean: of the folds' models
  # - head: linear_probe

# folds: 5                 # outer folds, only if the samples have neither split nor fold

fuse:
  method: auto
  # resamples: 2000
  # coverage: 0.9          # conformal prediction sets
  # ablation: false

out: result
# seed: 0
# strict: false            # true: a missing or broken feature file stops the run
"""
"""What ``pathfuse init`` writes."""


class FuseOptions(BaseModel):
    """The options of ``pathfuse fuse`` that a study may set."""

    model_config = STRICT

    method: str = "auto"
    resamples: Annotated[int, Field(ge=0)] = 2000
    interval: Literal["percentile", "bca"] = "percentile"
    margin: Annotated[float, Field(gt=0)] = 0.01
    unit: Literal["sample", "patient"] = "sample"
    coverage: Annotated[float, Field(gt=0, lt=1)] | None = None
    ablation: bool = False
    skip_unscored: bool = True


class StudyConfig(BaseModel):
    """The content of ``study.yaml``."""

    model_config = STRICT

    samples: Path
    slides: Path | None = None
    endpoint: Literal["multiclass", "multilabel", "survival", "regression"] | None = None
    time_edges: tuple[float, ...] | None = None
    features: Annotated[dict[str, Path], Field(min_length=1)]
    experts: Annotated[list[dict[str, Any]], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2)] = 5
    fuse: FuseOptions = FuseOptions()
    out: Path
    seed: Annotated[int, Field(ge=0)] = 0
    strict: bool = False

    @field_validator("features")
    @classmethod
    def _named(cls, features: dict[str, Path]) -> dict[str, Path]:
        for name in features:
            check_name(name)
        return features

    @field_validator("experts")
    @classmethod
    def _complete(cls, experts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for one in experts:
            Recipe.of(**{"head": "abmil", **one})
        heads = [one.get("head", "abmil") for one in experts]
        twice = next((head for head in heads if heads.count(head) > 1), None)
        if twice is not None:
            raise ValueError(f"the head '{twice}' stands twice")
        return experts

    def recipes(self) -> dict[str, tuple[str, Recipe]]:
        """Name of each expert to its encoder and recipe; the head joins the name where there are several."""
        found = {}
        for encoder in self.features:
            for one in self.experts:
                recipe = Recipe.of(**{"head": "abmil", "seed": self.seed, **one})
                found[f"{encoder}_{recipe.head}" if len(self.experts) > 1 else encoder] = (encoder, recipe)
        return found


def read_config(file: Path) -> StudyConfig:
    """Reads ``study.yaml``; paths in it become absolute.

    Raises:
        InputError: It is no YAML, or a key or value is wrong.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no study; 'pathfuse init' writes an example")
    try:
        config = StudyConfig.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{file}: {first_problem(error)}") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    base = file.resolve().parent
    return config.model_copy(
        update={
            "samples": base / config.samples,
            "slides": None if config.slides is None else base / config.slides,
            "features": {name: base / path for name, path in config.features.items()},
            "out": base / config.out,
        }
    )
