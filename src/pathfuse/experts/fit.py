"""Fitting the model of one part: scales of features and targets, training or a linear model,
residuals.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.costs import tallied
from pathfuse.experts.apply import CLUSTERS, apply, make_reader
from pathfuse.experts.cohort import Cohort, Unit
from pathfuse.experts.fitted import Fitted
from pathfuse.experts.folds import FoldPart, validation_rows
from pathfuse.experts.inputs import Inputs, Operations
from pathfuse.experts.parts import Prepared
from pathfuse.experts.recipe import PcaRidgeRecipe
from pathfuse.experts.targets.registry import target_kind
from pathfuse.experts.targets.table import Targets
from pathfuse.features.folder import FeatureFolder
from pathfuse.progress import OnEpoch
from pathfuse.types import Index

"""Called with a part's name and its line of history after every epoch."""
History = list[dict[str, Any]]


@dataclass(frozen=True)
class FittedPart:
    """The model of one part."""

    fitted: Fitted
    history: History
    """Lines of ``history.csv``."""
    count: Callable[[], Operations]
    """Counts operations, which takes time that is no part of the fit."""
    resumed: bool = False
    """Whether a stopped fit went on, so that its time is not known."""


def fit_part(
    prepared: Prepared, part: FoldPart, checkpoint: Path, on_epoch: OnEpoch | None
) -> FittedPart:
    """Fits one part's model.

    Args:
        prepared: The expert.
        part: Its training rows.
        checkpoint: File to go on from, and to write after every epoch.
        on_epoch: Called after every epoch.
    """
    cohort, recipe = prepared.cohort, prepared.expert.recipe
    targets, scales = scaled_targets(cohort.people.targets, part.train, recipe.likelihood)
    linear, resumed = recipe.facts.linear, checkpoint.exists()
    fitted_rows, validation = (
        (part.train, part.train[:0]) if linear else validation_rows(cohort, part.train, recipe)
    )
    units, held = cohort.units_of(fitted_rows), cohort.units_of(validation)
    code = [recipe.seed, int.from_bytes(hashlib.sha256(part.name.encode()).digest()[:4], "big")]
    seed = int(np.random.SeedSequence(code).generate_state(1)[0])
    if linear:
        weights, own, history, count = _linear(prepared, units, targets, seed)
    else:
        weights, own, history, count = _train(
            prepared, units, held, targets, seed, checkpoint, on_epoch
        )
    names, kind = cohort.people.targets.names, cohort.people.targets.kind
    inputs = Inputs(
        prepared.inputs.views, {}, prepared.inputs.single
    )  # prediction needs no teacher
    fitted = Fitted(recipe, inputs, names, kind, weights, scales | own)
    if fitted.way.scaled:
        fitted = _with_residuals(fitted, cohort, held or units, prepared.expert.work / CLUSTERS)
        fitted = _unsure_of_constants(fitted, cohort.people.targets, part.train)
    return FittedPart(fitted, history, count, resumed)


def _train(
    prepared: Prepared,
    units: Sequence[Unit],
    held: Sequence[Unit],
    targets: Targets,
    seed: int,
    checkpoint: Path,
    on_epoch: OnEpoch | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], History, Callable[[], Operations]]:
    from pathfuse.experts.batches import FeatureScale, fit_scale
    from pathfuse.experts.operations import count_operations
    from pathfuse.experts.training import train
    from pathfuse.experts.work import Work

    cohort, recipe = prepared.cohort, prepared.expert.recipe
    scale, scales = None, {}
    if recipe.standardize:
        found = fit_scale(cohort.folder, units)
        scale, scales = (
            FeatureScale(found.mean, found.sd, recipe.clip),
            {"feature_mean": found.mean, "feature_sd": found.sd},
        )
    reader = make_reader(
        cohort.folder, recipe, recipe.cache_mb, scale, prepared.expert.work / CLUSTERS
    )
    _, patients = np.unique(cohort.people.samples.patients.astype(str), return_inverse=True)
    teachers = _teachers(prepared, units, held)
    work = Work(reader, units, held, targets, prepared.inputs, patients, teachers)
    trained = train(work, recipe, seed, checkpoint, on_epoch)
    weights = {name: value.cpu().numpy() for name, value in trained.head.serving_state().items()}
    epochs = len(trained.history)
    return (
        weights,
        scales,
        trained.history,
        lambda: count_operations(trained.head, work, recipe, epochs),
    )


def _teachers(
    prepared: Prepared, units: Sequence[Unit], held: Sequence[Unit]
) -> dict[tuple[str, ...], np.ndarray] | None:
    """Each unit's slide-level embeddings, standardised on the fitted units.

    NaN where a teacher is missing.

    A unit of several slides has the mean of those that a teacher knows.
    """
    from pathfuse.experts.linear_probe import moments

    if not prepared.teachers:
        return None
    parts = [_of_teacher(teacher, [*units, *held]) for teacher in prepared.teachers.values()]
    table = np.concatenate(parts, axis=1)
    mean, sd = moments(table[: len(units)])
    return {
        unit.slides: (row - mean) / sd for unit, row in zip([*units, *held], table, strict=True)
    }


def _of_teacher(teacher: FeatureFolder, units: Sequence[Unit]) -> np.ndarray:
    """Float, (unit, dim): the mean of a unit's slides that the teacher knows, NaN if it knows none."""
    table = np.full((len(units), teacher.dim), np.nan)
    for row, unit in enumerate(units):
        known = [teacher.read(slide)[0] for slide in unit.slides if slide in teacher.slides]
        if known:
            table[row] = np.mean(known, axis=0, dtype=np.float64)
    return table


def _linear(
    prepared: Prepared, units: Sequence[Unit], targets: Targets, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], History, Callable[[], Operations]]:
    from pathfuse.experts.linear_probe import (
        fit_probe,
        fit_reduced,
        held_out_error,
        moments,
        pooled,
        standardised,
    )

    recipe = prepared.expert.recipe
    table = pooled(make_reader(prepared.cohort.folder, recipe, recipe.cache_mb), units)
    mean, sd = moments(table)
    rows = np.array([unit.sample for unit in units])
    groups = prepared.cohort.people.samples.patients[rows].astype(str)
    scaled = standardised(table, mean, sd)
    with (
        tallied() as tally,
        threadpool_limits(1),
    ):  # many small fits: threads would wait for each other
        components = recipe.components if isinstance(recipe, PcaRidgeRecipe) else None
        if components is not None:
            coefficients, intercepts, chosen = fit_reduced(
                scaled, rows, targets, groups, seed, components
            )
        else:
            coefficients, intercepts, chosen = fit_probe(scaled, rows, targets, groups, seed)
        scales = {"feature_mean": mean, "feature_sd": sd}
        if targets.way.scaled:
            scales["held_out_error"] = held_out_error(
                scaled, rows, targets, groups, seed, chosen, components
            )
    weights = {"coefficients": coefficients, "intercepts": intercepts}
    history = [{"epoch": 1, "rate": chosen, "chosen": True}]
    return weights, scales, history, lambda: Operations(tally.flops, 2 * coefficients.size)


def scaled_targets(
    targets: Targets, rows: Index, likelihood: str
) -> tuple[Targets, dict[str, np.ndarray]]:
    """Targets as training wants them, and their scales; see ``TargetKind.scale``."""
    way = target_kind(targets.kind, likelihood)
    values, scales = way.scale(targets.values, targets.known, rows)
    return replace(targets, values=values), scales


def _with_residuals(
    fitted: Fitted, cohort: Cohort, units: Sequence[Unit], clusters: Path
) -> Fitted:
    """Adds each target's root mean squared error on held-out rows (on the fitted ones where none
    were held out).

    A linear model's comes from folds of its training rows. A target that none of these rows knows
    has its spread among the training rows.
    """
    spread, scales = fitted.scales["target_sd"], dict(fitted.scales)
    found = scales.pop("held_out_error", None)
    if found is None:
        raw = apply(fitted, cohort.folder, units, clusters=clusters).outputs
        raw = raw[:, : len(fitted.names)]
        rows, targets = np.array([unit.sample for unit in units]), cohort.people.targets
        error = np.where(targets.known[rows], raw - targets.values[rows], 0.0)
        count = targets.known[rows].sum(axis=0)
        residual = np.where(
            count > 0, np.sqrt((error**2).sum(axis=0) / np.maximum(count, 1)), spread
        )
    else:
        residual = np.where(np.isnan(found), 1.0, found) * spread
    return replace(fitted, scales=scales | {"residual_sd": np.maximum(residual, 1e-6 * spread)})


def _unsure_of_constants(fitted: Fitted, targets: Targets, rows: Index) -> Fitted:
    """A target that does not vary in the training rows leaves no error there, which says nothing
    about other rows.

    Its standard deviation is that of the middle one among the targets that do vary; 1 if there are
    none.
    """
    values = np.where(targets.known[rows], targets.values[rows], np.nan)
    varying = np.array([len(np.unique(y[~np.isnan(y)])) > 1 for y in values.T])
    spread = fitted.scales["target_sd"]
    usual = float(np.median(spread[varying])) if varying.any() else 1.0
    return replace(
        fitted,
        scales=fitted.scales
        | {"residual_sd": np.where(varying, fitted.scales["residual_sd"], usual)},
    )
