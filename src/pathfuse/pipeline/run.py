"""``run study.yaml``: features, experts, fusion, report; a step whose inputs have not changed is not done again."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedGroupKFold

import pathfuse
from pathfuse.errors import InputError
from pathfuse.experts.assemble import EXPERT, assemble
from pathfuse.experts.cohort import read_people
from pathfuse.experts.parts import Expert, Prepared, open_work, prepare
from pathfuse.experts.train import run_parts
from pathfuse.pipeline.config import StudyConfig
from pathfuse.runs.fuse import fuse
from pathfuse.runs.result import Result
from pathfuse.tables.study import read_study
from pathfuse.tables.write import write_file, write_json_file

Progress = Callable[[str, float], None]
EXPERTS, FUSED, SAMPLES, MANIFEST = "experts", "fused", "samples.csv", "manifest.json"
STEPS = {"features": 0.05, "experts": 0.75, "fuse": 1.0}
"""Share of the bar at which each step ends."""


def silent(message: str, share: float) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class StudyRun:
    """What a run did."""

    folder: Path
    trained: tuple[str, ...]
    """Experts that were trained (or finished) by this run."""
    unchanged: tuple[str, ...]
    """Experts of an earlier run."""
    result: Result | None
    """The fusion; None if it is of an earlier run."""
    manifest: dict[str, Any]


def run_study(
    config: StudyConfig, *, n_jobs: int | None = None, command: str | None = None, progress: Progress = silent
) -> StudyRun:
    """Runs a study, or the rest of one.

    Args:
        config: From ``read_config``.
        n_jobs: Models to train at a time, as in joblib; results do not depend on it.
        command: How the program was called, for the manifests.
        progress: Called as the work goes on.

    Raises:
        InputError: Tables, features or options are wrong.
    """
    start = time.perf_counter()
    _open(config)
    samples = _samples(config)
    progress("features: reading", 0.0)
    prepared = {name: prepare(_expert(config, name, samples)) for name in config.recipes()}
    fresh = {name: one for name, one in prepared.items() if _stamp(one.expert.out) != one.stamp}
    for one in fresh.values():
        open_work(one)
    low, high = STEPS["features"], STEPS["experts"]
    run_parts(
        list(fresh.values()), n_jobs, lambda said, share: progress(f"experts: {said}", low + (high - low) * share)
    )
    for one in fresh.values():
        assemble(one, command, force=True)
    result, stamp = _fuse(config, samples, list(prepared.values()), command, progress, n_jobs)
    manifest = {
        "kind": "study",
        "pathfuse": pathfuse.__version__,
        "command": command,
        "steps": {
            "experts": {name: "trained" if name in fresh else "unchanged" for name in prepared},
            "fuse": "unchanged" if result is None else "done",
        },
        "stamp": stamp,
        "left_out": {name: list(one.cohort.left_out) for name, one in prepared.items()},
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    write_json_file(manifest, config.out / MANIFEST)
    progress("done", 1.0)
    unchanged = tuple(name for name in prepared if name not in fresh)
    return StudyRun(config.out, tuple(fresh), unchanged, result, manifest)


def _open(config: StudyConfig) -> None:
    """Makes the output folder, or refuses one that is not of a study."""
    out = config.out
    if out.is_file():
        raise InputError(f"the output {out} is a file, not a folder")
    filled = out.is_dir() and any(not p.name.startswith(".") for p in out.iterdir())
    if filled and not ({EXPERTS, SAMPLES} & {p.name for p in out.iterdir()}):
        raise InputError(f"the output {out} holds something else than a study's results; choose another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the output {out} cannot be written: {error.strerror or error}") from error


def _samples(config: StudyConfig) -> Path:
    """The samples table that experts and fusion share; outer folds are made once for all encoders."""
    people = read_people(config.samples, config.slides, config.endpoint, config.time_edges)
    table, samples = people.samples.frame, people.samples
    if samples.roles is None and samples.folds is None:
        groups = np.unique(samples.patients.astype(str), return_inverse=True)[1]
        usable = people.targets.usable
        n = len(np.unique(groups[usable]))
        if n < config.folds:
            raise InputError(f"{samples.source}: {config.folds} outer folds need as many patients, and there are {n}")
        rows, fold = np.flatnonzero(usable), np.full(len(samples.ids), -1)
        strata = people.targets.strata()[rows]
        names, member, count = np.unique(strata, return_inverse=True, return_counts=True)
        strata = np.where(count[member] < config.folds, names[count.argmax()], names[member])
        splitter = StratifiedGroupKFold(config.folds, shuffle=True, random_state=config.seed)
        for k, (_, held) in enumerate(splitter.split(rows, strata, groups[rows])):
            fold[rows[held]] = k
        table = table.with_columns(pl.Series("fold", fold)).filter(pl.col("fold") >= 0)
    file = config.out / SAMPLES
    write_file(table, file, force=True)
    return file


def _expert(config: StudyConfig, name: str, samples: Path) -> Expert:
    encoder, recipe = config.recipes()[name]
    return Expert(name, config.features[encoder], samples, config.out / EXPERTS / name, recipe, config.slides,
                  config.endpoint, config.time_edges, config.strict)  # fmt: skip


def _stamp(folder: Path) -> str | None:
    """Of what an expert's folder was made; None if there is none."""
    try:
        content = json.loads((folder / EXPERT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("stamp") if isinstance(content, dict) else None


def _fuse(
    config: StudyConfig,
    samples: Path,
    prepared: list[Prepared],
    command: str | None,
    progress: Progress,
    n_jobs: int | None,
) -> tuple[Result | None, str]:
    """Fuses the experts, unless that was done with the same inputs and options."""
    options = config.fuse
    predictions = [one.expert.out / "predictions" / f"{one.expert.name}.parquet" for one in prepared]
    read = [hashlib.sha256(file.read_bytes()).hexdigest() for file in [samples, *predictions]]
    what = [pathfuse.__version__, config.seed, options.model_dump(), config.endpoint, config.time_edges, read]
    stamp = hashlib.sha256(json.dumps(what, default=str, sort_keys=True).encode()).hexdigest()
    place = config.out / FUSED
    try:
        known = json.loads((place / MANIFEST).read_text(encoding="utf-8")).get("study")
    except (OSError, ValueError, AttributeError):
        known = None
    if known == stamp and (place / "report.html").is_file():
        return None, stamp
    study = read_study(samples, [str(file) for file in predictions], None, config.endpoint, config.time_edges)
    if len(study.experts) < 2:
        raise InputError(f"a fusion needs two experts, and {config.samples} has one; name a second encoder or head")
    low = STEPS["experts"]
    result = fuse(
        study,
        options.method,
        config.seed,
        n_resamples=options.resamples,
        interval=options.interval,
        margin=options.margin,
        unit=options.unit,
        coverage=options.coverage,
        ablation=options.ablation,
        skip_unscored=options.skip_unscored,
        n_jobs=n_jobs,
        progress=lambda said, share: progress(f"fuse: {said}", low + (1 - low) * share),
    )
    result.manifest["command"] = command
    result.manifest["study"] = stamp
    result.save(place, force=True)
    return result, stamp
