"""``experts predict``: a trained expert's word on new slides."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import pathfuse
from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.errors import InputError
from pathfuse.experts.apply import apply
from pathfuse.experts.assemble import FORMAT, UnitOutputs, combine
from pathfuse.experts.cohort import Unit, by_reason, check_granularity, notes_of
from pathfuse.experts.fitted import Fitted, load_fitted
from pathfuse.experts.layout import EXPERT
from pathfuse.experts.parts import open_encoders
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.slide_names import check_spelled_alike
from pathfuse.experts.slide_table import read_slides
from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.targets.registry import target_kind
from pathfuse.experts.targets.table import prediction_table
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.opened import OpenedFeatures
from pathfuse.files.json import read_json
from pathfuse.study.left_out import SHOWN
from pathfuse.training.threads import one_thread

Features = Path | Mapping[str, Path]
"""One encoder's features, or several by name."""


@dataclass(frozen=True)
class Serving:
    """A trained expert before new slides."""

    fitted: list[Fitted]
    folder: FeatureFolder
    ids: list[str]
    units: list[Unit]
    way: TargetKind
    outputs: tuple[str, ...]
    left_out: list[dict[str, Any]]
    """What has no part in the predictions: reason, number, the first few."""

    def table(self) -> pl.DataFrame:
        """Predictions: the mean of the serving models."""
        rows = np.array([unit.sample for unit in self.units])
        with one_thread():
            outputs = [
                UnitOutputs(one, rows, apply(one, self.folder, self.units).outputs)
                for one in self.fitted
            ]
        wanted, raw, sd = combine(outputs)
        ids = [self.ids[row] for row in wanted]
        return prediction_table(self.way, self.outputs, ids, raw, sd)


def serve(
    model: Path,
    features: Features,
    slides: Path | None = None,
    strict: bool = False,
    um_per_px: float | None = None,
    opened: OpenedFeatures | None = None,
) -> Serving:
    """Loads an expert and finds the new slides.

    Args:
        model: Folder that ``train_expert`` wrote.
        features: The same encoders' features of new slides; of several encoders some may be absent,
            and are masked.
        slides: Table ``sample_id,slide_id``; without one each slide is a sample.
        strict: Refuse instead of leaving out what cannot be read.
        um_per_px: Micrometres per level-0 pixel of the new slides, where some encoders are in
            pixels and others in micrometres; None: as in training.
        opened: Opens the features; experts of one encoder may share it.

    Raises:
        InputError: The model or the features cannot be used, or the dimensions differ.
    """
    try:
        about = read_json(model / EXPERT)
    except (OSError, ValueError) as error:
        raise InputError(f"{model} is not a trained expert (cannot read {EXPERT})") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(
            f"{model / EXPERT} is not an expert that pathfuse {pathfuse.__version__} reads"
        )
    try:
        recipe = TrainingRecipe.read(about["recipe"])
        serving, outputs, way = (
            about["serving"],
            about["outputs"],
            target_kind(endpoint_from_dict(about["endpoint"]).trained_as),
        )
        granularity = about["granularity"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{model / EXPERT} is damaged: {' '.join(str(error).split())}") from None
    if um_per_px is not None:
        recipe = recipe.model_copy(update={"um_per_px": um_per_px})
    folder, absent = _open(features, about, recipe, strict, opened or OpenedFeatures())
    check_granularity(folder, recipe)
    if folder.granularity != granularity:
        raise InputError(
            f"{folder.source} is of granularity '{folder.granularity}', the expert of '{granularity}'"
        )
    ids, units = _units(folder, slides, recipe, strict)
    fitted = [load_fitted(model / "models" / f"{name}.safetensors") for name in serving]
    left_out = _left_out(folder, slides, ids) + [
        {
            "reason": f"encoder '{name}' is not given: masked in all slides",
            "n": len(folder.slides),
            "first": [],
        }
        for name in absent
    ]
    return Serving(fitted, folder, ids, units, way, tuple(outputs), left_out)


def _open(
    features: Features,
    about: dict[str, Any],
    recipe: TrainingRecipe,
    strict: bool,
    opened: OpenedFeatures,
) -> tuple[FeatureFolder, tuple[str, ...]]:
    """The features of new slides, and the encoders of the expert that are not among them.

    Raises:
        InputError: They are not those that the expert was trained on.
    """
    wanted, encoder = about["views"], about["encoder"]
    if isinstance(features, Path):
        folder = opened.folder(features, strict=strict)
        if len(wanted) > 1:
            raise InputError(
                f"the expert reads {', '.join(wanted)}; name each encoder's features: {next(iter(wanted))}=PATH"
            )
        if folder.dim != about["dim"]:
            raise InputError(
                f"{folder.source} has features of length {folder.dim}, but the expert was trained on {about['dim']}"
            )
        if folder.encoder and encoder and folder.encoder != encoder:
            raise InputError(
                f"{folder.source} is of encoder '{folder.encoder}', the expert of '{encoder}'"
            )
        return folder, ()
    unknown = next((name for name in features if name not in wanted), None)
    if unknown is not None:
        raise InputError(f"the expert knows no encoder '{unknown}'; it reads {', '.join(wanted)}")
    bank = open_encoders(features, recipe, strict, opened)
    for name, dim in bank.views.items():
        if dim != wanted[name]:
            raise InputError(
                f"{features[name]} has features of length {dim}, but the expert was trained on {wanted[name]}"
            )
    return bank, tuple(name for name in wanted if name not in features)


def _left_out(folder: FeatureFolder, table: Path | None, ids: list[str]) -> list[dict[str, Any]]:
    reasons = by_reason(folder)
    if table is not None:
        belongs, _ = read_slides(table)
        wanted = {slide for slides in belongs.values() for slide in slides}
        broken = {one.name for one in folder.broken}
        reasons["slide without a feature file"] = sorted(wanted - set(folder.slides) - broken)
        reasons["sample without any usable slide"] = sorted(set(belongs) - set(ids))
        reasons["feature file of no sample"] = sorted(set(folder.slides) - wanted)
    found = [
        {"reason": why, "n": len(names), "first": names[:SHOWN]}
        for why, names in reasons.items()
        if names
    ]
    return found + notes_of(folder)


def _units(
    folder: FeatureFolder, table: Path | None, recipe: TrainingRecipe, strict: bool
) -> tuple[list[str], list[Unit]]:
    """Samples and their units."""
    if table is None:
        return list(folder.slides), [Unit(n, (name,)) for n, name in enumerate(folder.slides)]
    belongs, _ = read_slides(table)
    check_spelled_alike(str(table), [one for slides in belongs.values() for one in slides], folder)
    absent = sorted({slide for slides in belongs.values() for slide in slides} - set(folder.slides))
    if strict and absent:
        raise InputError(
            f"{folder.source}: slide without a feature file: '{absent[0]}' ({len(absent)} in all)"
        )
    there = {
        name: tuple(s for s in slides if s in folder.slides)
        for name, slides in sorted(belongs.items())
    }
    having = {name: slides for name, slides in there.items() if slides}
    if not having:
        raise InputError(f"{table}: none of its slides has features")
    if recipe.several == "bag":
        return list(having), [Unit(n, slides) for n, slides in enumerate(having.values())]
    return list(having), [
        Unit(n, (slide,)) for n, slides in enumerate(having.values()) for slide in slides
    ]
