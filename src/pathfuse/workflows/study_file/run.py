"""``run study.yaml``: features, experts, fusion, report.

A step whose inputs have not changed is not done again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

import pathfuse
from pathfuse.errors import InputError
from pathfuse.experts.assemble import assemble
from pathfuse.experts.heads.registry import default_heads
from pathfuse.experts.layout import EXPERT, HISTORY
from pathfuse.experts.parts import ExpertSetup, Prepared, open_work, prepare
from pathfuse.experts.schedule import check_devices
from pathfuse.experts.shards import first_to_assemble, missing
from pathfuse.experts.train import run_parts
from pathfuse.experts.training_log import check_log_dir
from pathfuse.features.opened import OpenedFeatures
from pathfuse.files.at_work import claim_output
from pathfuse.files.digests import digest_of, file_digest
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.tables import read_table
from pathfuse.files.write import check_out
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.fusion.registry import all_names
from pathfuse.progress import Progress, shown_here, within
from pathfuse.shard import Shard
from pathfuse.study.study import read_study
from pathfuse.workflows.fuse import fuse
from pathfuse.workflows.result import Result
from pathfuse.workflows.steps.costs import recorded_costs
from pathfuse.workflows.steps.evaluating import check_options
from pathfuse.workflows.study_file.auto_heads import plan_line
from pathfuse.workflows.study_file.config import Planned, StudyConfig
from pathfuse.workflows.study_file.expression import as_manifest
from pathfuse.workflows.study_file.layout import (
    ENCODERS_OF,
    EXPERTS,
    FUSED,
    KIND,
    MANIFEST,
    SAMPLES,
)
from pathfuse.workflows.study_file.samples_table import SharedSamples, write_samples

ASSEMBLING = ".assembling"
"""Stands in the output while a shard puts the results together."""
STEPS = {"features": 0.05, "experts": 0.75, "fuse": 1.0}
"""Share of the bar at which each step ends."""


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


@dataclass(frozen=True)
class EarlierSteps:
    """What the manifest and the report of the fusion say of the steps before it."""

    command: str | None
    left_out: dict[str, list[dict[str, Any]]]
    """By expert, or ``samples``."""
    warnings: list[str]
    understood: tuple[str, ...] = ()
    """How the samples table was understood, a sentence each."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was left out, each line with its ``expert``."""
        return [{"expert": n, **item} for n, items in self.left_out.items() for item in items]


@outputs_claimed()
def run_study(
    config: StudyConfig,
    *,
    n_jobs: int | None = None,
    command: str | None = None,
    devices: Sequence[str] = (),
    shard: Shard | None = None,
    log_dir: Path | None = None,
    progress: Progress | None = None,
) -> StudyRun | None:
    """Runs a study, or the rest of one.

    Args:
        config: From ``read_config``.
        n_jobs: Models to train at a time, as in joblib; results do not depend on it.
        command: How the program was called, for the manifests.
        devices: One process for each of them; none: what the recipes say.
        shard: Train these models alone. The shard after which none is missing goes on.
        log_dir: Where every epoch is logged as it ends; None: nowhere.
        progress: Called as the work goes on; default: a bar in a notebook, and nothing elsewhere.

    Returns:
        What was done; None as long as models of other shards are missing.

    Raises:
        InputError: Tables, features or options are wrong.
        WorkerError: The process of a model was ended, twice; the others are kept.
    """
    check_devices(devices)
    start, progress = time.perf_counter(), progress or shown_here()
    _check(config, shard)
    logs = check_log_dir(log_dir, config.out)
    progress("features: reading", 0.0)
    ready = _read(config, logs)
    if ready.granularity is not None:
        progress(plan_line(ready.granularity), STEPS["features"])
    fresh = ready.fresh()
    if not _train(ready.config, list(fresh.values()), n_jobs, devices, shard, progress):
        return None
    with first_to_assemble(config.out / ASSEMBLING, shard) as first:
        if not first or missing(list(fresh.values())):  # another shard was quicker
            return None
        done = _finish(ready, fresh, n_jobs, command, progress)
        done.manifest["wall_time_s"] = round(time.perf_counter() - start, 3)
        OutputFolder(config.out).finish(done.manifest)
    progress("done", 1.0)
    return done


@dataclass(frozen=True)
class ReadStudy:
    """A study whose tables and features have been read."""

    config: StudyConfig
    """With the time edges that experts and fusion share."""
    samples: Path
    planned: dict[str, Planned]
    """Every expert by name."""
    prepared: dict[str, Prepared]
    """The same with their inputs."""
    shared: SharedSamples
    """The samples table that experts and fusion share."""
    granularity: dict[str, str] | None = None
    """What each encoder's files hold, where ``heads: auto`` asks for it."""

    def fresh(self) -> dict[str, Prepared]:
        """Experts that an earlier run has not made of the same inputs."""
        return {
            name: one
            for name, one in self.prepared.items()
            if not OutputFolder(one.expert.out, EXPERT).up_to_date(one.stamp)
        }


def _read(config: StudyConfig, logs: Path | None) -> ReadStudy:
    """Reads tables and features, every encoder once, whatever is planned.

    Raises:
        InputError: Something is wrong with them; nothing is left behind.
    """
    fresh_folder = not config.out.exists()
    shared = write_samples(config)
    samples, edges = shared.file, shared.edges
    config = config.model_copy(update={"time_edges": edges})
    opened = OpenedFeatures(fingerprint=True)
    try:
        granularity = _granularity(config, opened)
        planned = config.planned(granularity)
        prepared = {
            name: prepare(
                replace(_expert(config, name, planned[name], samples), log_dir=logs), opened
            )
            for name in planned
        }
    except InputError:
        if fresh_folder:
            OutputFolder(config.out).discard(only={SAMPLES, MANIFEST})
        raise
    return ReadStudy(config, samples, planned, prepared, shared, granularity)


def _granularity(config: StudyConfig, opened: OpenedFeatures) -> dict[str, str] | None:
    """What each encoder's files hold, if the plan depends on it.

    Raises:
        InputError: Features cannot be read.
    """
    if not config.has_auto_heads:
        return None
    return {
        name: opened.folder(place, strict=config.strict).granularity
        for name, place in config.features.items()
    }


def _finish(
    ready: ReadStudy,
    fresh: dict[str, Prepared],
    n_jobs: int | None,
    command: str | None,
    progress: Progress,
) -> StudyRun:
    """What follows on the training: experts are put together and fused."""
    for one in fresh.values():
        assemble(one, command, force=True)
    prepared, config = ready.prepared, ready.config
    earlier = _earlier(prepared, ready.shared, command)
    references = {name: one.references for name, one in ready.planned.items() if one.references}
    result, stamp = _fuse(
        config, ready.samples, list(prepared.values()), references, earlier, progress, n_jobs
    )
    manifest = _manifest(prepared, fresh, earlier, stamp, fused=result is not None)
    manifest["expression"] = as_manifest(config.expression)
    manifest["auto_heads"] = {
        encoder: default_heads(kind) for encoder, kind in (ready.granularity or {}).items()
    }
    manifest[ENCODERS_OF] = {name: list(one.encoders) for name, one in ready.planned.items()}
    unchanged = tuple(name for name in prepared if name not in fresh)
    return StudyRun(config.out, tuple(fresh), unchanged, result, manifest)


def _train(
    config: StudyConfig,
    fresh: list[Prepared],
    n_jobs: int | None,
    devices: Sequence[str],
    shard: Shard | None,
    progress: Progress,
) -> bool:
    """Trains the experts whose inputs have changed; whether no model is missing afterwards."""
    for place in [one.expert.out for one in fresh] + ([config.out / FUSED] if fresh else []):
        check_out(place, force=True)
    for one in fresh:
        open_work(one)
    low, high = STEPS["features"], STEPS["experts"]
    run_parts(fresh, n_jobs, within(progress, low, high, "experts: "), devices, shard)
    return not missing(fresh)


def _earlier(
    prepared: dict[str, Prepared], shared: SharedSamples, command: str | None
) -> EarlierSteps:
    """What the steps before the fusion left out and warn of.

    Args:
        prepared: The experts by name.
        shared: The samples table and its gaps.
        command: How the program was called.
    """
    left_out = {"samples": list(shared.left_out)} if shared.left_out else {}
    left_out |= {name: list(one.cohort.left_out) for name, one in prepared.items()}
    warnings = [sentence for one in prepared.values() for sentence in one.cohort.warnings]
    return EarlierSteps(command, left_out, warnings, shared.understood)


def _manifest(
    prepared: dict[str, Prepared],
    fresh: dict[str, Prepared],
    earlier: EarlierSteps,
    stamp: str,
    *,
    fused: bool,
) -> dict[str, Any]:
    """``manifest.json`` of the study, without the time."""
    return {
        "kind": KIND,
        "pathfuse": pathfuse.__version__,
        "finished": True,
        "command": earlier.command,
        "steps": {
            "experts": {name: "trained" if name in fresh else "unchanged" for name in prepared},
            "fuse": "done" if fused else "unchanged",
        },
        "stamp": stamp,
        "left_out": earlier.left_out,
        "warnings": earlier.warnings,
    }


def _check(config: StudyConfig, shard: Shard | None) -> None:
    """Refuses what would otherwise fail after hours of training.

    Raises:
        InputError: A path, a name or an option of the fusion is wrong, or the output folder
            cannot hold a study.
    """
    names = list(config.planned())
    missing = next((path for path in config.feature_files if not path.exists()), None)
    if missing is not None:
        raise InputError(f"{missing} does not exist")
    if len(names) < 2:
        raise InputError(
            f"a fusion needs two experts, and '{names[0]}' is the only one; add an encoder or a head"
        )
    taken = next((name for name in names if name in {*all_names(), NULL_MODEL, "fused"}), None)
    if taken is not None:
        raise InputError(f"the name '{taken}' belongs to a method; give the encoder another one")
    check_options(config.fuse_options())
    claim_output(config.out, None if shard is None else shard.share)
    OutputFolder(config.out).check(KIND, "a study", config.reads)


def _expert(config: StudyConfig, name: str, one: Planned, samples: Path) -> ExpertSetup:
    return ExpertSetup(name, one.features, samples, config.out / EXPERTS / name, one.recipe, config.slides,
                  config.endpoint, config.time_edges, config.strict, one.teachers,
                  config.allow_partial, names=config.reading)  # fmt: skip


def _fuse(
    config: StudyConfig,
    samples: Path,
    prepared: list[Prepared],
    references: Mapping[str, Sequence[str]],
    earlier: EarlierSteps,
    progress: Progress,
    n_jobs: int | None,
) -> tuple[Result | None, str]:
    """Fuses the experts, unless that was done with the same inputs and options."""
    options = config.fuse_options()
    predictions = [
        one.expert.out / "predictions" / f"{one.expert.name}.parquet" for one in prepared
    ]
    read = [file_digest(file) for file in [samples, *predictions]]
    chosen = [options.named(), config.endpoint, config.time_edges, references, earlier.lines]
    what = [pathfuse.__version__, *chosen, read]
    stamp = digest_of(what)
    place = config.out / FUSED
    if OutputFolder(place, MANIFEST, "study", needs=("report.html",)).up_to_date(stamp):
        return None, stamp
    check_out(place, force=True)
    study = read_study(
        samples, [str(file) for file in predictions], None, config.endpoint, config.time_edges
    )
    result = fuse(
        study,
        **options.named(),
        n_jobs=n_jobs,
        costs=recorded_costs(study),
        references=references,
        progress=within(progress, STEPS["experts"], 1.0, "fuse: "),
    )
    result.manifest["command"] = earlier.command
    result.manifest["left_out"] += earlier.lines
    result.manifest["warnings"] += earlier.warnings
    result.manifest["understood"] = [*earlier.understood, *result.manifest["understood"]]
    if config.expression is not None:
        result.manifest["notes"].append(config.expression.in_words)
    result.manifest["study"] = stamp
    verdicts = against_reference(result, references)
    result.manifest["references"] = verdicts
    for one in verdicts:
        result.manifest["notes" if one["better"] else "warnings"].append(one["verdict"])
    result.histories.update(histories_of(prepared))
    result.save(place, force=True)
    return result, stamp


def histories_of(prepared: list[Prepared]) -> dict[str, pl.DataFrame]:
    """``history.csv`` of every expert, also of those that an earlier run trained."""
    files = {one.expert.name: one.expert.out / HISTORY for one in prepared}
    losses = pl.col("train_loss", "validation_loss").cast(pl.Float64, strict=False)
    return {
        name: read_table(file).frame.select(
            "part", pl.col("epoch").cast(pl.Int64), losses, pl.col("chosen") == "true"
        )
        for name, file in files.items()
        if file.is_file()
    }


def against_reference(
    result: Result, references: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Whether each network beats the plain experts on the same features, on the judged rows.

    Args:
        result: The fusion of all experts, compared with ``references``.
        references: Name of an expert to those that it has to beat.

    Returns:
        Per pair the difference of the negative log-likelihoods (the mean over labels or targets;
        negative: the network is better) with its interval, and a sentence.
    """
    table = result.comparisons.filter(pl.col("metric") == "nll", pl.col("output") == "all")
    found = []
    pairs = [(name, other) for name, others in references.items() for other in others]
    for name, other in pairs:
        pair = table.filter(
            pl.col("method") == name,
            pl.col("reference") == other,
            pl.col("difference").is_not_null(),
        )
        if not pair.height:
            continue
        row = pair.row(0, named=True)
        better = row["difference"] < 0
        known = row["ci_low"] is not None
        span = (
            f", 95 % {row['ci_low']:+.4f} to {row['ci_high']:+.4f}"
            if known
            else ", without an interval"
        )
        chance = (
            "" if known and (row["ci_high"] < 0 or row["ci_low"] > 0) else "; this may be chance"
        )
        verb = "beats" if better else "does not beat"
        verdict = (
            f"{name} {verb} {other} on the same features"
            f"{'' if better else ' and is not recommended'} (NLL {row['difference']:+.4f}{span}{chance}"
            f"{_judged_on(result, name)})"
        )
        keep = ("difference", "ci_low", "ci_high")
        found.append({"expert": name, "reference": other, "better": better, "verdict": verdict}
                     | {key: row[key] for key in keep})  # fmt: skip
    return found


def _judged_on(result: Result, name: str) -> str:
    """How many samples and patients an expert's figures are of."""
    own = result.metrics.filter(pl.col("method") == name, pl.col("metric") == "nll")
    whole = own.filter(pl.col("output") == "all")
    row = (whole if whole.height else own).row(0, named=True)
    return f"; on {row['n']} samples of {row['n_patients']} patients"
