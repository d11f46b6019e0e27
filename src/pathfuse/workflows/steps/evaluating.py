"""From fitted tasks to judged rows: what ``fuse`` and ``evaluate`` share."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.evaluate import evaluate_tasks
from pathfuse.evaluation.intervals import KINDS
from pathfuse.evaluation.judged import Judged, Verdict, average_patients
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.net_benefit import threshold_grid
from pathfuse.evaluation.operating_points import parse_rule
from pathfuse.evaluation.rules import Rules, check_seed
from pathfuse.fusion.registry import all_names
from pathfuse.study.study import Study
from pathfuse.types import Index, LogProbs
from pathfuse.workflows.options import FuseOptions


def check_evaluation(unit: str, rules: Rules, endpoint: Endpoint | None) -> None:
    """Refuses options out of range.

    Args:
        unit: What log-probabilities are averaged over.
        rules: How to evaluate.
        endpoint: Of the study; None before one is read.

    Raises:
        InputError: The unit or the interval is unknown, or a number out of range.
    """
    if unit not in ("sample", "patient"):
        raise InputError(f"unit '{unit}' is unknown; choose sample or patient")
    if unit == "patient" and endpoint is not None and endpoint.of_numbers:
        raise InputError(f"--unit patient averages log-probabilities; {endpoint.kind} has none")
    if rules.n_resamples < 0:
        raise InputError(f"--resamples {rules.n_resamples} is negative")
    if rules.interval not in KINDS:
        raise InputError(f"interval '{rules.interval}' is unknown; choose {' or '.join(KINDS)}")
    if not 0 < rules.margin < np.inf:
        raise InputError(f"--margin must be above 0, not {rules.margin:g}")


def rules_of(options: FuseOptions, drawn: str = "patient", n_jobs: int | None = None) -> Rules:
    """How to evaluate; ``drawn``: what is resampled, in words."""
    chosen = (options.n_resamples, options.seed, options.interval, options.margin)
    return Rules(*chosen, drawn, n_jobs)


def check_options(options: FuseOptions) -> None:
    """Refuses what would fail in every study, before one is read.

    Raises:
        InputError: The method or the operating point is unknown, or a number is out of range.
    """
    if options.method not in all_names():
        raise InputError(
            f"method '{options.method}' is unknown; choose one of {', '.join(all_names())}"
        )
    check_seed(options.seed)
    check_evaluation("sample", rules_of(options), None)
    threshold_grid(options.thresholds)
    parse_rule(options.operating_point)


def with_positive(study: Study, positive: str | None) -> Study:
    """The study with another positive class; None leaves it as it is.

    Raises:
        InputError: There are no two classes, or none has this name.
    """
    return (
        study
        if positive is None
        else replace(study, endpoint=study.endpoint.with_positive(positive))
    )


def check_patients(study: Study, unit: str) -> None:
    """Refuses to average patients whose samples disagree on the truth, before any work.

    Raises:
        InputError: Naming the patient and two of its samples.
    """
    if unit != "patient":
        return
    for task, truth in study.truth.items():
        first: dict[str, int] = {}
        for n, patient in enumerate(study.samples.patients):
            if not truth.known[n]:
                continue
            other = first.setdefault(patient, n)
            times = truth.time is not None and truth.time[other] != truth.time[n]
            if times or (truth.observed[other] != truth.observed[n]).any():
                one, two = study.samples.ids[other], study.samples.ids[n]
                raise InputError(
                    f"{study.samples.source}: --unit patient needs one truth per patient, but the samples '{one}' and "
                    f"'{two}' of patient '{patient}' differ{'' if task == 'all' else f' in label {task}'}"
                )


def judged_rows(
    study: Study,
    task: str,
    parts: Sequence[tuple[Index, Index]],
    predictions: Sequence[dict[str, LogProbs]],
    unit: str,
    fold_names: tuple[str, ...] = (),
) -> dict[str, Judged]:
    """The judged rows of one task, fold by fold; a regression has one entry per target.

    Args:
        study: The study.
        task: The task.
        parts: Per fold, the fit rows (survival takes the censoring from them) and the judged rows.
        predictions: Per fold, methods' predictions of the judged rows.
        unit: ``sample`` or ``patient``.
        fold_names: What the folds are called.
    """
    rows = np.concatenate([judged for _, judged in parts])
    folds = np.concatenate([np.full(len(judged), f) for f, (_, judged) in enumerate(parts)])
    patients = np.unique(study.samples.patients.astype(str), return_inverse=True)[1][rows]
    truth = study.truth[task]
    context = None
    if isinstance(study.endpoint, Survival) and truth.time is not None and truth.event is not None:
        censorings = tuple(Censoring.fit(truth.time[fit], truth.event[fit]) for fit, _ in parts)
        context = SurvivalTruth(
            truth.time[rows], truth.event[rows], np.array(study.endpoint.edges), censorings
        )
    sections = study.samples.sections if study.endpoint.of_numbers else None
    judged = Judged(
        truth.observed[rows],
        patients,
        folds,
        _joined(predictions, [j for _, j in parts]),
        context,
        fold_names,
        None if sections is None else sections[rows],
    )
    if study.endpoint.of_numbers:
        return {target: _one_target(judged, g) for g, target in enumerate(study.endpoint.outcomes)}
    return {task: average_patients(judged) if unit == "patient" else judged}


def _joined(
    predictions: Sequence[dict[str, LogProbs]], rows: Sequence[Index]
) -> dict[str, LogProbs]:
    """Methods' predictions of all folds; NaN in folds where a method has none."""
    names = dict.fromkeys(name for of_fold in predictions for name in of_fold)
    width = next(iter(predictions[0].values())).shape[1]
    return {
        name: np.concatenate(
            [
                of_fold.get(name, np.full((len(part), width), np.nan))
                for of_fold, part in zip(predictions, rows, strict=True)
            ]
        )
        for name in names
    }


def _one_target(judged: Judged, g: int) -> Judged:
    """The rows whose value of one target is known, with every method's mean and variance of it."""
    known = np.flatnonzero(~np.isnan(judged.observed[:, g]))
    own = [g, judged.observed.shape[1] + g]
    of_target = {name: moments[known[:, None], own] for name, moments in judged.predictions.items()}
    return Judged(
        judged.observed[known][:, [g]],
        judged.patients[known],
        judged.folds[known],
        of_target,
        None,
        judged.fold_names,
        None if judged.sections is None else judged.sections[known],
    )


def evaluate_study(
    study: Study, tasks: dict[str, Judged], contrasts: Sequence[tuple[str, str]], rules: Rules
) -> Verdict:
    """Evaluates all tasks on the same resamples of patients, numbered 0..P-1 among the judged."""
    present = np.unique(np.concatenate([judged.patients for judged in tasks.values()]))
    numbered = {
        task: replace(judged, patients=np.searchsorted(present, judged.patients))
        for task, judged in tasks.items()
    }
    return evaluate_tasks(study.endpoint, numbered, contrasts, rules, study.expert_names)
