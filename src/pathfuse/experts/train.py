"""``experts train`` and ``experts predict``: one encoder's expert from its features, and its word on new slides."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import pathfuse
from pathfuse.bags.folder import FeatureFolder, open_folder
from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.errors import InputError
from pathfuse.experts.assemble import EXPERT, FORMAT, Said, assemble, combine
from pathfuse.experts.attending import attend_held_out, check_attends
from pathfuse.experts.cohort import SHOWN, Unit, by_reason, check_granularity, read_slides
from pathfuse.experts.fitted import Fitted, load_fitted
from pathfuse.experts.outputs import frame
from pathfuse.experts.parts import Expert, Prepared, open_work, outputs_of, prepare, run_part
from pathfuse.experts.recipe import Recipe
from pathfuse.tables.write import check_out

ATTENTION = "attention"
Progress = Callable[[str, float], None]


def silent(message: str, share: float) -> None:
    """Shows nothing."""


def train_expert(
    expert: Expert,
    *,
    n_jobs: int | None = None,
    force: bool = False,
    attention: bool = False,
    um_per_px: float | None = None,
    command: str | None = None,
    progress: Progress = silent,
) -> Path:
    """Cross-fits one encoder's expert and writes its folder.

    A run that was stopped goes on: finished parts are kept, and a part in the middle resumes after its last epoch.

    Args:
        expert: Features, samples, recipe and output.
        n_jobs: Parts at a time, as in joblib; results do not depend on it.
        force: Overwrite the output.
        attention: Write ``attention/``: every tile's attention, by the models that did not see the sample.
        um_per_px: Micrometres per level-0 pixel, where coordinates are in micrometres.
        command: How the program was called, for the manifest.
        progress: Called as epochs and parts end.

    Raises:
        InputError: Tables or features are wrong, or the output exists.
    """
    inputs = [expert.features, expert.samples, *([expert.slides] if expert.slides else [])]
    check_out(expert.out, force, inputs)
    if attention:
        check_attends(expert.recipe)
    progress(f"{expert.name}: reading", 0.0)
    prepared = prepare(expert)
    open_work(prepared)
    run_parts([prepared], n_jobs, progress)
    more = (lambda folder: attend_held_out(prepared, folder / ATTENTION, um_per_px)) if attention else None
    return assemble(prepared, command, force, more)


def run_parts(experts: list[Prepared], n_jobs: int | None, progress: Progress = silent) -> None:
    """Trains all unfinished parts of some experts, in parallel over experts and parts."""
    todo = [(one, part) for one in experts for part in one.plan.parts if not one.done(part)]
    total = sum(len(one.plan.parts) for one in experts)
    done = total - len(todo)
    progress(f"{len(todo)} models to train, {done} there already", done / max(total, 1))
    if n_jobs in (None, 1):
        for one, part in todo:
            with one_thread():
                run_part(one, part, _teller(one, done / total, 1 / total, progress))
            done += 1
            progress(f"{one.expert.name} {part.name} done", done / total)
        return
    work = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(delayed(_alone)(one, part) for one, part in todo)
    for name in work:
        done += 1
        progress(f"{name} done", done / total)


def _teller(one: Prepared, start: float, room: float, progress: Progress) -> Callable[[str, dict[str, Any]], None]:
    """Shows an epoch as a share of the part."""

    def tell(part: str, line: dict[str, Any]) -> None:
        share = start + room * line["epoch"] / one.expert.recipe.epochs
        progress(f"{one.expert.name} {part} epoch {line['epoch']}: loss {line['train_loss']:.3f}", share)

    return tell


def _alone(one: Prepared, part: Any) -> str:
    """One part in a process of its own."""
    with one_thread():
        run_part(one, part)
    return f"{one.expert.name} {part.name}"


@contextmanager
def one_thread() -> Iterator[None]:
    """One core per model: more would add in another order, and the last digits would depend on the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Serving:
    """A trained expert before new slides."""

    fitted: list[Fitted]
    folder: FeatureFolder
    ids: list[str]
    units: list[Unit]
    kind: str
    outputs: tuple[str, ...]
    left_out: list[dict[str, Any]]
    """What has no part in the predictions: reason, number, the first few."""

    def table(self) -> pl.DataFrame:
        """Predictions: the mean of the serving models."""
        rows = np.array([unit.sample for unit in self.units])
        recipe = self.fitted[0].recipe
        with one_thread():
            said = [Said(one, rows, outputs_of(one, self.folder, self.units, recipe)) for one in self.fitted]
        wanted, raw, sd = combine(said)
        return frame(self.kind, self.outputs, [self.ids[row] for row in wanted], raw, sd)


def predict_expert(model: Path, features: Path, slides: Path | None = None, strict: bool = False) -> pl.DataFrame:
    """An expert's predictions for new slides: the mean of its serving models; see ``serve``."""
    return serve(model, features, slides, strict).table()


def serve(model: Path, features: Path, slides: Path | None = None, strict: bool = False) -> Serving:
    """Loads an expert and finds the new slides.

    Args:
        model: Folder that ``train_expert`` wrote.
        features: The same encoder's features of new slides.
        slides: Table ``sample_id,slide_id``; without one each slide is a sample.
        strict: Refuse instead of leaving out what cannot be read.

    Raises:
        InputError: The model or the features cannot be used, or the dimensions differ.
    """
    try:
        about = json.loads((model / EXPERT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{model} is no folder of an expert: {EXPERT} cannot be read") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{model / EXPERT} is no expert that pathfuse {pathfuse.__version__} reads")
    try:
        recipe = Recipe.model_validate(about["recipe"])
        dim, encoder, serving, outputs = (about[key] for key in ("dim", "encoder", "serving", "outputs"))
        kind = endpoint_from_dict(about["endpoint"]).kind
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{model / EXPERT} is damaged: {' '.join(str(error).split())}") from None
    folder = open_folder(features, strict=strict)
    check_granularity(folder, recipe)
    if folder.dim != dim:
        raise InputError(f"{folder.source} has features of length {folder.dim}, but the expert was trained on {dim}")
    if folder.encoder and encoder and folder.encoder != encoder:
        raise InputError(f"{folder.source} is of encoder '{folder.encoder}', the expert of '{encoder}'")
    ids, units = _units(folder, slides, recipe, strict)
    fitted = [load_fitted(model / "models" / f"{name}.safetensors") for name in serving]
    return Serving(fitted, folder, ids, units, kind, tuple(outputs), _left_out(folder, slides, ids))


def _left_out(folder: FeatureFolder, table: Path | None, ids: list[str]) -> list[dict[str, Any]]:
    reasons = by_reason(folder)
    if table is not None:
        belongs, _ = read_slides(table)
        wanted = {slide for slides in belongs.values() for slide in slides}
        broken = {one.name for one in folder.broken}
        reasons["slide without a feature file"] = sorted(wanted - set(folder.slides) - broken)
        reasons["sample without any usable slide"] = sorted(set(belongs) - set(ids))
        reasons["feature file of no sample"] = sorted(set(folder.slides) - wanted)
    return [{"reason": why, "n": len(names), "first": names[:SHOWN]} for why, names in reasons.items() if names]


def _units(folder: FeatureFolder, table: Path | None, recipe: Recipe, strict: bool) -> tuple[list[str], list[Unit]]:
    """Samples and their units."""
    if table is None:
        return list(folder.slides), [Unit(n, (name,)) for n, name in enumerate(folder.slides)]
    belongs, _ = read_slides(table)
    absent = sorted({slide for slides in belongs.values() for slide in slides} - set(folder.slides))
    if strict and absent:
        raise InputError(f"{folder.source}: slide without a feature file: '{absent[0]}' ({len(absent)} in all)")
    there = {name: tuple(s for s in slides if s in folder.slides) for name, slides in sorted(belongs.items())}
    having = {name: slides for name, slides in there.items() if slides}
    if not having:
        raise InputError(f"{table}: none of its slides has features")
    if recipe.several == "bag":
        return list(having), [Unit(n, slides) for n, slides in enumerate(having.values())]
    return list(having), [Unit(n, (slide,)) for n, slides in enumerate(having.values()) for slide in slides]
