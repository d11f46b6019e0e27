"""``fuse``: fit on the fit rows, judge on the others, certify, describe."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError
from pathfuse.evaluation.judge import Rules
from pathfuse.evaluation.judged import Judged
from pathfuse.runs.calibration import (
    AnyFit,
    few_patients_warning,
    reliability_frame,
    temperature_report,
    tempered,
    with_sets,
)
from pathfuse.runs.fitting import Recipe, divide, fit_task, unfittable
from pathfuse.runs.judging import check_judging, check_patients, judge_all, judged_rows
from pathfuse.runs.manifest import describe
from pathfuse.runs.model import FusedModel
from pathfuse.runs.regression import align_moments, fit_gaussian
from pathfuse.runs.result import Result, comparisons_frame, metrics_frame, tests_frame
from pathfuse.tables.samples import Partition, partitions
from pathfuse.tables.study import Study

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of the work that is behind."""

HEADLINE = ("fused", "logitprod")
"""Methods that are compared with every other."""

Fits = list[dict[str, AnyFit]]
"""Per partition, per task."""


def silent(message: str, share: float) -> None:
    """No progress report."""


def fuse(
    study: Study,
    method: str = "auto",
    seed: int = 0,
    *,
    n_resamples: int = 2000,
    interval: str = "percentile",
    margin: float = 0.01,
    unit: str = "sample",
    gate: str = "shared",
    expert_dropout: float = 0.0,
    coverage: float | None = None,
    allow_in_sample: bool = False,
    skip_unscored: bool = False,
    n_jobs: int | None = None,
    progress: Progress = silent,
) -> Result:
    """Fuses a study and judges the fusion beside its rivals.

    Args:
        study: From ``read_study``.
        method: ``auto`` (council), ``choose``, or the name of one rung.
        seed: Seed of inner folds and bootstrap; the same seed gives the same bytes.
        n_resamples: Bootstrap resamples by patient.
        interval: ``percentile``, or ``bca``.
        margin: Largest acceptable loss to the best expert, for the test of non-inferiority.
        unit: ``sample``, or ``patient``: average a patient's log-probabilities before judging.
        gate: LogitProd's gate, ``shared``, or ``per_bin`` (survival).
        expert_dropout: Share of the predictions hidden from LogitProd's fit, so that it learns to do without.
        coverage: Make conformal prediction sets that hold the truth in this share of cases, e.g. 0.9; a quarter of
            the fit patients then calibrates them and takes no part in the fit. Not for survival.
        allow_in_sample: Fit on ``train`` rows too, although the experts saw them; the manifest warns.
        skip_unscored: Leave out samples that no expert scored instead of refusing.
        n_jobs: Processes, as in joblib.
        progress: Called as the work goes on.

    Raises:
        InputError: The study cannot be fitted or judged; one sentence says why.
    """
    start = time.perf_counter()
    recipe = Recipe(method, seed, gate, expert_dropout, n_jobs, coverage)
    recipe.check(study)
    rules = Rules(n_resamples, seed, interval, margin)
    check_judging(unit, rules, study.endpoint.kind)
    if coverage is not None and unit == "patient":
        raise InputError("--coverage makes sets of samples, not of patients; leave out --unit patient")
    check_patients(study, unit)
    parts = [_scored(study, part, skip_unscored) for part in partitions(study.samples, allow_in_sample)]
    tasks, warnings = _fittable(study, parts)
    with threadpool_limits(1):  # small matrices: threads cost time, and one core or many must give the same bytes
        fits = _fit_all(study, parts, tasks, recipe, progress)
        final = fits.pop() if len(parts) > 1 else fits[0]
        progress("judging", 0.75)
        judged = {name: j for task in tasks for name, j in _judged(study, task, parts, fits, unit).items()}
        at_temperature = {name: j for task in tasks for name, j in _tempered(study, task, judged, fits).items()}
        others = dict.fromkeys(name for j in judged.values() for name in j.predictions)
        contrasts = [(name, other) for name in HEADLINE for other in others if other != name]
        verdict = judge_all(study, judged, contrasts, rules)
        fused = pl.concat([_fused(study, fit, part) for fit, part in zip(fits, parts, strict=True)])
    manifest = {
        **describe(study, *_masks(study, parts)),
        **asdict(recipe),
        "n_resamples": n_resamples,
        "interval": interval,
        "margin": margin,
        "unit": unit,
        "allow_in_sample": allow_in_sample,
        "skip_unscored": skip_unscored,
        "command": None,
        "inner_cross_validation": _inner_reports(parts, fits),
        "calibration": temperature_report(study.endpoint, at_temperature),
        "conformal": {task: fit.sets.as_dict() for task, fit in final.items() if fit.sets is not None},
        "notes": verdict.notes,
        "warnings": [*warnings, *_in_sample_warning(study, allow_in_sample), *few_patients_warning(final)],
    }
    progress("done", 1.0)
    manifest["wall_time_s"] = round(time.perf_counter() - start, 3)
    return Result(
        metrics_frame(verdict),
        comparisons_frame(verdict),
        manifest,
        fused.sort("sample_id"),
        _certificate(study, parts, fits, final),
        _model(study, final),
        reliability_frame(study.endpoint, at_temperature),
        tests_frame(verdict),
    )


def _inner_reports(parts: Sequence[Partition], fits: Fits) -> list[dict[str, Any]]:
    return [
        {"fold": part.name or None, **{task: task_fit.inner_report() for task, task_fit in fit.items()}}
        for part, fit in zip(parts, fits, strict=True)
    ]


def _scored(study: Study, part: Partition, skip_unscored: bool) -> Partition:
    scored = study.n_scored() > 0
    mute = [n for n in np.concatenate([part.fit, part.judged]) if not scored[n]]
    if mute and not skip_unscored:
        raise InputError(
            f"{study.samples.source}: no expert scored the sample '{study.samples.ids[mute[0]]}' "
            f"({len(mute)} such samples; --skip-unscored leaves them out)"
        )
    part = Partition(part.name, part.fit[scored[part.fit]], part.judged[scored[part.judged]])
    if not len(part.fit) or not len(part.judged):
        raise InputError(f"{study.samples.source}: the experts scored no {'test' if len(part.fit) else 'fit'} row")
    return part


def _fittable(study: Study, parts: Sequence[Partition]) -> tuple[list[str], list[str]]:
    """The tasks that can be fitted in every partition, and why the others cannot."""
    tasks = list(study.endpoint.tasks)
    if len(tasks) == 1:
        return tasks, []
    reasons = {task: next(filter(None, (unfittable(study, task, p.fit) for p in parts)), None) for task in tasks}
    kept = [task for task in tasks if reasons[task] is None]
    if not kept:
        raise InputError(f"{study.samples.source}: no label can be fused; {next(iter(reasons.values()))}")
    return kept, [reason for reason in reasons.values() if reason is not None]


def _fit_all(
    study: Study, parts: Sequence[Partition], tasks: Sequence[str], recipe: Recipe, progress: Progress
) -> Fits:
    """One fit per partition; with several folds a last one on all rows, which is the model to keep."""
    jobs = [(part.fit, f"fold {part.name}" if part.name else "") for part in parts]
    if len(jobs) > 1:
        jobs.append((np.unique(np.concatenate([rows for rows, _ in jobs])), "all folds"))
    fits: Fits = []
    total = len(jobs) * len(tasks)
    for p, (rows, name) in enumerate(jobs):
        fits.append({})
        for t, task in enumerate(tasks):
            behind, what = p * len(tasks) + t, " ".join(["fitting", name, "" if task == "all" else task]).strip()
            progress(what, 0.75 * behind / total)

            def tick(share: float, behind: int = behind, what: str = what) -> None:
                progress(what, 0.75 * (behind + share) / total)

            if study.endpoint.kind == "regression":
                scored = study.scored(task, rows)
                fits[-1][task] = fit_gaussian(study, *divide(study, task, scored, recipe), recipe, tick)
            else:
                fits[-1][task] = fit_task(study, task, rows, recipe, tick, f" of {name}" if name else "")
    return fits


def _judged(study: Study, task: str, parts: Sequence[Partition], fits: Fits, unit: str) -> dict[str, Judged]:
    rows = [(study.scored(task, part.fit), study.scored(task, part.judged)) for part in parts]
    said = [fit[task].predict(study, task, judged) for fit, (_, judged) in zip(fits, rows, strict=True)]
    judged = judged_rows(study, task, rows, said, unit, tuple(part.name for part in parts if part.name))
    own = [fit[task] for fit in fits]
    return with_sets(study.endpoint, judged, own) if own[0].sets is not None else judged


def _tempered(study: Study, task: str, judged: dict[str, Judged], fits: Fits) -> dict[str, Judged]:
    temperatures = np.array([fit[task].temperature for fit in fits])
    outputs = study.endpoint.outcomes if study.endpoint.kind == "regression" else [task]
    there = [name for name in outputs if len(judged[name].observed)]
    return {name: tempered(study.endpoint, judged[name], temperatures) for name in there}


def _masks(study: Study, parts: Sequence[Partition]) -> tuple[np.ndarray, np.ndarray]:
    fitted, judged = np.zeros((2, len(study.samples.ids)), dtype=bool)
    fitted[np.concatenate([part.fit for part in parts])] = True
    judged[np.concatenate([part.judged for part in parts])] = True
    return fitted, judged


def _model(study: Study, fit: dict[str, AnyFit]) -> FusedModel:
    return FusedModel(
        study.endpoint,
        study.expert_names,
        {expert.name: expert.label_map for expert in study.experts},
        {task: task_fit.frequency for task, task_fit in fit.items()},
        {task: task_fit.fused for task, task_fit in fit.items()},
        {task: task_fit.sets for task, task_fit in fit.items() if task_fit.sets is not None},
    )


def _fused(study: Study, fit: dict[str, AnyFit], part: Partition) -> pl.DataFrame:
    ids, model = study.samples.ids[part.judged].tolist(), _model(study, fit)
    if study.endpoint.kind == "regression":
        return model.table_of_moments(ids, align_moments(study.experts, ids, len(study.endpoint.outcomes)))
    logits = {task: study.logits(task, task_fit.frequency)[part.judged] for task, task_fit in fit.items()}
    return model.table(ids, logits)


def _certificate(study: Study, parts: Sequence[Partition], fits: Fits, final: dict[str, AnyFit]) -> dict[str, Any]:
    """The certificate of the model that is kept; per label and per fold where there are several."""
    content = _task_certificates(study, final)
    if len(parts) > 1:
        folds = {part.name: _task_certificates(study, fit) for part, fit in zip(parts, fits, strict=True)}
        content |= {"folds": folds, "holds": content["holds"] and all(f["holds"] for f in folds.values())}
    return content


def _task_certificates(study: Study, fit: dict[str, AnyFit]) -> dict[str, Any]:
    certificates = {task: task_fit.fused.certificate_.as_dict(study.expert_names) for task, task_fit in fit.items()}
    if len(certificates) == 1:
        return next(iter(certificates.values()))
    n = len(certificates)
    experts = {name: sum(c["experts"][name] for c in certificates.values()) / n for name in study.expert_names}
    return {
        "objective": "nll",
        "fused": sum(c["fused"] for c in certificates.values()) / n,
        "experts": experts,
        "best_expert": min(experts, key=lambda name: experts[name]),
        "holds": all(c["holds"] for c in certificates.values()),
        "outputs": certificates,
    }


def _in_sample_warning(study: Study, allow_in_sample: bool) -> list[str]:
    trained = int((study.samples.roles == "train").sum()) if study.samples.roles is not None else 0
    if not (allow_in_sample and trained):
        return []
    fear = "expect the fusion to fail on new rows"
    return [f"the fusion was fitted on {trained} 'train' rows that the experts were trained on: {fear}"]
