"""``experts train``: an expert from features, one model per part, and with a fusion of features
its reference.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from joblib import delayed

from pathfuse.costs import Cost, measured
from pathfuse.errors import WorkerError
from pathfuse.experts.apply import CLUSTERS, apply
from pathfuse.experts.assemble import Extra, assemble
from pathfuse.experts.attending import NOWHERE, attend_held_out, check_attends
from pathfuse.experts.cohort import Unit
from pathfuse.experts.epochs import PartShares, append_to, epoch_file, following
from pathfuse.experts.fit import FittedPart, checkpoint_of, fit_part
from pathfuse.experts.fitted import save_fitted
from pathfuse.experts.folds import FoldPart
from pathfuse.experts.layout import EXPERT
from pathfuse.experts.origin import Origins
from pathfuse.experts.parts import (
    CHECKPOINT,
    HISTORY,
    MODEL,
    OUTPUTS,
    ExpertSetup,
    Prepared,
    open_work,
    prepare,
)  # fmt: skip
from pathfuse.experts.reference import compare_with_reference, reference_of
from pathfuse.experts.schedule import Lane, check_devices, lanes
from pathfuse.experts.shards import first_to_assemble, missing, parts_of
from pathfuse.experts.training_log import check_log_dir, logged
from pathfuse.files.at_work import claim_output
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.temporary import PARTIAL, temporary_name
from pathfuse.files.write import check_out
from pathfuse.progress import OnEpoch, Progress, silent, within
from pathfuse.shard import Shard
from pathfuse.training.device import on_device
from pathfuse.training.devices import DevicePool
from pathfuse.training.threads import one_thread, warm_up
from pathfuse.workers import file_to_file, runs_here

ATTENTION, ASSEMBLING = "attention", ".assembling"


@outputs_claimed()
def train_expert(
    expert: ExpertSetup,
    *,
    n_jobs: int | None = None,
    force: bool = False,
    attention: bool = False,
    um_per_px: float | None = None,
    origins: Origins = NOWHERE,
    command: str | None = None,
    devices: Sequence[str] = (),
    shard: Shard | None = None,
    progress: Progress = silent,
) -> Path | None:
    """Cross-fits an expert and writes its folder.

    A fusion of features with its reference, ``pca_ridge``.

    A run that was stopped goes on: finished parts are kept, and a part in the middle resumes after
    its last epoch.

    Args:
        expert: Features, samples, recipe and output.
        n_jobs: Parts at a time, as in joblib; results do not depend on it.
        force: Overwrite the output.
        attention: Write ``attention/``: every tile's attention, by the models that did not see the
            sample.
        um_per_px: Micrometres per level-0 pixel, where coordinates are in micrometres.
        origins: Where QuPath's image of a slide begins.
        command: How the program was called, for the manifest.
        devices: One process for each of them; none: what the recipe says.
        shard: Train these parts alone. The folder is written by the shard after which no part is
            missing.
        progress: Called as epochs and parts end.

    Returns:
        The folder; None as long as parts of other shards are missing.

    Raises:
        InputError: Tables or features are wrong, or the output exists.
        WorkerError: The process of a model was ended, twice; the others are kept.
    """
    check_devices(devices)
    claim_output(expert.out, None if shard is None else shard.share)
    check_out(expert.out, force or shard is not None, expert.read)
    expert = replace(expert, log_dir=check_log_dir(expert.log_dir, expert.out))
    if attention:
        check_attends(expert.recipe)
    progress(f"{expert.name}: reading", 0.0)
    prepared = prepare(expert)
    if shard is not None:
        if OutputFolder(expert.out, EXPERT).up_to_date(prepared.stamp):
            return expert.out
        check_out(expert.out, force, expert.read)
    reference = reference_of(prepared) if expert.recipe.facts.fuses else None
    together = [prepared] if reference is None else [prepared, reference]
    for one in together:
        open_work(one)
    run_parts(together, n_jobs, progress, devices, shard)
    if missing(together):
        return None
    with first_to_assemble(expert.work / ASSEMBLING, shard) as first:
        if not first or missing(together):  # another shard was quicker
            return None
        extras: list[Extra] = []
        if attention:
            extras.append(
                lambda folder: {
                    "notes": attend_held_out(prepared, folder / ATTENTION, um_per_px, origins)
                }
            )
        if reference is not None:
            extras.append(
                lambda folder: {"reference": compare_with_reference(prepared, reference, folder)}
            )
        done = assemble(prepared, command, force, extras)
    if reference is not None:
        shutil.rmtree(reference.expert.work, ignore_errors=True)
    return done


def run_parts(
    experts: Sequence[Prepared],
    n_jobs: int | None,
    progress: Progress = silent,
    devices: Sequence[str] = (),
    shard: Shard | None = None,
) -> None:
    """Trains all unfinished parts of some experts, in parallel over experts and parts.

    Parts that come after others wait until all others of all experts are done. Of several shards
    the one that finds them done trains all that come after.

    Args:
        experts: Whose work folders are open.
        n_jobs: Parts at a time, as in joblib; results do not depend on it.
        progress: Called as epochs and parts end.
        devices: One process for each of them; see ``lanes``.
        shard: Only these parts, and those that come after all.

    Raises:
        WorkerError: The process of a part was ended, twice; the other parts are kept.
    """
    first = [(one, part) for one, part in parts_of(experts, shard) if not part.after]
    later = [(one, part) for one, part in parts_of(experts) if part.after]
    total = len(first) + len(later)
    done = sum(one.done(part) for one, part in (*first, *later))
    progress(f"{total - done} models to train, {done} there already", done / max(total, 1))
    for stage in (first, later):
        if stage is later and missing(experts, later=False):
            return  # another shard will train them
        todo = [(one, part) for one, part in stage if not one.done(part)]
        lost: list[str] = []
        for lane in lanes(todo, n_jobs, devices):
            share = (done / total, (done + len(lane.parts)) / total)
            lost += _run_lane(lane, within(progress, *share))
            done += len(lane.parts)
        _raise_lost(lost)


def _raise_lost(lost: Sequence[str]) -> None:
    """Says what could not be trained, once all else is.

    Raises:
        WorkerError: There is something.
    """
    if lost:
        others = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        raise WorkerError(
            f"not trained: {lost[0]}{others}; the other models are kept, and the same command goes "
            "on from there"
        )


def _run_lane(lane: Lane, progress: Progress) -> list[str]:
    """Trains parts in this process, in several, or on a cluster.

    Returns:
        Those whose process was ended, and how.
    """
    total = len(lane.parts)
    lost: list[str] = []
    if runs_here(lane.n_jobs):
        with one_thread(), on_device(lane.devices[0]) if lane.devices else nullcontext():
            for done, (one, part) in enumerate(lane.parts):
                shown = _shown(one, part, within(progress, done / total, (done + 1) / total))
                run_part(one, part, shown)
                progress(f"{one.expert.name} {part.name} done", (done + 1) / total)
        return lost
    together = PartShares(progress, total, 0)
    files = {
        epoch_file(one.expert.work, part.name): _shown(
            one, part, together.of(f"{one.expert.name} {part.name}")
        )
        for one, part in lane.parts
    }

    def without(why: str, one: Prepared, part: FoldPart, *_: object) -> None:
        lost.append(f"{one.expert.name} {part.name}: {why}")

    with TemporaryDirectory() as place, following(files) as show_new:
        pool = DevicePool(lane.devices, Path(place)) if lane.devices else None
        tasks = (delayed(_alone)(one, part, pool) for one, part in lane.parts)
        for name in file_to_file(lane.n_jobs, tasks, without):
            show_new()  # a part's last epochs come before its end
            if name is not None:
                together.finish(name)
    return lost


def run_part(prepared: Prepared, part: FoldPart, on_epoch: OnEpoch | None = None) -> None:
    """Trains one part's model and saves it with its predictions, unless that is done.

    Workers of a killed run may outlive it for a while: each process writes into a folder of its
    own, and the first to finish wins, with the same content.
    """
    if prepared.done(part):
        return
    place = prepared.expert.work / part.name
    checkpoint = place.with_name(f".{part.name}.{CHECKPOINT}")
    partial = temporary_name(place, PARTIAL)
    partial.mkdir()
    try:
        _train_into(partial, prepared, part, checkpoint, on_epoch)
        partial.replace(place)
    except OSError:
        if not prepared.done(part):
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for number in range(prepared.expert.recipe.networks):
        checkpoint_of(checkpoint, number).unlink(missing_ok=True)


def _train_into(
    place: Path, prepared: Prepared, part: FoldPart, checkpoint: Path, on_epoch: OnEpoch | None
) -> None:
    """Writes model, outputs and history of a part."""
    units = prepared.cohort.units_of(part.predict)
    expert = prepared.expert
    warm_up()
    with logged(expert.log_dir, expert.name, part.name, on_epoch) as report, measured() as meter:
        fit = fit_part(prepared, part, checkpoint, report)
        predicted = apply(
            fit.fitted, prepared.cohort.folder, units, clusters=prepared.expert.work / CLUSTERS
        )
    save_fitted(fit.fitted, place / MODEL)
    by_unit = {
        "row": [unit.sample for unit in units],
        "slides": [list(unit.slides) for unit in units],
    }
    columns = {str(k): predicted.outputs[:, k] for k in range(predicted.outputs.shape[1])}
    schema: dict[str, Any] = {
        "row": pl.Int64,
        "slides": pl.List(pl.String),
        **dict.fromkeys(columns, pl.Float64),
    }
    pl.DataFrame(by_unit | columns, schema=schema).write_parquet(place / OUTPUTS)
    cost = cost_of_part(fit, meter.cost, prepared.cohort.units)
    content = {
        "history": [{k: None if v != v else v for k, v in line.items()} for line in fit.history],
        "cost": cost.as_dict(),
        "spread": None if predicted.spread is None else predicted.spread.mean(axis=0).tolist(),
    }
    (place / HISTORY).write_text(json.dumps(content), encoding="utf-8")


def cost_of_part(fit: FittedPart, timed: Cost, units: Sequence[Unit]) -> Cost:
    """The cost of a fitted part; its time is not known if it went on after a stop."""
    operations = fit.count()
    per_sample = len(units) / len({unit.sample for unit in units})
    known = (
        Cost(peak_memory_mb=timed.peak_memory_mb, added_memory_mb=timed.added_memory_mb)
        if fit.resumed
        else timed
    )
    return replace(
        known,
        parameters=fit.fitted.parameters,
        fit_flops=operations.fit,
        predict_flops_per_sample=operations.predict_per_unit * per_sample,
    )


def _shown(one: Prepared, part: FoldPart, progress: Progress) -> OnEpoch:
    """Shows an epoch as a share of the part."""

    def show(line: dict[str, Any]) -> None:
        recipe, network = one.expert.recipe, line["network"]
        which = f" network {network}" if recipe.networks > 1 else ""
        what = f"{one.expert.name} {part.name}{which} epoch {line['epoch']}: loss {line['train_loss']:.3f}"
        held = line["validation_loss"]
        if held == held:  # without validation it is NaN
            what += f", validation {held:.3f}"
        progress(what, (network - 1 + line["epoch"] / recipe.epochs) / recipe.networks)

    return show


def _alone(one: Prepared, part: FoldPart, pool: DevicePool | None = None) -> str:
    """One part in a process of its own."""
    with one_thread(), nullcontext() if pool is None else pool.taken():
        run_part(one, part, append_to(epoch_file(one.expert.work, part.name)))
    return f"{one.expert.name} {part.name}"
