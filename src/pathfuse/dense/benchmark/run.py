"""``dense run grid.yaml``: trains every cell of a benchmark, evaluates them together, fuses them, and
writes a leaderboard.

A cell whose inputs have not changed is not trained again; one that fails leaves its sentence and
the others go on. Several runs of one grid, on one machine or several, share its cells.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pathfuse
from pathfuse.dense.benchmark.cells import CellTask, CellWork, facts
from pathfuse.dense.benchmark.config import BenchmarkConfig, Cell
from pathfuse.dense.benchmark.dataset_page import render_datasets
from pathfuse.dense.benchmark.examples import Example, examples
from pathfuse.dense.benchmark.fusions import fusions_of
from pathfuse.dense.benchmark.page import render
from pathfuse.dense.benchmark.plan import KIND, check_images, plan
from pathfuse.dense.benchmark.sharing import CLAIMS, POLL_S, Outcome, Turn, share
from pathfuse.dense.benchmark.tables import Tables, evaluate_benchmark
from pathfuse.errors import InputError
from pathfuse.experts.schedule import check_devices
from pathfuse.files.claims import STALE_S, now_there
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.temporary import sweep_claims
from pathfuse.files.write import write_file, write_text_file
from pathfuse.progress import Progress, silent, within
from pathfuse.shard import Shard
from pathfuse.training.devices import DevicePool
from pathfuse.workers import temporary_folder

PAGE = "leaderboard.html"
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
    elsewhere: tuple[Cell, ...]
    """Cells that another run finished meanwhile."""
    failed: tuple[dict[str, Any], ...]
    """Per cell that failed: ``dataset, strategy, model, seed, sentence``."""
    notes: tuple[str, ...]
    """Claims that were taken over."""
    tables: Tables | None
    """None of a shard."""
    manifest: dict[str, Any]
    shard: Shard | None = None


@dataclass(frozen=True)
class _Trained:
    """The cells of a run once none is left to do."""

    before: set[Cell]
    outcomes: Mapping[Cell, Outcome]

    def cells(self, state: str) -> tuple[Cell, ...]:
        return tuple(
            cell
            for cell, outcome in self.outcomes.items()
            if outcome.state == state and cell not in self.before
        )

    @property
    def failed(self) -> dict[Cell, str]:
        found = {cell: one.sentence for cell, one in self.outcomes.items()}
        return {cell: sentence for cell, sentence in found.items() if sentence is not None}

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"{cell}: {one.note}" for cell, one in self.outcomes.items() if one.note)


def run_benchmark(
    config: BenchmarkConfig,
    *,
    n_jobs: int | None = None,
    devices: Sequence[str] = (),
    shard: Shard | None = None,
    command: str | None = None,
    progress: Progress = silent,
    stale_s: float = STALE_S,
    poll_s: float = POLL_S,
) -> BenchmarkRun:
    """Runs a benchmark, or the rest of one, or a share of its cells.

    Other runs of the same grid may be at work: a cell that one of them has claimed is left to it,
    and waited for.

    Args:
        config: From ``read_benchmark``.
        n_jobs: Cells at a time, as in joblib; results do not depend on it.
        devices: One process for each of them, for the recipes that leave the device to the run.
        shard: Train only these cells, without tables.
        command: How the program was called, for the manifest.
        progress: Called as the work goes on with what is done and the share of all that is.
        stale_s: A run that gave no sign of life for so long has ended.
        poll_s: How often cells are looked at that other runs are at.

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
    check_devices(devices)
    tasks = _share_of(plan(config), shard)
    check_images(tasks)
    OutputFolder(config.out).claim(KIND)
    sweep_claims(config.out / CLAIMS)
    turn = Turn(config.out / CLAIMS, now_there(config.out), stale_s, poll_s)
    trained = _train(config, tasks, turn, n_jobs, devices, progress)
    if shard is not None:
        return _finished(config, trained, None, {}, shard)
    done = {cell: task for cell, task in tasks.items() if task.done}
    if not done:
        raise InputError(
            f"no cell of the benchmark could be trained; the first, {_first(trained.failed)}"
        )
    notes = _fuse(config, done, turn, n_jobs, progress) if config.fuse else []
    progress("evaluating", STEPS["fuse"])
    ready = [one for one in fusions_of(config, done) if one.done] if config.fuse else []
    tables = evaluate_benchmark(list(done.values()), ready, config.resamples)
    manifest = {
        "kind": KIND,
        "pathfuse": pathfuse.__version__,
        "finished": True,
        "command": command,
        "resamples": config.resamples,
        "config": config.model_dump(mode="json"),
        "cells": _said(trained, done),
        "failed": _lost(trained),
        "warnings": [*trained.notes, *notes, *_warnings(done), *tables.warnings],
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    run = _finished(config, trained, tables, manifest, None)
    _write(run, tables, examples(list(done.values()), ready))
    if config.fuse and not config.keep_logits:
        for task in done.values():
            task.drop_logits()
    progress("done", 1.0)
    return run


def _share_of(tasks: dict[Cell, CellTask], shard: Shard | None) -> dict[Cell, CellTask]:
    """Cells of a shard, well mixed: models differ in size by a factor of fifty."""
    if shard is None:
        return tasks

    def mixed(cell: Cell) -> str:
        return hashlib.sha256(cell.place.as_posix().encode()).hexdigest()

    return {cell: tasks[cell] for cell in shard.among(sorted(tasks, key=mixed))}


def _train(
    config: BenchmarkConfig,
    tasks: Mapping[Cell, CellTask],
    turn: Turn,
    n_jobs: int | None,
    devices: Sequence[str],
    progress: Progress,
) -> _Trained:
    """Runs what is left to do, or waits for other runs that do."""
    works = _works(config, tasks)
    before = {cell for cell, task in tasks.items() if task.done}
    n, n_done = len(works), sum(work.ready for work in works.values())
    room = STEPS["cells"]
    progress(f"{n - n_done} cells to train, {n_done} there already", room * n_done / max(1, n))
    shown = within(progress, 0.0, room)
    n_ended = 0

    def ended(cell: Cell, outcome: Outcome) -> None:
        nonlocal n_ended
        n_ended += 1
        if cell in before and outcome.state == "elsewhere":
            return
        words = {"done": "done", "elsewhere": "done by another run"}
        what = words.get(outcome.state, f"failed, {outcome.sentence}")
        shown(f"{cell}: {what}", n_ended / n)

    with _pool(devices) as pool:
        found = share(works, turn, n_jobs=n_jobs, devices=pool, on_end=ended, progress=shown)
    return _Trained(before, found)


@contextmanager
def _pool(devices: Sequence[str]) -> Iterator[DevicePool | None]:
    if not devices:
        yield None
        return
    with temporary_folder() as place:
        yield DevicePool(tuple(devices), place)


def _works(config: BenchmarkConfig, tasks: Mapping[Cell, CellTask]) -> dict[Cell, CellWork]:
    """Cells as pieces of work, with logits where a fusion reads them or all may stay."""
    until: dict[Cell, tuple[OutputFolder, str]] = {}
    if config.fuse and not config.keep_logits:
        for fusion in fusions_of(config, tasks):
            stamp = fusion.stamp
            until |= {task.cell: (fusion.output, stamp) for task in fusion.members}
    return {
        cell: CellWork(task, config.fuse and (config.keep_logits or cell in until), until.get(cell))
        for cell, task in tasks.items()
    }


def _finished(
    config: BenchmarkConfig,
    trained: _Trained,
    tables: Tables | None,
    manifest: dict[str, Any],
    shard: Shard | None,
) -> BenchmarkRun:
    return BenchmarkRun(
        config.out,
        trained.cells("done"),
        tuple(cell for cell in trained.outcomes if cell in trained.before),
        trained.cells("elsewhere"),
        tuple(_lost(trained)),
        trained.notes,
        tables,
        manifest,
        shard,
    )


def _lost(trained: _Trained) -> list[dict[str, Any]]:
    return [{**asdict(cell), "sentence": why} for cell, why in trained.failed.items()]


def _said(trained: _Trained, done: Mapping[Cell, CellTask]) -> dict[str, str]:
    """Per cell by whom it was trained."""
    elsewhere = set(trained.cells("elsewhere"))

    def by(cell: Cell) -> str:
        if cell in trained.before:
            return "unchanged"
        return "trained by another run" if cell in elsewhere else "trained"

    return {str(cell.place): by(cell) for cell in done}


def _write(
    run: BenchmarkRun, tables: Tables, shown: Mapping[tuple[str, str], Sequence[Example]]
) -> None:
    """Tables, pages and manifest."""
    for name, table in tables.files.items():
        write_file(table, run.folder / name, force=True)
    pages = {
        PAGE: render(tables, run.failed, run.manifest),
        **render_datasets(tables, run.failed, run.manifest, shown, PAGE),
    }
    for name, text in pages.items():
        write_text_file(text, run.folder / name, force=True)
    OutputFolder(run.folder).finish(run.manifest)


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
    config: BenchmarkConfig,
    done: Mapping[Cell, CellTask],
    turn: Turn,
    n_jobs: int | None,
    progress: Progress,
) -> list[str]:
    """Fuses the models of each data set, strategy and seed.

    Returns what could not be fused, and why.
    """
    fusions = {str(one): one for one in fusions_of(config, done)}
    shown = within(progress, STEPS["cells"], STEPS["fuse"], "fuse: ")
    found = share(fusions, turn, n_jobs=n_jobs, progress=shown)
    return sorted(
        f"the models of {name} were not fused: {outcome.sentence}"
        for name, outcome in found.items()
        if outcome.sentence is not None
    )
