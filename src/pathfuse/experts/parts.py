"""One expert before it is trained: its inputs, its parts, and the folder where finished parts wait."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import pathfuse
from pathfuse.errors import InputError
from pathfuse.experts.cohort import Cohort, People, gap, join, read_people
from pathfuse.experts.fitted import Fitted, load_fitted
from pathfuse.experts.folds import FoldPart, FoldPlan, plan
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.left_out import check_enough, without_truth
from pathfuse.experts.recipe import IMBALANCE, TrainingRecipe, check_name
from pathfuse.experts.targets.registry import target_kind
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.join import open_bank
from pathfuse.features.locate import split_layer
from pathfuse.features.opened import OpenedFeatures
from pathfuse.files.digests import digest_of
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.spelling import spelled_otherwise
from pathfuse.files.tables import parquet_frame
from pathfuse.study.reading import DEFAULT, Reading

STAMP, MODEL, OUTPUTS, HISTORY, CHECKPOINT = (
    "stamp.json", "model.safetensors", "outputs.parquet", "history.json", "checkpoint.safetensors"
)  # fmt: skip


@dataclass(frozen=True)
class ExpertSetup:
    """An expert, before it is trained.

    Everything is a path or a number, so that it travels to workers.
    """

    name: str
    features: Path | Mapping[str, Path]
    """One encoder's, or several by name."""
    samples: Path
    out: Path
    recipe: TrainingRecipe
    slides: Path | None = None
    endpoint: str | None = None
    time_edges: tuple[float, ...] | None = None
    strict: bool = False
    teachers: Mapping[str, Path] = field(default_factory=dict)
    """Slide-level embeddings that teach ``fusecpath``, by name."""
    allow_partial: bool = False
    """Go on where more than half of the samples or slides with a truth drop out, or units differ."""
    log_dir: Path | None = None
    """Where every epoch is logged as it ends; None: nowhere."""
    reading: Reading = DEFAULT
    """How the tables are understood."""
    names: Reading | None = None
    """How names of feature files and of the slide table are shortened, where the samples table is
    in the contract's form already; None: as ``reading`` says."""

    @property
    def read(self) -> list[Path]:
        """Every path that is read."""
        features = (
            [self.features] if isinstance(self.features, Path) else list(self.features.values())
        )
        return [
            *(split_layer(path)[0] for path in (*features, *self.teachers.values())),
            self.samples,
            *([self.slides] if self.slides else []),
        ]

    @property
    def work(self) -> Path:
        """Where finished parts wait; it goes when the expert is complete."""
        return self.out.resolve().parent / f".{self.out.name}.work"


@dataclass(frozen=True)
class Prepared:
    """An expert with its inputs read and its parts laid out."""

    expert: ExpertSetup
    cohort: Cohort
    plan: FoldPlan
    stamp: str
    """Changes when anything does that a result depends on."""
    teachers: dict[str, FeatureFolder] = field(default_factory=dict)

    @property
    def inputs(self) -> Inputs:
        """The lengths of what the head reads."""
        teachers = {name: folder.dim for name, folder in self.teachers.items()}
        return Inputs(self.cohort.folder.views, teachers, self.cohort.folder.granularity == "slide")

    def done(self, part: FoldPart) -> bool:
        """Whether a part lies there complete."""
        return (self.expert.work / part.name).is_dir()


def prepare(expert: ExpertSetup, opened: OpenedFeatures | None = None) -> Prepared:
    """Reads the tables, looks at the features and lays out the parts.

    Args:
        expert: What to train.
        opened: Features that the run has opened for other experts; they are not read again.

    Raises:
        InputError: Something is wrong with them.
    """
    check_name(expert.name)
    people = read_people(
        expert.samples,
        expert.slides,
        expert.endpoint,
        expert.time_edges,
        expert.reading,
        expert.names,
    )
    _check_likelihood(people, expert.recipe)
    _check_imbalance(people, expert.recipe)
    opened = OpenedFeatures(fingerprint=True) if opened is None else opened
    folder, teachers = open_features(expert, opened), open_teachers(expert, opened)
    cohort = join(people, folder, expert.recipe, expert.strict)
    gaps = check_teachers(cohort, teachers, expert.strict)
    warnings = (*check_enough(cohort, expert.name, expert.allow_partial), *folder.warnings)
    cohort = replace(
        cohort, left_out=(*cohort.left_out, *gaps, *without_truth(cohort)), warnings=warnings
    )
    laid_out = plan(cohort, expert.recipe)
    for part in laid_out.parts:
        if len(part.train) < 2:
            raise InputError(
                f"{expert.samples}: part '{part.name}' has {len(part.train)} rows to train on"
            )
    return Prepared(
        expert, cohort, laid_out, stamp_of(expert, people.inputs, folder, teachers), teachers
    )


def open_features(expert: ExpertSetup, opened: OpenedFeatures) -> FeatureFolder:
    """The features of one encoder, or of several as a bank.

    Raises:
        InputError: They cannot be used; see ``open_folder`` and ``open_bank``.
    """
    if isinstance(expert.features, Path):
        return opened.folder(expert.features, strict=expert.strict)
    for name in expert.features:
        check_name(name)
    return open_encoders(
        expert.features, expert.recipe, expert.strict, opened, expert.allow_partial
    )


def open_encoders(
    paths: Mapping[str, Path],
    recipe: TrainingRecipe,
    strict: bool,
    opened: OpenedFeatures | None = None,
    allow_partial: bool = False,
) -> FeatureFolder:
    """A bank of several encoders, joined as the recipe says.

    Slides whose encoders are in different units are refused, or left out with ``allow_partial``.

    Raises:
        InputError: See ``open_bank``.
    """
    return open_bank(
        paths,
        overlap=recipe.overlap,
        um_per_px=recipe.um_per_px,
        incomplete=recipe.incomplete,
        strict=strict,
        opened=opened,
        mixed_units="leave_out" if allow_partial else "refuse",
    )


def open_teachers(expert: ExpertSetup, opened: OpenedFeatures) -> dict[str, FeatureFolder]:
    """The slide-level embeddings of the teachers, sorted by name.

    Raises:
        InputError: The head takes no teachers, or they are no vectors of whole slides.
    """
    if expert.teachers and not expert.recipe.facts.has_teachers:
        raise InputError(f"the head '{expert.recipe.head}' takes no teachers; fusecpath does")
    found = {}
    for name in sorted(expert.teachers):
        found[check_name(name)] = folder = opened.folder(
            expert.teachers[name], strict=expert.strict
        )
        if folder.granularity != "slide":
            raise InputError(
                f"{folder.source} holds bags of tiles, but a teacher is one vector per slide"
            )
    return found


def check_teachers(
    cohort: Cohort, teachers: Mapping[str, FeatureFolder], strict: bool
) -> tuple[dict[str, Any], ...]:
    """What the teachers lack, as ``Cohort.left_out`` has it.

    Raises:
        InputError: A teacher knows no slide of the cohort, or ``strict`` and it lacks one.
    """
    wanted = sorted({slide for unit in cohort.units for slide in unit.slides})
    gaps = []
    for name, folder in teachers.items():
        lacking = [slide for slide in wanted if slide not in folder.slides]
        if hint := spelled_otherwise(lacking, wanted, list(folder.slides)):
            raise InputError(
                f"{folder.source}: the teacher '{name}' knows no slide '{lacking[0]}'{hint}"
            )
        if len(lacking) == len(wanted):
            raise InputError(
                f"{folder.source}: the teacher '{name}' knows no slide of the cohort: '{wanted[0]}' is wanted, "
                f"'{next(iter(folder.slides))}' is there; its sample_id is the name of the slide"
            )
        if lacking and strict:
            raise InputError(
                f"{folder.source}: the teacher '{name}' lacks {len(lacking)} slides, first '{lacking[0]}'"
            )
        if lacking:
            why = f"slide that the teacher '{name}' does not know (no distillation from it)"
            gaps.append(gap(cohort.people, why, len(lacking), lacking))
    return tuple(gaps)


def _check_likelihood(people: People, recipe: TrainingRecipe) -> None:
    """Refuses a likelihood that the endpoint does not know, and one of counts for other numbers.

    Raises:
        InputError: The endpoint is not a regression, or a target is negative.
    """
    targets, samples, likelihood = people.targets, people.samples, recipe.likelihood
    if likelihood == TrainingRecipe.model_fields["likelihood"].default:
        return
    if likelihood not in targets.way.likelihoods:
        raise InputError(
            f"likelihood={likelihood} is for regression, and the endpoint is {targets.kind}"
        )
    if not target_kind(targets.kind, likelihood).of_counts:
        return
    wrong = np.argwhere(targets.known & (targets.values < 0))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{samples.source}, column 'target_{targets.names[column]}', sample '{samples.ids[row]}': "
            f"{targets.values[row, column]:g} is negative, and likelihood={likelihood} wants counts"
        )


def _check_imbalance(people: People, recipe: TrainingRecipe) -> None:
    """Refuses options about rare outcomes that mean nothing for the endpoint.

    Raises:
        InputError: One of them is on.
    """
    known = people.targets.way.against_imbalance
    for option in IMBALANCE:
        if getattr(recipe, option) and option not in known:
            instead = f"; it has {', '.join(sorted(known))}" if known else ""
            raise InputError(
                f"{option} means nothing for the endpoint {people.endpoint.kind}{instead}"
            )


def stamp_of(
    expert: ExpertSetup,
    inputs: dict[str, str | None],
    folder: FeatureFolder,
    teachers: Mapping[str, FeatureFolder],
) -> str:
    """SHA-256 of version, recipe, tables and features."""
    what = {
        "pathfuse": pathfuse.__version__,
        "name": expert.name,
        "recipe": expert.recipe.model_dump(exclude={"cache_mb", "device"}),
        "tables": sorted(str(sha) for sha in inputs.values()),
        "features": folder.sha256(),
        "teachers": {name: one.sha256() for name, one in teachers.items()},
        "endpoint": expert.endpoint,
        "edges": [repr(edge) for edge in expert.time_edges or ()],
    }
    for what_of, reading in (("reading", expert.reading), ("names", expert.names or DEFAULT)):
        if reading != DEFAULT:
            what[what_of] = reading.model_dump()
    return digest_of(what)


def open_work(prepared: Prepared, fresh: bool = False) -> None:
    """Makes the folder of finished parts, or keeps it if it is of the same inputs."""
    OutputFolder(prepared.expert.work, STAMP).resume(prepared.stamp, fresh)


Loaded = tuple[Fitted, pl.DataFrame, dict[str, Any]]
"""Model, outputs and history of a part."""


def load_part(work: Path, part: str) -> Loaded:
    """Model, outputs and history of a finished part."""
    place = work / part
    history = json.loads((place / HISTORY).read_text(encoding="utf-8"))
    return load_fitted(place / MODEL), parquet_frame(place / OUTPUTS), history
