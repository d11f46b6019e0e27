"""From fitted tasks to judged rows: what ``fuse`` and ``evaluate`` share."""

from collections.abc import Sequence

import numpy as np

from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.judge import Judged, Verdict, average_patients, judge_tasks
from pathfuse.evaluation.survival import SurvivalTruth
from pathfuse.tables.study import Study
from pathfuse.types import Index, LogProbs


def check_judging(unit: str, n_resamples: int) -> None:
    """Refuses options out of range.

    Raises:
        InputError: The unit is unknown or the number of resamples negative.
    """
    if unit not in ("sample", "patient"):
        raise InputError(f"unit '{unit}' is unknown; choose sample or patient")
    if n_resamples < 0:
        raise InputError(f"--resamples {n_resamples} is negative")


def judged_rows(
    study: Study,
    task: str,
    parts: Sequence[tuple[Index, Index]],
    predictions: Sequence[dict[str, LogProbs]],
    unit: str,
) -> Judged:
    """The judged rows of one task, fold by fold.

    Args:
        study: The study.
        task: The task.
        parts: Per fold, the fit rows (survival takes the censoring from them) and the judged rows.
        predictions: Per fold, methods' predictions of the judged rows.
        unit: ``sample`` or ``patient``.
    """
    rows = np.concatenate([judged for _, judged in parts])
    folds = np.concatenate([np.full(len(judged), f) for f, (_, judged) in enumerate(parts)])
    names = list(dict.fromkeys(name for said in predictions for name in said))
    absent = len(study.truth[task].observed[0])
    patients = np.unique(study.samples.patients.astype(str), return_inverse=True)[1]
    truth = study.truth[task]
    context = None
    if isinstance(study.endpoint, Survival) and truth.time is not None and truth.event is not None:
        censorings = tuple(Censoring.fit(truth.time[fit], truth.event[fit]) for fit, _ in parts)
        context = SurvivalTruth(truth.time[rows], truth.event[rows], np.array(study.endpoint.edges), censorings)
    judged = Judged(
        truth.observed[rows],
        patients[rows],
        folds,
        {
            name: np.concatenate(
                [
                    said.get(name, np.full((len(part), absent), np.nan))
                    for said, (_, part) in zip(predictions, parts, strict=True)
                ]
            )
            for name in names
        },
        context,
    )
    return average_patients(judged) if unit == "patient" else judged


def judge_all(
    study: Study, tasks: dict[str, Judged], contrasts: Sequence[tuple[str, str]], n_resamples: int, seed: int
) -> Verdict:
    """Judges all tasks on the same resamples of patients, numbered 0..P-1 among the judged."""
    present = np.unique(np.concatenate([judged.patients for judged in tasks.values()]))
    numbered = {
        task: Judged(j.observed, np.searchsorted(present, j.patients), j.folds, j.predictions, j.context)
        for task, j in tasks.items()
    }
    return judge_tasks(study.endpoint, numbered, contrasts, n_resamples, seed)
