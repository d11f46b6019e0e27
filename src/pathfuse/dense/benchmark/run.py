"""``dense run grid.yaml``: trains every cell of a benchmark, evaluates them together, fuses them, and
writes a leaderboard.

A cell whose inputs have not changed is not trained again; one that fails leaves its sentence and
the others go on.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from joblib import delayed

import pathfuse
from pathfuse.dense.benchmark.cells import (
    CellTask,
    facts,
    lost_cell,
    reason,
    run_alone,
    run_task,
    task_of,
)
from pathfuse.dense.benchmark.config import BenchmarkConfig, BenchmarkModel, Cell
from pathfuse.dense.benchmark.fusions import FusionTask, fuse_task, fusions_of
from pathfuse.dense.benchmark.page import render
from pathfuse.dense.benchmark.tables import Tables, evaluate_benchmark
from pathfuse.dense.data.items import check_item
from pathfuse.dense.data.records import Split
from pathfuse.dense.data.split_files import read_split
from pathfuse.dense.encoders.cards import EncoderCard, check_size
from pathfuse.dense.encoders.load import check_encoder
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.errors import InputError, PathfuseError
from pathfuse.files.digests import state_of
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.write import write_file, write_text_file
from pathfuse.progress import Progress, silent, within
from pathfuse.training.threads import one_thread
from pathfuse.workers import file_to_file, runs_here

CELLS, LEADERBOARD, CLASSES, COMPARISONS, PAGE, KIND = (
    "cells", "leaderboard.csv", "classes.csv", "comparisons.csv", "leaderboard.html", "dense_grid",
)  # fmt: skip
STEPS = {"cells": 0.9, "fuse": 0.97, "evaluate": 1.0}
"""Share of the bar at which each step ends."""


@dataclass(frozen=True)
class BenchmarkRun:
    """What a run did."""

    folder: Path
    trained: tuple[Cell, ...]
    """Cells that this run finished."""
    unchanged: tuple[Cell, ...]
    """Cells of an earlier run."""
    failed: tuple[dict[str, Any], ...]
    """Per cell that failed: ``dataset, strategy, model, seed, sentence``."""
    tables: Tables
    manifest: dict[str, Any]


def run_benchmark(
    config: BenchmarkConfig,
    *,
    n_jobs: int | None = None,
    command: str | None = None,
    progress: Progress = silent,
) -> BenchmarkRun:
    """Runs a benchmark, or the rest of one.

    Args:
        config: From ``read_benchmark``.
        n_jobs: Cells at a time, as in joblib; results do not depend on it.
        command: How the program was called, for the manifest.
        progress: Called as the work goes on with what is done and the share of all that is.

    Returns:
        What was done. The folder holds ``leaderboard.csv`` (long: dataset, strategy, model, kind,
        seed, metric, value, ci_low, ci_high and what the cells cost), ``comparisons.csv`` (paired
        differences), ``leaderboard.html``, ``manifest.json`` and a folder per cell.

    Raises:
        InputError: A path, name, recipe or split is wrong; nothing has run then. No cell could be
            trained.
    """
    start = time.perf_counter()
    progress("reading", 0.0)
    if n_jobs is not None and (n_jobs == 0 or n_jobs < -1):
        raise InputError(f"--jobs {n_jobs}: give a number from 1, or -1 for one per core")
    tasks = plan(config)
    _check_images(tasks)
    OutputFolder(config.out).claim(KIND)
    before = {cell for cell, task in tasks.items() if task.done}
    failed = _run_cells(tasks, _with_logits(config, tasks), n_jobs, progress)
    done = {cell: task for cell, task in tasks.items() if task.done}
    if not done:
        raise InputError(f"no cell of the benchmark could be trained; the first, {_first(failed)}")
    notes = _fuse(config, done, n_jobs, progress) if config.fuse else []
    progress("evaluating", STEPS["fuse"])
    ready = [one for one in fusions_of(config, done) if one.done] if config.fuse else []
    tables = evaluate_benchmark(list(done.values()), ready, config.resamples)
    if config.fuse and not config.keep_logits:
        for task in done.values():
            task.drop_logits()
    lost = tuple({**asdict(cell), "sentence": sentence} for cell, sentence in failed.items())
    trained = tuple(cell for cell in done if cell not in before)
    manifest = {
        "kind": KIND,
        "pathfuse": pathfuse.__version__,
        "finished": True,
        "command": command,
        "resamples": config.resamples,
        "config": config.model_dump(mode="json"),
        "cells": {str(cell.place): "unchanged" if cell in before else "trained" for cell in done},
        "failed": list(lost),
        "warnings": [*notes, *_warnings(done), *tables.warnings],
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    run = BenchmarkRun(config.out, trained, tuple(before), lost, tables, manifest)
    _write(run)
    progress("done", 1.0)
    return run


def _with_logits(config: BenchmarkConfig, tasks: Mapping[Cell, CellTask]) -> set[Cell]:
    """Cells whose logits must be there: those that a fusion will read, or all that may stay."""
    if not config.fuse:
        return set()
    if config.keep_logits:
        return set(tasks)
    fusions = fusions_of(config, tasks)
    return {task.cell for one in fusions if not one.done for task in one.members}


def _write(run: BenchmarkRun) -> None:
    """Tables, page and manifest."""
    write_file(run.tables.leaderboard, run.folder / LEADERBOARD, force=True)
    write_file(run.tables.classes, run.folder / CLASSES, force=True)
    write_file(run.tables.comparisons, run.folder / COMPARISONS, force=True)
    page = render(run.tables.leaderboard, run.tables.comparisons, run.failed, run.manifest)
    write_text_file(page, run.folder / PAGE, force=True)
    OutputFolder(run.folder).finish(run.manifest)


def plan(config: BenchmarkConfig) -> dict[Cell, CellTask]:
    """Every cell with its inputs, checked.

    Raises:
        InputError: What would otherwise fail after hours of training.
    """
    cards = {name: _card(name, model) for name, model in config.models.items()}
    _check_out(config)
    recipes = {cell: _recipe(config, cell, cards[cell.model]) for cell in config.cells()}
    splits = {name: _split(config, name, data.split) for name, data in config.datasets.items()}
    files = {name: _model_files(one.encoder, one.weights) for name, one in config.models.items()}
    of_data = {name: _data_digest(split) for name, split in splits.items()}
    return {
        cell: task_of(
            cell,
            config.models[cell.model],
            splits[cell.dataset],
            recipes[cell],
            config.out / CELLS / cell.place,
            [files[cell.model], of_data[cell.dataset]],
        )
        for cell in config.cells()
    }


def _check_images(tasks: Mapping[Cell, CellTask]) -> None:
    """Opens every image and mask of the data sets that still have something to do."""
    open_splits = {task.cell.dataset: task.split for task in tasks.values() if not task.done}
    for name, split in open_splits.items():
        for item in split.items:
            try:
                check_item(item, split)
            except InputError as error:
                raise InputError(f"the data set '{name}': {error}") from error


def _card(name: str, model: BenchmarkModel) -> EncoderCard:
    if model.weights is not None and not model.weights.exists():
        raise InputError(f"the weights of the model '{name}', {model.weights}, do not exist")
    try:
        return check_encoder(model.encoder, model.revision)
    except InputError as error:
        raise InputError(f"the model '{name}': {error}") from error


def _check_out(config: BenchmarkConfig) -> None:
    OutputFolder(config.out).check(KIND, "a benchmark", config.reads)


def _recipe(config: BenchmarkConfig, cell: Cell, card: EncoderCard) -> DenseRecipe:
    try:
        recipe = DenseRecipe.of(**config.options(cell, card.patch))
        check_size(card, recipe.size_px)
    except InputError as error:
        raise InputError(
            f"strategy '{cell.strategy}' on data set '{cell.dataset}', model '{cell.model}': {error}"
        ) from error
    return recipe


def _split(config: BenchmarkConfig, name: str, place: Path) -> Split:
    if not place.exists():
        raise InputError(f"the data set '{name}' has no split at {place}")
    split = read_split(place)
    for part, items in (("training", split.train), ("test", split.test)):
        if not any(item.mask is not None for item in items):
            raise InputError(f"the data set '{name}' has no {part} image with a mask ({place})")
    if config.fuse and not any(item.mask is not None for item in split.val):
        raise InputError(
            f"the data set '{name}' has no validation image to fit a fusion on; say 'fuse: false'"
        )
    ids = [item.image_id for item in (*split.val, *split.test)]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise InputError(
            f"the data set '{name}' has two images called '{twice}' among validation and test"
        )
    missing = next(
        (
            path
            for item in (*split.train, *split.val, *split.test)
            for path in (item.image, item.mask)
            if path is not None and not path.is_file()
        ),
        None,
    )
    if missing is not None:
        raise InputError(f"the data set '{name}' names {missing}, which does not exist")
    return split


def _model_files(encoder: str, weights: Path | None) -> Any:
    places = [] if weights is None else [weights]
    if Path(encoder).is_absolute():
        places.append(Path(encoder))
    return state_of(places)


def _data_digest(split: Split) -> Any:
    items = [*split.train, *split.val, *split.test]
    roles = [len(split.train), len(split.val), len(split.test)]
    files = state_of(
        path for item in items for path in (item.image, item.mask, item.instances) if path
    )
    return [
        split.n_classes,
        split.class_names,
        split.ignore,
        roles,
        [asdict(item) for item in items],
        files,
    ]


def _run_cells(
    tasks: Mapping[Cell, CellTask], with_logits: set[Cell], n_jobs: int | None, progress: Progress
) -> dict[Cell, str]:
    """Runs what is left to do; returns why cells failed."""
    todo = [
        task
        for cell, task in tasks.items()
        if not (task.predicted if cell in with_logits else task.done)
    ]
    done, failed, n = len(tasks) - len(todo), dict[Cell, str](), len(tasks)
    room = STEPS["cells"]
    progress(f"{len(todo)} cells to train, {done} there already", room * done / n)
    if runs_here(n_jobs):
        for task in todo:
            own = within(progress, room * done / n, room * (done + 1) / n, f"{task.cell}: ")
            with one_thread():
                sentence = run_task(task, task.cell in with_logits, own)
            done = _finished(task.cell, sentence, failed, done, n, progress)
        return failed
    tasks_left = (delayed(run_alone)(task, task.cell in with_logits) for task in todo)
    for cell, sentence in file_to_file(n_jobs, tasks_left, lost_cell):
        done = _finished(cell, sentence, failed, done, n, progress)
    return {cell: failed[cell] for cell in tasks if cell in failed}


def _finished(
    cell: Cell, sentence: str | None, failed: dict[Cell, str], done: int, n: int, progress: Progress
) -> int:
    if sentence is not None:
        failed[cell] = sentence
    progress(
        f"{cell}: {'done' if sentence is None else 'failed, ' + sentence}",
        STEPS["cells"] * (done + 1) / n,
    )
    return done + 1


def _warnings(done: Mapping[Cell, CellTask]) -> list[str]:
    """Warnings about the trainings."""
    return [
        f"{cell}: {warning}"
        for cell, task in done.items()
        for warning in facts(task).get("warnings", [])
    ]


def _first(failed: Mapping[Cell, str]) -> str:
    cell, sentence = next(iter(failed.items()))
    return f"{cell}: {sentence}"


def _fuse(
    config: BenchmarkConfig, done: Mapping[Cell, CellTask], n_jobs: int | None, progress: Progress
) -> list[str]:
    """Fuses the models of each data set, strategy and seed.

    Returns what could not be fused, and why.
    """
    fusions = [one for one in fusions_of(config, done) if not one.done]
    notes = []
    shown = within(progress, STEPS["cells"], STEPS["fuse"], "fuse: ")
    jobs = (delayed(_fuse_alone)(one) for one in fusions)
    work = file_to_file(n_jobs or 1, jobs, lambda why, one: (str(one), why))
    for k, (name, sentence) in enumerate(work):
        shown(name, (k + 1) / len(fusions))
        if sentence is not None:
            notes.append(f"the models of {name} were not fused: {sentence}")
    return sorted(notes)


def _fuse_alone(fusion: FusionTask) -> tuple[str, str | None]:
    try:
        with one_thread():
            fuse_task(fusion)
    except (PathfuseError, RuntimeError, MemoryError, OSError, ValueError) as error:
        return str(fusion), reason(error)
    return str(fusion), None
