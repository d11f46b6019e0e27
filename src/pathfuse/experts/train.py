"""``experts train``: an expert from features, one model per part, and with a fusion of features
its reference.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from joblib import delayed

from pathfuse.costs import Cost, measured
from pathfuse.experts.apply import CLUSTERS, apply
from pathfuse.experts.assemble import Extra, assemble
from pathfuse.experts.attending import attend_held_out, check_attends
from pathfuse.experts.cohort import Unit
from pathfuse.experts.fit import FittedPart, fit_part
from pathfuse.experts.fitted import save_fitted
from pathfuse.experts.folds import FoldPart
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
from pathfuse.files.write import check_out
from pathfuse.progress import OnEpoch, Progress, silent, within
from pathfuse.training.threads import one_thread, warm_up
from pathfuse.workers import in_parallel

ATTENTION = "attention"


def train_expert(
    expert: ExpertSetup,
    *,
    n_jobs: int | None = None,
    force: bool = False,
    attention: bool = False,
    um_per_px: float | None = None,
    command: str | None = None,
    progress: Progress = silent,
) -> Path:
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
        command: How the program was called, for the manifest.
        progress: Called as epochs and parts end.

    Raises:
        InputError: Tables or features are wrong, or the output exists.
    """
    check_out(expert.out, force, expert.read)
    if attention:
        check_attends(expert.recipe)
    progress(f"{expert.name}: reading", 0.0)
    prepared = prepare(expert)
    reference = reference_of(prepared) if expert.recipe.facts.fuses else None
    together = [prepared] if reference is None else [prepared, reference]
    for one in together:
        open_work(one)
    run_parts(together, n_jobs, progress)
    extras: list[Extra] = []
    if attention:
        extras.append(
            lambda folder: {"notes": attend_held_out(prepared, folder / ATTENTION, um_per_px)}
        )
    if reference is not None:
        extras.append(
            lambda folder: {"reference": compare_with_reference(prepared, reference, folder)}
        )
    done = assemble(prepared, command, force, extras)
    if reference is not None:
        shutil.rmtree(reference.expert.work, ignore_errors=True)
    return done


def run_parts(experts: Sequence[Prepared], n_jobs: int | None, progress: Progress = silent) -> None:
    """Trains all unfinished parts of some experts, in parallel over experts and parts."""
    todo = [(one, part) for one in experts for part in one.plan.parts if not one.done(part)]
    total = sum(len(one.plan.parts) for one in experts)
    done = total - len(todo)
    progress(f"{len(todo)} models to train, {done} there already", done / max(total, 1))
    if n_jobs in (None, 1):
        for one, part in todo:
            with one_thread():
                run_part(
                    one, part, _shown(one, part, within(progress, done / total, (done + 1) / total))
                )
            done += 1
            progress(f"{one.expert.name} {part.name} done", done / total)
        return
    work = in_parallel(n_jobs, (delayed(_alone)(one, part) for one, part in todo), ordered=False)
    for name in work:
        done += 1
        progress(f"{name} done", done / total)


def run_part(prepared: Prepared, part: FoldPart, on_epoch: OnEpoch | None = None) -> None:
    """Trains one part's model and saves it with its predictions, unless that is done.

    Workers of a killed run may outlive it for a while: each process writes into a folder of its
    own, and the first to finish wins, with the same content.
    """
    if prepared.done(part):
        return
    place = prepared.expert.work / part.name
    checkpoint = place.with_name(f".{part.name}.{CHECKPOINT}")
    partial = place.with_name(f".{part.name}.partial-{os.getpid()}")
    partial.mkdir(exist_ok=True)
    units = prepared.cohort.units_of(part.predict)
    warm_up()
    with measured() as meter:
        fit = fit_part(prepared, part, checkpoint, on_epoch)
        predicted = apply(
            fit.fitted, prepared.cohort.folder, units, clusters=prepared.expert.work / CLUSTERS
        )
    save_fitted(fit.fitted, partial / MODEL)
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
    pl.DataFrame(by_unit | columns, schema=schema).write_parquet(partial / OUTPUTS)
    cost = cost_of_part(fit, meter.cost, prepared.cohort.units)
    content = {
        "history": [{k: None if v != v else v for k, v in line.items()} for line in fit.history],
        "cost": cost.as_dict(),
        "spread": None if predicted.spread is None else predicted.spread.mean(axis=0).tolist(),
    }
    (partial / HISTORY).write_text(json.dumps(content), encoding="utf-8")
    try:
        partial.replace(place)
    except OSError:
        if not prepared.done(part):
            raise
        shutil.rmtree(partial, ignore_errors=True)
    checkpoint.unlink(missing_ok=True)


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
        what = f"{one.expert.name} {part.name} epoch {line['epoch']}: loss {line['train_loss']:.3f}"
        progress(what, line["epoch"] / one.expert.recipe.epochs)

    return show


def _alone(one: Prepared, part: Any) -> str:
    """One part in a process of its own."""
    with one_thread():
        run_part(one, part)
    return f"{one.expert.name} {part.name}"
