"""``fuse``: fit on the fit rows, judge on the others, certify, describe."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pathfuse.costs import Cost, measured, tallied
from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged
from pathfuse.progress import Progress, silent, within
from pathfuse.report.frames import comparisons_frame, metrics_frame, tests_frame
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.workflows.manifest import describe
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.options import FuseOptions, takes_options
from pathfuse.workflows.result import Result
from pathfuse.workflows.steps.ablation import ablate
from pathfuse.workflows.steps.calibration import (
    calibration_report,
    edge_warnings,
    reliability_frame,
    set_warnings,
    tempered,
)
from pathfuse.workflows.steps.costs import check_costs, cost_report
from pathfuse.workflows.steps.curves import show
from pathfuse.workflows.steps.evaluating import (
    check_judging,
    check_patients,
    evaluate_study,
    rules_of,
    with_positive,
)
from pathfuse.workflows.steps.fitting import Recipe, TaskFit
from pathfuse.workflows.steps.learning import beside_null_model, learning_notes, learning_warnings
from pathfuse.workflows.steps.outer import Fits, fit_all, fittable, judged_outputs, scored_parts
from pathfuse.workflows.steps.regression import align_moments
from pathfuse.workflows.steps.seen import digests, seen_warnings
from pathfuse.workflows.steps.twins import twin_warnings

HEADLINE = ("fused", "logitprod")
"""Methods that are compared with every other."""


@takes_options(positional=("method", "seed"))
def fuse(
    study: Study,
    options: FuseOptions,
    *,
    n_jobs: int | None = None,
    costs: Mapping[str, Cost] | None = None,
    references: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Result:
    """Fuses a study and judges the fusion beside its rivals.

    Args:
        study: From ``read_study``.
        options: Each field of ``FuseOptions`` by its name, such as ``method="logitprod"`` and
            ``seed=1``.
        n_jobs: Processes, as in joblib.
        costs: What experts cost, by name, for the manifest and the report; one that is missing is
            not recorded.
        references: Experts that are compared with another expert besides, by name.
        progress: Called as the work goes on.

    Raises:
        InputError: The study cannot be fitted or judged; one sentence says why.

    Examples:
        >>> import polars as pl
        >>> import pathfuse
        >>> ids = [f"s{i}" for i in range(20)]
        >>> samples = pl.DataFrame(
        ...     {"sample_id": ids, "split": ["fit"] * 10 + ["test"] * 10, "label": ["normal", "tumor"] * 10}
        ... )
        >>> uni = pl.DataFrame({"sample_id": ids, "logit_tumor": [-1.0, 2.0] * 10, "logit_normal": [0.5, 0.3] * 10})
        >>> conch = pl.DataFrame({"sample_id": ids, "prob_normal": [0.7, 0.2] * 10, "prob_tumor": [0.3, 0.8] * 10})
        >>> study = pathfuse.read_study(samples, {"uni": uni, "conch": conch.head(18)})
        >>> result = pathfuse.fuse(study, method="static_product", n_resamples=0)
        >>> result.fused.columns[:4]
        ['sample_id', 'prob_normal', 'prob_tumor', 'prediction']
        >>> result.certificate["holds"], result.manifest["rows"]["judged"]
        (True, 10)
    """
    start = time.perf_counter()
    study, unit, coverage = with_positive(study, options.positive), options.unit, options.coverage
    recipe = Recipe(
        options.method, options.seed, options.gate, options.expert_dropout, n_jobs, coverage
    )
    recipe.check(study)
    rules = rules_of(options, study.samples.drawn)
    check_judging(unit, rules, study.endpoint)
    if coverage is not None and unit == "patient":
        raise InputError(
            "--coverage makes sets of samples, not of patients; leave out --unit patient"
        )
    check_patients(study, unit)
    check_costs(study, costs or {})
    parts = scored_parts(study, options.allow_in_sample, options.skip_unscored)
    study, tasks, unfitted = fittable(study, parts, recipe)
    with threadpool_limits(
        1
    ):  # small matrices: threads cost time, and one core or many must give the same bytes
        with measured() as fitting, tallied() as counted:
            fits = fit_all(study, parts, tasks, recipe, progress)
        final = fits.pop() if len(parts) > 1 else fits[0]
        progress("judging", 0.75)
        judged = {
            name: j
            for task in tasks
            for name, j in judged_outputs(study, task, parts, fits, unit).items()
        }
        at_temperature = {
            name: j for task in tasks for name, j in _tempered(study, task, judged, fits).items()
        }
        verdict = evaluate_study(
            study, judged, [*_contrasts(judged), *(references or {}).items()], rules
        )
        with tallied() as predicting:
            fused = pl.concat(
                [_fused(study, fit, part) for fit, part in zip(fits, parts, strict=True)]
            )
        rows = {
            task: np.concatenate([study.scored(task, part.judged) for part in parts])
            for task in tasks
        }
        shown = show(study, judged, rows, unit)
        certificate = _certificate(study, parts, fits, final)
        ablated = None
        if options.ablation:
            best, then = certificate["best_expert"], within(progress, 0.75, 1.0)
            ablated = ablate(
                study, parts, tasks, judged, best, recipe, rules, unit=unit, progress=then
            )
    model = replace(_model(study, final), fitted=_fitted_ids(study, final))
    beside_null = beside_null_model(study.endpoint, verdict, ("fused",))
    manifest = {
        **describe(study, *_masks(study, parts, fits)),
        **asdict(recipe),
        **asdict(rules),
        **options.named(["unit", "allow_in_sample", "skip_unscored", "ablation"]),
        "command": None,
        "inner_cross_validation": _inner_reports(parts, fits),
        "calibration": calibration_report(study.endpoint, at_temperature, rules),
        "best_experts": _best_experts(study, parts, fits),
        **({"best_expert_of_all_folds": certificate["best_expert"]} if len(parts) > 1 else {}),
        "null_model": beside_null,
        "risk_groups": shown.risk_groups,
        "conformal": {
            task: fit.sets.as_dict() for task, fit in final.items() if fit.sets is not None
        },
        "intervals": verdict.intervals,
        "notes": [*verdict.notes, *learning_notes(beside_null)],
        "warnings": [
            *unfitted,
            *learning_warnings(beside_null),
            *edge_warnings(fits),
            *_in_sample_warning(study, options.allow_in_sample),
            *study.samples.warnings,
            *twin_warnings(study, parts),
            *seen_warnings(study, parts, fitting=True),
            *set_warnings(study.endpoint, final, coverage, study.samples.drawn),
        ],
        "costs": cost_report(
            study, costs or {}, model, fitting, counted, predicting.flops / fused.height
        ),
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    progress("done", 1.0)
    return Result(
        metrics_frame(verdict),
        comparisons_frame(verdict),
        manifest,
        fused.sort("sample_id"),
        certificate,
        model,
        reliability_frame(study.endpoint, at_temperature),
        tests_frame(verdict),
        ablated,
        shown.curves,
        shown.sites,
    )


def _contrasts(judged: dict[str, Judged]) -> list[tuple[str, str]]:
    others = dict.fromkeys(name for one in judged.values() for name in one.predictions)
    return [(name, other) for name in HEADLINE for other in others if other != name]


def _inner_reports(parts: Sequence[Partition], fits: Fits) -> list[dict[str, Any]]:
    return [
        {
            "fold": part.name or None,
            **{task: task_fit.inner_report() for task, task_fit in fit.items()},
        }
        for part, fit in zip(parts, fits, strict=True)
    ]


def _best_experts(study: Study, parts: Sequence[Partition], fits: Fits) -> list[dict[str, Any]]:
    """Who was picked as ``best_expert``, per fold and task."""
    names = study.expert_names
    return [
        {
            "fold": part.name or None,
            **{task: names[task_fit.best_expert] for task, task_fit in fit.items()},
        }
        for part, fit in zip(parts, fits, strict=True)
    ]


def _tempered(study: Study, task: str, judged: dict[str, Judged], fits: Fits) -> dict[str, Judged]:
    temperatures = np.array([fit[task].temperature for fit in fits])
    outputs = study.endpoint.outcomes if study.endpoint.of_numbers else [task]
    there = [name for name in outputs if len(judged[name].observed)]
    return {name: tempered(study.endpoint, judged[name], temperatures) for name in there}


def _masks(
    study: Study, parts: Sequence[Partition], fits: Fits
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that were fitted on, judged on, and calibrated on, over all folds and labels."""
    fitted, judged, calibrating = np.zeros((3, len(study.samples.ids)), dtype=bool)
    for part, by_task in zip(parts, fits, strict=True):
        judged[part.judged] = True
        for fit in by_task.values():
            fitted[fit.rows] = True
            calibrating[fit.calibrating] = True
    return fitted, judged, calibrating


def _model(study: Study, fit: dict[str, TaskFit]) -> FusedModel:
    return FusedModel(
        study.endpoint,
        study.expert_names,
        {expert.name: expert.label_map for expert in study.experts},
        {task: task_fit.frequency for task, task_fit in fit.items()},
        {task: task_fit.fused for task, task_fit in fit.items()},
        {task: task_fit.sets for task, task_fit in fit.items() if task_fit.sets is not None},
    )


def _fitted_ids(study: Study, fit: dict[str, TaskFit]) -> np.ndarray:
    """Digests of the samples that a model was fitted or calibrated on."""
    rows = np.unique(
        np.concatenate([part for one in fit.values() for part in (one.rows, one.calibrating)])
    )
    return digests(study.samples.ids[rows].tolist())


def _fused(study: Study, fit: dict[str, TaskFit], part: Partition) -> pl.DataFrame:
    ids, model = study.samples.ids[part.judged].tolist(), _model(study, fit)
    if study.endpoint.of_numbers:
        return model.table_of_moments(
            ids, align_moments(study.experts, ids, len(study.endpoint.outcomes))
        )
    logits = {
        task: study.logits(task, task_fit.frequency)[part.judged] for task, task_fit in fit.items()
    }
    return model.table(ids, logits)


def _certificate(
    study: Study, parts: Sequence[Partition], fits: Fits, final: dict[str, TaskFit]
) -> dict[str, Any]:
    """The certificate of the model that is kept; per label and per fold where there are several."""
    content = _task_certificates(study, final)
    if len(parts) > 1:
        folds = {
            part.name: _task_certificates(study, fit) for part, fit in zip(parts, fits, strict=True)
        }
        content |= {
            "folds": folds,
            "holds": content["holds"] and all(f["holds"] for f in folds.values()),
        }
    return content


def _task_certificates(study: Study, fit: dict[str, TaskFit]) -> dict[str, Any]:
    certificates = {
        task: task_fit.fused.certificate_.as_dict(study.expert_names)
        for task, task_fit in fit.items()
    }
    if len(certificates) == 1:
        return next(iter(certificates.values()))
    n = len(certificates)
    experts = {
        name: sum(c["experts"][name] for c in certificates.values()) / n
        for name in study.expert_names
    }
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
    return [
        f"the fusion was fitted on {trained} 'train' rows that the experts were trained on: {fear}"
    ]
