"""Fitting the model of one part: scales of features and targets, training or a linear model,
residuals.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.costs import tallied
from pathfuse.experts.apply import CLUSTERS, apply, make_reader, statistics_of
from pathfuse.experts.cohort import Cohort, Unit
from pathfuse.experts.fitted import NETWORK, Fitted
from pathfuse.experts.folds import FoldPart, validation_rows
from pathfuse.experts.inputs import Inputs, Operations
from pathfuse.experts.parts import Prepared, load_part
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.registry import target_kind
from pathfuse.experts.targets.table import Targets
from pathfuse.features.folder import FeatureFolder
from pathfuse.progress import OnEpoch
from pathfuse.types import Index

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
        prepared: The expert; the parts that this one comes after are done.
        part: Its training rows.
        checkpoint: File to go on from, and to write after every epoch.
        on_epoch: Called after every epoch.
    """
    cohort, recipe = prepared.cohort, prepared.expert.recipe
    targets, scales = scaled_targets(cohort.people.targets, part.train, recipe.likelihood)
    resumed = checkpoint.exists()
    code = [recipe.seed, int.from_bytes(hashlib.sha256(part.name.encode()).digest()[:4], "big")]
    seed = int(np.random.SeedSequence(code).generate_state(1)[0])
    rows, held_rows = _divided(prepared, part)
    units, held = cohort.units_of(rows), cohort.units_of(held_rows)
    if recipe.facts.pooled:
        found = _fit_pooled(prepared, units, targets, seed)
    else:
        if part.after:
            recipe = _for_epochs(recipe, chosen_epochs(prepared, part.after))
        found = _train(prepared, recipe, units, held, targets, seed, checkpoint, on_epoch)
    people = cohort.people.targets
    inputs = Inputs(prepared.inputs.views, {}, prepared.inputs.single)  # none needs a teacher now
    fitted = Fitted(
        prepared.expert.recipe, inputs, people.names, people.kind, found.weights, scales
    )
    fitted = replace(fitted, scales=scales | found.scales)
    if fitted.way.scaled:
        error = found.error
        if error is None and part.after:
            error = out_of_fold_error(prepared, part.after)
        elif error is None:
            early = replace(fitted, weights=found.unrefitted or found.weights)
            error = _error_on(early, cohort, held or units, prepared.expert.work / CLUSTERS)
        fitted = _with_residuals(fitted, error)
        fitted = _unsure_of_constants(fitted, people, part.train)
    return FittedPart(fitted, found.history, found.count, resumed)


@dataclass(frozen=True)
class _Found:
    """Arrays of a model, and how they came about."""

    weights: dict[str, np.ndarray]
    scales: dict[str, np.ndarray]
    history: History
    count: Callable[[], Operations]
    error: np.ndarray | None = None
    """Regression: root mean squared error of held-out units, in the targets' own unit."""
    unrefitted: dict[str, np.ndarray] | None = None
    """The arrays that know nothing of the held-out units, where ``weights`` do."""


def _divided(prepared: Prepared, part: FoldPart) -> tuple[Index, Index]:
    """Rows that are fitted, and rows that choose an epoch.

    A pooled model has no epochs, and a part that comes after others has theirs.
    """
    if prepared.expert.recipe.facts.pooled or part.after:
        return part.train, part.train[:0]
    return validation_rows(prepared.cohort, part.train, prepared.expert.recipe)


def _for_epochs(recipe: TrainingRecipe, epochs: int) -> TrainingRecipe:
    """The recipe for a number of epochs, the last of which is kept."""
    return recipe.model_copy(update={"epochs": epochs, "min_epochs": epochs})


def _train(
    prepared: Prepared,
    recipe: TrainingRecipe,
    units: Sequence[Unit],
    held: Sequence[Unit],
    targets: Targets,
    seed: int,
    checkpoint: Path,
    on_epoch: OnEpoch | None,
) -> _Found:
    from pathfuse.experts.batches import FeatureScale, fit_scale
    from pathfuse.experts.operations import count_operations
    from pathfuse.experts.training import train
    from pathfuse.experts.work import Work

    cohort = prepared.cohort
    scale, scales = None, {}
    if recipe.standardize:
        found = fit_scale(cohort.folder, units)
        scale = FeatureScale(found.mean, found.sd, recipe.clip)
        scales = {"feature_mean": found.mean, "feature_sd": found.sd}
    reader = make_reader(
        cohort.folder, recipe, recipe.cache_mb, scale, prepared.expert.work / CLUSTERS
    )
    _, patients = np.unique(cohort.people.samples.patients.astype(str), return_inverse=True)
    teachers = _teachers(prepared, units, held)
    work = Work(reader, units, held, targets, prepared.inputs, patients, teachers)
    weights: dict[str, np.ndarray] = {}
    early: dict[str, np.ndarray] = {}
    history: History = []
    linear_flops = 0.0
    for number in range(recipe.networks):
        own = seed if number == 0 else _seed_of(seed, number)
        told = None if on_epoch is None else partial(_of_network, on_epoch, number + 1)
        trained = train(work, recipe, own, checkpoint_of(checkpoint, number), told)
        before = f"{NETWORK}{number}." if recipe.networks > 1 else ""
        state = trained.head.serving_state()
        weights |= {before + name: value.cpu().numpy() for name, value in state.items()}
        if trained.unrefitted is not None:
            early |= {before + k: v.cpu().numpy() for k, v in trained.unrefitted.items()}
        history += [{**line, "network": number + 1} for line in trained.history]
        linear_flops += trained.linear_flops

    def count() -> Operations:
        epochs = sum(line["epoch"] > 0 for line in history)
        one = count_operations(trained.head, work, recipe, epochs)
        return Operations(one.fit + linear_flops, one.predict_per_unit * recipe.networks)

    return _Found(weights, scales, history, count, unrefitted=early or None)


def _of_network(on_epoch: OnEpoch, network: int, line: dict[str, Any]) -> None:
    """Passes an epoch on with the number of its network, from 1."""
    on_epoch({**line, "network": network})


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def checkpoint_of(checkpoint: Path, number: int) -> Path:
    """The checkpoint of one of several networks."""
    return checkpoint if number == 0 else checkpoint.with_name(f"{checkpoint.name}.{number}")


def chosen_epochs(prepared: Prepared, parts: Sequence[str]) -> int:
    """The middle of the numbers of epochs that some finished parts chose; 0 where their linear path
    needs no correction.
    """
    chosen = [
        line["epoch"]
        for name in parts
        for line in load_part(prepared.expert.work, name)[2]["history"]
        if line["chosen"]
    ]
    return round(float(np.median(chosen)))


def out_of_fold_error(prepared: Prepared, parts: Sequence[str]) -> np.ndarray:
    """Root mean squared error of each target, every sample by the part that did not see it.

    NaN where nothing is known.
    """
    targets = prepared.cohort.people.targets
    square, count = np.zeros(targets.n_outputs), np.zeros(targets.n_outputs)
    for name in parts:
        table = load_part(prepared.expert.work, name)[1]
        rows, raw = table["row"].to_numpy(), table.drop("row", "slides").to_numpy()
        raw = raw[:, : targets.n_outputs]
        known = targets.known[rows]
        square += (np.where(known, raw - targets.values[rows], 0.0) ** 2).sum(axis=0)
        count += known.sum(axis=0)
    return np.where(count > 0, np.sqrt(square / np.maximum(count, 1)), np.nan)


def _teachers(
    prepared: Prepared, units: Sequence[Unit], held: Sequence[Unit]
) -> dict[tuple[str, ...], np.ndarray] | None:
    """Each unit's slide-level embeddings, standardised on the fitted units.

    NaN where a teacher is missing.

    A unit of several slides has the mean of those that a teacher knows.
    """
    from pathfuse.experts.pooled.statistics import standard_of

    if not prepared.teachers:
        return None
    parts = [_of_teacher(teacher, [*units, *held]) for teacher in prepared.teachers.values()]
    table = np.concatenate(parts, axis=1)
    standard = standard_of(table[: len(units)])
    return {
        unit.slides: (row - standard.mean) / standard.sd
        for unit, row in zip([*units, *held], table, strict=True)
    }


def _of_teacher(teacher: FeatureFolder, units: Sequence[Unit]) -> np.ndarray:
    """Float, (unit, dim): the mean of a unit's slides that the teacher knows, NaN if it knows none."""
    table = np.full((len(units), teacher.dim), np.nan)
    for row, unit in enumerate(units):
        known = [teacher.read(slide)[0] for slide in unit.slides if slide in teacher.slides]
        if known:
            table[row] = np.mean(known, axis=0, dtype=np.float64)
    return table


def _fit_pooled(prepared: Prepared, units: Sequence[Unit], targets: Targets, seed: int) -> _Found:
    from pathfuse.experts.pooled.base import PooledUnits
    from pathfuse.experts.pooled.make import make_model
    from pathfuse.experts.pooled.statistics import pooled, standard_of

    recipe = prepared.expert.recipe
    model = make_model(recipe.facts)
    table = pooled(prepared.cohort.folder, units, statistics_of(model, prepared.inputs))
    standard = standard_of(table, recipe.clip)
    rows = np.array([unit.sample for unit in units])
    groups = prepared.cohort.people.samples.patients[rows].astype(str)
    given = PooledUnits(standard.apply(table), rows, targets, groups, seed)
    with tallied() as tally, threadpool_limits(1):  # many small fits: threads would wait
        fit = model.fit(given, recipe)
    scales = {"feature_mean": standard.mean, "feature_sd": standard.sd}
    history = [{"epoch": 1, "rate": fit.chosen, "chosen": True, "network": 1}]
    size = sum(array.size for array in fit.weights.values())
    error = fit.error
    if error is not None:
        spread = targets.way.scale(
            prepared.cohort.people.targets.values, prepared.cohort.people.targets.known, rows
        )[1]["target_sd"]
        error = error * spread
    return _Found(fit.weights, scales, history, lambda: Operations(tally.flops, 2 * size), error)


def scaled_targets(
    targets: Targets, rows: Index, likelihood: str
) -> tuple[Targets, dict[str, np.ndarray]]:
    """Targets as training wants them, and their scales; see ``TargetKind.scale``."""
    way = target_kind(targets.kind, likelihood)
    values, scales = way.scale(targets.values, targets.known, rows)
    return replace(targets, values=values), scales


def _error_on(fitted: Fitted, cohort: Cohort, units: Sequence[Unit], clusters: Path) -> np.ndarray:
    """Root mean squared error of each target on some units; NaN where nothing is known."""
    raw = apply(fitted, cohort.folder, units, clusters=clusters).outputs[:, : len(fitted.names)]
    rows, targets = np.array([unit.sample for unit in units]), cohort.people.targets
    error = np.where(targets.known[rows], raw - targets.values[rows], 0.0)
    count = targets.known[rows].sum(axis=0)
    root = np.sqrt((error**2).sum(axis=0) / np.maximum(count, 1))
    return np.where(count > 0, root, np.nan)


def _with_residuals(fitted: Fitted, error: np.ndarray) -> Fitted:
    """Adds each target's root mean squared error as its standard deviation.

    A target without one has its spread among the training rows.
    """
    spread = fitted.scales["target_sd"]
    residual = np.maximum(np.where(np.isnan(error), spread, error), 1e-6 * spread)
    return replace(fitted, scales=fitted.scales | {"residual_sd": residual})


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
