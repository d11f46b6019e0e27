"""``fuse``: fit on the fit rows, judge on the others, certify, describe."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError
from pathfuse.evaluation.judge import Judged, Verdict, average_patients, judge
from pathfuse.fusion.registry import method_class
from pathfuse.runs.fitting import TaskFit, fit_task
from pathfuse.runs.manifest import describe
from pathfuse.runs.model import FusedModel
from pathfuse.runs.result import Result, comparisons_frame, metrics_frame
from pathfuse.tables.samples import Partition, partitions
from pathfuse.tables.study import Study

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of the work that is behind."""

HEADLINE = ("fused", "logitprod")
"""Methods that are compared with every other."""


def silent(message: str, share: float) -> None:
    """No progress report."""


def fuse(
    study: Study,
    method: str = "auto",
    seed: int = 0,
    *,
    n_resamples: int = 2000,
    unit: str = "sample",
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
        unit: ``sample``, or ``patient``: average a patient's log-probabilities before judging.
        allow_in_sample: Fit on ``train`` rows too, although the experts saw them; the manifest warns.
        skip_unscored: Leave out samples that no expert scored instead of refusing.
        n_jobs: Processes, as in joblib.
        progress: Called as the work goes on.

    Raises:
        InputError: The study cannot be fitted or judged; one sentence says why.
    """
    start = time.perf_counter()
    method_class(method)
    if unit not in ("sample", "patient"):
        raise InputError(f"unit '{unit}' is unknown; choose sample or patient")
    parts = [_scored(study, part, skip_unscored) for part in partitions(study.samples, allow_in_sample)]
    tasks = study.endpoint.tasks
    with threadpool_limits(1):  # small matrices: threads cost time, and one core or many must give the same bytes
        fits = _fit_all(
            study, [part.fit for part in parts], [part.name for part in parts], method, seed, n_jobs, progress
        )
        final = fits.pop() if len(parts) > 1 else fits[0]
        progress("judging", 0.75)
        verdicts = [_judge(study, task, parts, fits, n_resamples, unit, seed) for task in tasks]
        fused = pl.concat(
            [_model(study, fit).table(*_rows(study, fit, part)) for fit, part in zip(fits, parts, strict=True)]
        )
    fitted, judged = np.zeros((2, len(study.samples.ids)), dtype=bool)
    fitted[np.concatenate([part.fit for part in parts])] = True
    judged[np.concatenate([part.judged for part in parts])] = True
    manifest = {
        **describe(study, fitted, judged),
        "method": method,
        "seed": seed,
        "n_resamples": n_resamples,
        "unit": unit,
        "inner_cross_validation": [
            {"fold": part.name or None, **{task: fit[task].inner_report() for task in tasks}}
            for part, fit in zip(parts, fits, strict=True)
        ],
        "notes": [note for v in verdicts for note in v.notes],
        "warnings": _warnings(study, allow_in_sample),
    }
    certificate = _certificate(study, parts, fits, final)
    progress("done", 1.0)
    manifest["wall_time_s"] = round(time.perf_counter() - start, 3)
    return Result(
        metrics_frame(verdicts),
        comparisons_frame(verdicts),
        manifest,
        fused.sort("sample_id"),
        certificate,
        _model(study, final),
    )


def _fit_all(
    study: Study,
    fit_rows: list[np.ndarray],
    names: list[str],
    method: str,
    seed: int,
    n_jobs: int | None,
    progress: Progress,
) -> list[dict[str, TaskFit]]:
    """One fit per partition; with several folds a last one on all rows, which is the model to keep."""
    if len(names) > 1:
        fit_rows = [*fit_rows, np.unique(np.concatenate(fit_rows))]
        names = [*(f"fold {name}" for name in names), "all folds"]
    tasks = study.endpoint.tasks
    fits: list[dict[str, TaskFit]] = []
    total = len(fit_rows) * len(tasks)
    for p, (rows, name) in enumerate(zip(fit_rows, names, strict=True)):
        fits.append({})
        for t, task in enumerate(tasks):
            behind, what = p * len(tasks) + t, " ".join(["fitting", name, "" if task == "all" else task]).strip()
            progress(what, 0.75 * behind / total)

            def tick(share: float, behind: int = behind, what: str = what) -> None:
                progress(what, 0.75 * (behind + share) / total)

            fits[-1][task] = fit_task(study, task, rows, method, seed, n_jobs, tick)
    return fits


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


def _judge(
    study: Study,
    task: str,
    parts: list[Partition],
    fits: list[dict[str, TaskFit]],
    n_resamples: int,
    unit: str,
    seed: int,
) -> Verdict:
    predictions: dict[str, list[np.ndarray]] = {}
    rows, folds = [], []
    for f, (part, fit) in enumerate(zip(parts, fits, strict=True)):
        known = part.judged[study.truth[task].known[part.judged]]
        rows.append(known)
        folds.append(np.full(len(known), f))
        for name, log_prob in fit[task].predict(study, task, known).items():
            predictions.setdefault(name, []).append(log_prob)
    taken = np.concatenate(rows)
    judged = Judged(
        study.truth[task].observed[taken],
        np.unique(study.samples.patients[taken].astype(str), return_inverse=True)[1],
        np.concatenate(folds),
        {name: np.concatenate(log_prob) for name, log_prob in predictions.items()},
    )
    judged = average_patients(judged) if unit == "patient" else judged
    contrasts = [(name, other) for name in HEADLINE for other in predictions if other != name]
    return judge(study.endpoint, task, judged, contrasts, n_resamples, seed)


def _model(study: Study, fit: dict[str, TaskFit]) -> FusedModel:
    return FusedModel(
        study.endpoint,
        study.expert_names,
        {expert.name: expert.label_map for expert in study.experts},
        {task: task_fit.frequency for task, task_fit in fit.items()},
        {task: task_fit.fused for task, task_fit in fit.items()},
    )


def _rows(study: Study, fit: dict[str, TaskFit], part: Partition) -> tuple[list[str], dict[str, np.ndarray]]:
    logits = {task: study.logits(task, task_fit.frequency)[part.judged] for task, task_fit in fit.items()}
    return study.samples.ids[part.judged].tolist(), logits


def _certificate(
    study: Study, parts: list[Partition], fits: list[dict[str, TaskFit]], final: dict[str, TaskFit]
) -> dict[str, Any]:
    names = study.expert_names
    (task,) = final
    content = final[task].fused.certificate_.as_dict(names)
    if len(parts) > 1:
        folds = {p.name: fit[task].fused.certificate_.as_dict(names) for p, fit in zip(parts, fits, strict=True)}
        content |= {"folds": folds, "holds": content["holds"] and all(f["holds"] for f in folds.values())}
    return content


def _warnings(study: Study, allow_in_sample: bool) -> list[str]:
    trained = int((study.samples.roles == "train").sum()) if study.samples.roles is not None else 0
    if not (allow_in_sample and trained):
        return []
    fear = "expect the fusion to fail on new rows"
    return [f"the fusion was fitted on {trained} 'train' rows that the experts were trained on: {fear}"]
