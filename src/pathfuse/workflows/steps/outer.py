"""The outer protocol: one fit per partition of a study, and the fits' predictions of the rows they
are judged on.
"""

from collections.abc import Sequence

import numpy as np

from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged
from pathfuse.progress import Progress, silent
from pathfuse.study.samples import Partition, partitions
from pathfuse.study.study import Study
from pathfuse.types import Index
from pathfuse.workflows.steps.calibration import with_sets
from pathfuse.workflows.steps.evaluating import judged_rows
from pathfuse.workflows.steps.fitting import FusionRecipe, TaskFit, divide, fit_task, unfittable
from pathfuse.workflows.steps.regression import fit_gaussian, with_varying_targets

Fits = list[dict[str, TaskFit]]
"""Per partition, per task."""


def scored_parts(study: Study, allow_in_sample: bool, skip_unscored: bool) -> list[Partition]:
    """What is fitted and judged, without the samples that no expert scored.

    Raises:
        InputError: There are such samples and ``skip_unscored`` is off, or nothing is left.
    """
    return [
        _scored_part(study, part, skip_unscored)
        for part in partitions(study.samples, allow_in_sample)
    ]


def check_most_scored(study: Study, rows: Index) -> None:
    """Refuses a study of which the experts scored less than half: what is left would stand for all.

    Raises:
        InputError: Saying how many rows are not scored, and which is the first.
    """
    unscored = rows[study.n_scored()[rows] == 0]
    if 2 * len(unscored) > len(rows):
        raise InputError(
            f"{study.samples.source}: no expert scored {len(unscored)} of the {len(rows)} samples (the first is "
            f"'{study.samples.ids[unscored[0]]}'), more than half: check how the predictions spell them, or "
            "leave these rows out of the table"
        )


def _scored_part(study: Study, part: Partition, skip_unscored: bool) -> Partition:
    scored = study.n_scored() > 0
    unscored = [n for n in np.concatenate([part.fit, part.judged]) if not scored[n]]
    if unscored and not skip_unscored:
        raise InputError(
            f"{study.samples.source}: no expert scored the sample '{study.samples.ids[unscored[0]]}' "
            f"({len(unscored)} such samples; --skip-unscored leaves them out)"
        )
    check_most_scored(study, np.concatenate([part.fit, part.judged]))
    part = Partition(part.name, part.fit[scored[part.fit]], part.judged[scored[part.judged]])
    if not len(part.fit) or not len(part.judged):
        raise InputError(
            f"{study.samples.source}: the experts scored no {'test' if len(part.fit) else 'fit'} row"
        )
    return part


def fittable(
    study: Study, parts: Sequence[Partition], recipe: FusionRecipe
) -> tuple[Study, list[str], list[str]]:
    """What can be fitted in every partition: a label or target that is constant in one of them is
    left out of all.

    Returns:
        The study without the targets that are left out, its tasks that can be fitted, and why the
        others cannot.

    Raises:
        InputError: None can.
    """
    tasks, jobs = list(study.endpoint.tasks), fit_jobs(parts)
    if study.endpoint.of_numbers:
        study, reasons = with_varying_targets(
            study, [(rows, _of(name)) for rows, name in jobs], recipe
        )
        return study, tasks, reasons
    if len(tasks) == 1:
        return study, tasks, []
    found = {
        task: next(
            filter(None, (unfittable(study, task, rows, recipe, _of(name)) for rows, name in jobs)),
            None,
        )
        for task in tasks
    }
    kept = [task for task in tasks if found[task] is None]
    if not kept:
        raise InputError(
            f"{study.samples.source}: no label can be fused; {next(iter(found.values()))}"
        )
    return study, kept, [reason for reason in found.values() if reason is not None]


def fit_jobs(parts: Sequence[Partition], *, final: bool = True) -> list[tuple[Index, str]]:
    """The fit rows of each partition with its name.

    With several folds at last all of them, if wanted.
    """
    jobs = [(part.fit, f"fold {part.name}" if part.name else "") for part in parts]
    if len(jobs) > 1 and final:
        jobs.append((np.unique(np.concatenate([rows for rows, _ in jobs])), "all folds"))
    return jobs


def _of(name: str) -> str:
    return f" of {name}" if name else ""


def fit_all(
    study: Study,
    parts: Sequence[Partition],
    tasks: Sequence[str],
    recipe: FusionRecipe,
    progress: Progress = silent,
    *,
    final: bool = True,
) -> Fits:
    """One fit per partition.

    With several folds a last one on all rows, if wanted, which is the model to keep.
    """
    jobs = fit_jobs(parts, final=final)
    fits: Fits = []
    total = len(jobs) * len(tasks)
    for p, (rows, name) in enumerate(jobs):
        fits.append({})
        for t, task in enumerate(tasks):
            behind, what = (
                p * len(tasks) + t,
                " ".join(["fitting", name, "" if task == "all" else task]).strip(),
            )
            progress(what, 0.75 * behind / total)

            def on_progress(share: float, behind: int = behind, what: str = what) -> None:
                progress(what, 0.75 * (behind + share) / total)

            if study.endpoint.of_numbers:
                scored = study.scored(task, rows)
                fits[-1][task] = fit_gaussian(
                    study, *divide(study, task, scored, recipe), recipe, on_progress
                )
            else:
                fits[-1][task] = fit_task(study, task, rows, recipe, on_progress, _of(name))
    return fits


def judged_outputs(
    study: Study,
    task: str,
    parts: Sequence[Partition],
    fits: Fits,
    unit: str,
    fitted_study: Study | None = None,
) -> dict[str, Judged]:
    """The judged rows of one task, by output.

    Args:
        study: Whose truth and rows are judged.
        task: The task.
        parts: Its partitions.
        fits: One per partition.
        unit: ``sample`` or ``patient``.
        fitted_study: The study whose experts were fitted; default: the same.
    """
    rows = [(study.scored(task, part.fit), study.scored(task, part.judged)) for part in parts]
    predictions = [
        fit[task].predict(fitted_study or study, task, judged)
        for fit, (_, judged) in zip(fits, rows, strict=True)
    ]
    judged = judged_rows(
        study, task, rows, predictions, unit, tuple(part.name for part in parts if part.name)
    )
    own = [fit[task] for fit in fits]
    return with_sets(study.endpoint, judged, own) if own[0].sets is not None else judged


def rows_used(
    study: Study, parts: Sequence[Partition], fits: Fits | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bool, (sample,): rows that were fitted on, judged on and calibrated on, over folds and labels.

    Args:
        study: The study.
        parts: Its partitions.
        fits: One per part; None where nothing was fitted: then the fit rows of the only part are
            those that the best expert was chosen on.
    """
    fitted, judged, calibrating = np.zeros((3, len(study.samples.ids)), dtype=bool)
    for part in parts:
        judged[part.judged] = True
    if fits is None and len(parts) == 1:
        fitted[parts[0].fit] = True
    for by_task in fits or ():
        for fit in by_task.values():
            fitted[fit.rows] = True
            calibrating[fit.calibrating] = True
    return fitted, judged, calibrating
