"""One expert, part by part: each part trains one model, saves it with its predictions, and is never done twice."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

import pathfuse
from pathfuse.bags.folder import FeatureFolder, open_folder
from pathfuse.errors import InputError
from pathfuse.experts.cohort import Cohort, Unit, join, read_people
from pathfuse.experts.fitted import Fitted, load_fitted, save_fitted
from pathfuse.experts.folds import Part, Plan, plan, validation_rows
from pathfuse.experts.outputs import Targets
from pathfuse.experts.recipe import Recipe, check_name
from pathfuse.tables.write import write_json_file

Heard = Callable[[str, dict[str, Any]], None]
"""Called with a part's name and its line of history after every epoch."""
STAMP, MODEL, OUTPUTS, HISTORY, CHECKPOINT = (
    "stamp.json", "model.safetensors", "outputs.parquet", "history.json", "checkpoint.safetensors"
)  # fmt: skip


@dataclass(frozen=True)
class Expert:
    """One encoder's expert, before it is trained. Everything is a path or a number, so that it travels to workers."""

    name: str
    features: Path
    samples: Path
    out: Path
    recipe: Recipe
    slides: Path | None = None
    endpoint: str | None = None
    time_edges: tuple[float, ...] | None = None
    strict: bool = False

    @property
    def work(self) -> Path:
        """Where finished parts wait; it goes when the expert is complete."""
        return self.out.resolve().parent / f".{self.out.name}.work"


@dataclass(frozen=True)
class Prepared:
    """An expert with its inputs read and its parts laid out."""

    expert: Expert
    cohort: Cohort
    plan: Plan
    stamp: str
    """Changes when anything does that a result depends on."""

    def done(self, part: Part) -> bool:
        """Whether a part lies there complete."""
        return (self.expert.work / part.name).is_dir()


def prepare(expert: Expert) -> Prepared:
    """Reads the tables, looks at the features and lays out the parts.

    Raises:
        InputError: Something is wrong with them.
    """
    check_name(expert.name)
    people = read_people(expert.samples, expert.slides, expert.endpoint, expert.time_edges)
    folder = open_folder(expert.features, strict=expert.strict)
    cohort = join(people, folder, expert.recipe, expert.strict)
    laid_out = plan(cohort, expert.recipe)
    for part in laid_out.parts:
        if len(part.train) < 2:
            raise InputError(f"{expert.samples}: part '{part.name}' has {len(part.train)} rows to train on")
    return Prepared(expert, cohort, laid_out, stamp_of(expert, people.inputs, folder))


def stamp_of(expert: Expert, inputs: dict[str, str | None], folder: FeatureFolder) -> str:
    """SHA-256 of version, recipe, tables and features."""
    what = {
        "pathfuse": pathfuse.__version__,
        "name": expert.name,
        "recipe": expert.recipe.model_dump(exclude={"cache_mb", "device"}),
        "tables": sorted(str(sha) for sha in inputs.values()),
        "features": folder.sha256(),
        "endpoint": expert.endpoint,
        "edges": [repr(edge) for edge in expert.time_edges or ()],
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def open_work(prepared: Prepared, fresh: bool = False) -> None:
    """Makes the folder of finished parts, or keeps it if it is of the same inputs."""
    work = prepared.expert.work
    try:
        known = json.loads((work / STAMP).read_text(encoding="utf-8"))["stamp"]
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    if fresh or known != prepared.stamp:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    write_json_file({"stamp": prepared.stamp}, work / STAMP)


def run_part(prepared: Prepared, part: Part, heard: Heard | None = None) -> None:
    """Trains one part's model and saves it with its predictions, unless that is done.

    Workers of a killed run may outlive it for a while: each process writes into a folder of its own, and the first to
    finish wins, with the same content.
    """
    if prepared.done(part):
        return
    start = time.perf_counter()
    place = prepared.expert.work / part.name
    checkpoint = place.with_name(f".{part.name}.{CHECKPOINT}")
    partial = place.with_name(f".{part.name}.partial-{os.getpid()}")
    partial.mkdir(exist_ok=True)
    fitted, history = _fit(prepared, part, checkpoint, heard)
    units = prepared.cohort.units_of(part.predict)
    raw = outputs_of(fitted, prepared.cohort.folder, units, prepared.expert.recipe)
    save_fitted(fitted, partial / MODEL)
    by_unit = {"row": [unit.sample for unit in units], "slides": [list(unit.slides) for unit in units]}
    columns = {str(k): raw[:, k] for k in range(len(fitted.names))}
    schema: dict[str, Any] = {"row": pl.Int64, "slides": pl.List(pl.String), **dict.fromkeys(columns, pl.Float64)}
    pl.DataFrame(by_unit | columns, schema=schema).write_parquet(partial / OUTPUTS)
    lines = [{k: None if v != v else v for k, v in line.items()} for line in history]
    content = {"history": lines, "seconds": round(time.perf_counter() - start, 3)}
    (partial / HISTORY).write_text(json.dumps(content), encoding="utf-8")
    try:
        partial.replace(place)
    except OSError:
        if not prepared.done(part):
            raise
        shutil.rmtree(partial, ignore_errors=True)
    checkpoint.unlink(missing_ok=True)


def _fit(prepared: Prepared, part: Part, checkpoint: Path, heard: Heard | None) -> tuple[Fitted, list[dict[str, Any]]]:
    from pathfuse.experts.batches import BagReader, Scale, fit_scale

    cohort, recipe = prepared.cohort, prepared.expert.recipe
    targets, target_scale = _standardised(cohort.people.targets, part.train)
    probe = recipe.head == "linear_probe"
    fitted_rows, validation = (part.train, part.train[:0]) if probe else validation_rows(cohort, part.train, recipe)
    units, held = cohort.units_of(fitted_rows), cohort.units_of(validation)
    reader = BagReader(cohort.folder, recipe.cache_mb)
    scales = dict(target_scale)
    if recipe.standardize and not probe:
        scale = fit_scale(reader, units)
        scales |= {"feature_mean": scale.mean, "feature_sd": scale.sd}
        reader = BagReader(cohort.folder, recipe.cache_mb, Scale(scale.mean, scale.sd, recipe.clip))
    seed = [recipe.seed, int.from_bytes(hashlib.sha256(part.name.encode()).digest()[:4], "big")]
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    if probe:
        weights, scales_of_probe, history = _probe(prepared, reader, units, targets, number)
        scales |= scales_of_probe
    else:
        from pathfuse.experts.training import Work, train

        tell = None if heard is None else (lambda line: heard(part.name, line))
        trained = train(Work(reader, units, held, targets), recipe, number, checkpoint, tell)
        weights = {name: value.cpu().numpy() for name, value in trained.head.state_dict().items()}
        history = trained.history
    people = cohort.people
    fitted = Fitted(recipe, cohort.folder.dim, people.targets.names, people.targets.kind, weights, scales)
    if people.targets.kind == "regression":
        fitted = _with_residuals(fitted, cohort, held or units)
    return fitted, history


def _probe(
    prepared: Prepared, reader: Any, units: Sequence[Unit], targets: Targets, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[dict[str, Any]]]:
    from pathfuse.experts.linear_probe import fit_probe, pooled

    table = pooled(reader, units)
    mean, sd = table.mean(axis=0), table.std(axis=0)
    sd = np.where(sd > 1e-8, sd, 1.0)
    rows = np.array([unit.sample for unit in units])
    groups = prepared.cohort.people.samples.patients[rows].astype(str)
    with threadpool_limits(1):  # many small fits: threads would wait for each other
        coefficients, intercepts, chosen = fit_probe((table - mean) / sd, rows, targets, groups, seed)
    weights = {"coefficients": coefficients, "intercepts": intercepts}
    return weights, {"feature_mean": mean, "feature_sd": sd}, [{"epoch": 1, "rate": chosen, "chosen": True}]


def _standardised(targets: Targets, rows: np.ndarray) -> tuple[Targets, dict[str, np.ndarray]]:
    """Regression targets by mean and standard deviation of the training rows; others as they are."""
    if targets.kind != "regression":
        return targets, {}
    filled = np.where(targets.known[rows], targets.values[rows], np.nan)
    count = np.maximum(targets.known[rows].sum(axis=0), 1)
    mean = np.nansum(filled, axis=0) / count
    sd = np.sqrt(np.nansum((filled - mean) ** 2, axis=0) / count)
    sd = np.where(sd > 1e-12, sd, 1.0)
    scaled = np.where(targets.known, (targets.values - mean) / sd, 0.0)
    return replace(targets, values=scaled), {"target_mean": mean, "target_sd": sd}


def _with_residuals(fitted: Fitted, cohort: Cohort, units: Sequence[Unit]) -> Fitted:
    """Adds each target's root mean squared error on held-out rows (on the fitted ones where none were held out).

    A target that none of these rows knows has its spread among the training rows.
    """
    raw = outputs_of(fitted, cohort.folder, units, fitted.recipe)
    rows = np.array([unit.sample for unit in units])
    targets = cohort.people.targets
    error = np.where(targets.known[rows], raw - targets.values[rows], 0.0)
    count, spread = targets.known[rows].sum(axis=0), fitted.scales["target_sd"]
    residual = np.where(count > 0, np.sqrt((error**2).sum(axis=0) / np.maximum(count, 1)), spread)
    residual = np.maximum(residual, 1e-6 * spread)
    return replace(fitted, scales=fitted.scales | {"residual_sd": residual})


def outputs_of(fitted: Fitted, folder: FeatureFolder, units: Sequence[Unit], recipe: Recipe) -> np.ndarray:
    """Raw outputs of some units, Float, (unit, output); regression in the targets' own unit."""
    return outputs_and_attention(fitted, folder, units, recipe, False)[0]


def outputs_and_attention(
    fitted: Fitted, folder: FeatureFolder, units: Sequence[Unit], recipe: Recipe, keep: bool = True
) -> tuple[np.ndarray, list[np.ndarray] | None]:
    """Raw outputs of some units, and the attention of their tiles, if asked and if the head has any."""
    from pathfuse.experts.batches import BagReader, Scale

    if not units:
        return np.zeros((0, len(fitted.names))), None
    scaled = "feature_mean" in fitted.scales and recipe.head != "linear_probe"
    scale = Scale(fitted.scales["feature_mean"], fitted.scales["feature_sd"], recipe.clip) if scaled else None
    reader = BagReader(folder, 0, scale)
    attention = None
    if recipe.head == "linear_probe":
        from pathfuse.experts.linear_probe import pooled

        table = (pooled(reader, units) - fitted.scales["feature_mean"]) / fitted.scales["feature_sd"]
        raw = table @ fitted.weights["coefficients"] + fitted.weights["intercepts"]
    else:
        import torch

        from pathfuse.experts.heads.registry import make_head
        from pathfuse.experts.training import predict

        with torch.random.fork_rng(devices=[]):
            head = make_head(recipe, fitted.dim, len(fitted.names))
        head.load_state_dict({name: torch.from_numpy(value) for name, value in fitted.weights.items()})
        raw, attention = predict(head, reader, units, recipe, keep)
    if fitted.kind == "regression":
        raw = raw * fitted.scales["target_sd"] + fitted.scales["target_mean"]
    return raw, attention


def load_part(work: Path, part: str) -> tuple[Fitted, pl.DataFrame, dict[str, Any]]:
    """Model, outputs and history of a finished part."""
    place = work / part
    history = json.loads((place / HISTORY).read_text(encoding="utf-8"))
    return load_fitted(place / MODEL), pl.read_parquet(place / OUTPUTS), history
