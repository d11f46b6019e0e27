"""``fuse``: fit on the fit rows, evaluate on the judged rows, certify, describe."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Unpack

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pathfuse.costs import Cost, Meter, Tally, measured, tallied
from pathfuse.errors import InputError, raise_faults, tried
from pathfuse.evaluation.best_by_metric import reference_name
from pathfuse.evaluation.judged import Judged, Verdict
from pathfuse.evaluation.rules import Rules
from pathfuse.progress import Progress, shown_here, within
from pathfuse.report.frames import comparisons_frame, gains_frame, metrics_frame, tests_frame
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.workflows.checks.base import Alarm
from pathfuse.workflows.checks.evidence import principal
from pathfuse.workflows.checks.run import alarms_of
from pathfuse.workflows.manifest import describe
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.options import (
    DEFAULTS,
    REPORT,
    FuseKeywords,
    FuseOptions,
    chosen,
    shows_options,
)
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.grouping import check_by
from pathfuse.workflows.reporting.operating_points import check_operating_point
from pathfuse.workflows.reporting.parts import report_parts
from pathfuse.workflows.reporting.utility import check_horizon, check_utility
from pathfuse.workflows.result import Result
from pathfuse.workflows.steps.ablation import ablate
from pathfuse.workflows.steps.best_by_metric import with_best_by_metric
from pathfuse.workflows.steps.calibration import (
    calibration_report,
    edge_warnings,
    reliability_frame,
    set_warnings,
    tempered,
)
from pathfuse.workflows.steps.certificate import certify
from pathfuse.workflows.steps.costs import check_costs, cost_report
from pathfuse.workflows.steps.curves import CurveTables, curve_tables
from pathfuse.workflows.steps.evaluating import (
    check_evaluation,
    check_patients,
    evaluate_study,
    rules_of,
    with_positive,
)
from pathfuse.workflows.steps.fitting import FusionRecipe, TaskFit, check_names, check_task
from pathfuse.workflows.steps.learning import (
    compare_with_null_model,
    learning_notes,
    learning_warnings,
)
from pathfuse.workflows.steps.outer import (
    Fits,
    fit_all,
    fittable,
    judged_outputs,
    rows_used,
    scored_parts,
)
from pathfuse.workflows.steps.regression import align_moments, with_top_targets
from pathfuse.workflows.steps.risks import risk_warnings
from pathfuse.workflows.steps.seen import digests

HEADLINE = ("fused", "logitprod")
"""Methods that are compared with every other."""


@dataclass(frozen=True)
class _Fitted:
    """A study with everything that was fitted to it."""

    study: Study
    parts: Sequence[Partition]
    tasks: Sequence[str]
    recipe: FusionRecipe
    fits: Fits
    """One per part."""
    final: dict[str, TaskFit]
    """The fit that is kept, per task: with several parts, on all rows."""
    spent: Meter
    counted: Tally
    """Operations of all fits."""


@dataclass(frozen=True)
class _Evaluated:
    """What the judged rows show of the fits."""

    judged: dict[str, Judged]
    """By output."""
    at_temperature: dict[str, Judged]
    verdict: Verdict
    fused: pl.DataFrame
    """The columns of ``fused.parquet``."""
    predict_flops: float
    """Operations of the fused predictions of all judged rows."""
    tables: CurveTables
    best_by_metric: list[dict[str, Any]]
    """Per fold the metric, and the best expert by it."""
    report: ReportPart
    """What the parts of the report add."""


@shows_options()
def fuse(
    study: Study,
    method: str = DEFAULTS.method,
    seed: int = DEFAULTS.seed,
    *,
    n_jobs: int | None = None,
    costs: Mapping[str, Cost] | None = None,
    references: Mapping[str, Sequence[str]] | None = None,
    progress: Progress | None = None,
    **options: Unpack[FuseKeywords],
) -> Result:
    """Fuses a study and evaluates the fusion together with simpler methods.

    Args:
        study: From ``read_study``.
        method: ``auto`` (a council of all methods), ``choose``, or one method's name.
        seed: Of all random choices.
        n_jobs: Processes, as in joblib; inside ``on_cluster`` the resamples of large tables go there.
        costs: What experts cost, by name, for the manifest and the report; one that is missing is
            not recorded.
        references: Experts that are also compared with other experts, by name.
        progress: Called as the work goes on; default: a bar in a notebook, and nothing elsewhere.
        **options: The other fields of ``FuseOptions`` by their names, such as ``coverage=0.9``.

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
    start, progress = time.perf_counter(), progress or shown_here()
    settings = chosen(method=method, seed=seed, **options)
    study = with_positive(study, settings.positive).with_own_folds()
    recipe = _recipe(settings, n_jobs)
    rules = rules_of(settings, study.samples.drawn, n_jobs)
    _check(study, settings, recipe, rules, costs or {})
    parts = scored_parts(study, settings.allow_in_sample, settings.skip_unscored)
    check_horizon(study, settings.horizon, [part.judged for part in parts])
    alarms = alarms_of(study, parts, fitting=True)
    study, tasks, unfitted = fittable(study, parts, recipe)
    study, chosen_targets = with_top_targets(study, [p.fit for p in parts], settings.top_genes)
    # Small matrices: threads cost time, and one core or many must give the same bytes.
    with threadpool_limits(1):
        fitted = _fit(study, parts, tasks, recipe, progress)
        progress("evaluating", 0.75)
        found = _evaluate(fitted, settings, rules, references or {})
        certificate = certify(study, parts, fitted.fits, fitted.final)
        ablated = None
        if settings.ablation:
            best = certificate["best_expert"]
            ablated = _ablate(fitted, found, best, settings.unit, rules, progress)
    model = _kept_model(study, fitted.final)
    manifest = _manifest(fitted, found, certificate, settings, rules, unfitted, alarms)
    manifest["notes"] = [*chosen_targets, *manifest["notes"]]
    manifest["costs"] = _cost_report(fitted, found, costs or {}, model)
    manifest["wall_time_s"] = round(time.perf_counter() - start, 3)
    progress("done", 1.0)
    return Result(
        metrics_frame(found.verdict),
        comparisons_frame(found.verdict),
        manifest,
        found.fused.sort("sample_id"),
        certificate,
        model,
        reliability_frame(study.endpoint, found.at_temperature),
        tests_frame(found.verdict),
        gains_frame(found.verdict),
        ablated,
        found.tables.curves,
        found.tables.sites,
        found.report.tables,
    )


def faults_of_fuse(
    study: Study, method: str = DEFAULTS.method, seed: int = DEFAULTS.seed, **options: Any
) -> list[str]:
    """Everything that ``fuse`` would refuse, a sentence each, without fitting.

    Args:
        study: From ``read_study``.
        method: As of ``fuse``.
        seed: As of ``fuse``.
        **options: As of ``fuse``.
    """
    settings, study = chosen(method=method, seed=seed, **options), study.with_own_folds()
    recipe, rules = _recipe(settings, None), rules_of(settings, study.samples.drawn)

    def check_parts() -> None:
        parts = scored_parts(study, settings.allow_in_sample, settings.skip_unscored)
        check_horizon(study, settings.horizon, [part.judged for part in parts])
        _, tasks, _ = fittable(study, parts, recipe)
        jobs = [(task, part) for part in parts for task in tasks]
        of_fold = {part.name: f" of fold {part.name}" if part.name else "" for part in parts}
        raise_faults(
            tried(
                jobs,
                lambda job: check_task(study, job[0], job[1].fit, recipe, of_fold[job[1].name]),
            )[1]
        )

    def check_positive() -> None:
        with_positive(study, settings.positive)

    def check_options() -> None:
        _check(study, settings, recipe, rules, {})

    return tried([check_positive, check_options, check_parts], lambda step: step())[1]


def _recipe(settings: FuseOptions, n_jobs: int | None) -> FusionRecipe:
    return FusionRecipe(
        settings.method,
        settings.seed,
        settings.gate,
        settings.expert_dropout,
        n_jobs,
        settings.coverage,
    )


def _check(
    study: Study,
    settings: FuseOptions,
    recipe: FusionRecipe,
    rules: Rules,
    costs: Mapping[str, Cost],
) -> None:
    """Refuses what cannot be fitted or evaluated, before any work.

    Raises:
        InputError: An option is out of range, options contradict each other, or a cost belongs to
            no expert.
    """
    recipe.check(study)
    check_names(study, [reference_name(principal(study).name)])
    check_evaluation(settings.unit, rules, study.endpoint)
    check_utility(study.endpoint, settings)
    check_operating_point(study.endpoint, settings)
    check_by(study.samples, study.endpoint, settings.by)
    if settings.coverage is not None and settings.unit == "patient":
        raise InputError(
            "--coverage makes sets of samples, not of patients; leave out --unit patient"
        )
    check_patients(study, settings.unit)
    check_costs(study, costs)


def _fit(
    study: Study,
    parts: Sequence[Partition],
    tasks: Sequence[str],
    recipe: FusionRecipe,
    progress: Progress,
) -> _Fitted:
    with measured() as spent, tallied() as counted:
        fits = fit_all(study, parts, tasks, recipe, progress)
    final = fits.pop() if len(parts) > 1 else fits[0]
    return _Fitted(study, parts, tasks, recipe, fits, final, spent, counted)


def _evaluate(
    fitted: _Fitted, settings: FuseOptions, rules: Rules, references: Mapping[str, Sequence[str]]
) -> _Evaluated:
    """Predictions of the judged rows, and all that is computed from them."""
    study, parts, fits, unit = fitted.study, fitted.parts, fitted.fits, settings.unit
    judged: dict[str, Judged] = {}
    for task in fitted.tasks:
        judged |= judged_outputs(study, task, parts, fits, unit)
    at_temperature: dict[str, Judged] = {}
    for task in fitted.tasks:
        at_temperature |= _tempered(study, task, judged, fits)
    pairs = [(name, other) for name, others in references.items() for other in others]
    fair = with_best_by_metric(study, judged, parts)
    contrasts = [*_contrasts(fair.judged), *pairs]
    verdict = evaluate_study(study, fair.judged, contrasts, rules)
    with tallied() as predicting:
        fused = pl.concat([_fused(study, fit, part) for fit, part in zip(fits, parts, strict=True)])
    rows = {
        task: np.concatenate([study.scored(task, part.judged) for part in parts])
        for task in fitted.tasks
    }
    tables = curve_tables(study, judged, rows, unit)
    report = report_parts(JudgedRun(study, judged, rows, parts, fits, verdict, settings, rules))
    return _Evaluated(
        judged, at_temperature, verdict, fused, predicting.flops, tables, fair.chosen, report
    )


def _ablate(
    fitted: _Fitted, found: _Evaluated, best: str, unit: str, rules: Rules, progress: Progress
) -> pl.DataFrame:
    return ablate(
        fitted.study,
        fitted.parts,
        fitted.tasks,
        found.judged,
        best,
        fitted.recipe,
        rules,
        unit=unit,
        progress=within(progress, 0.75, 1.0),
    )


def _kept_model(study: Study, final: dict[str, TaskFit]) -> FusedModel:
    return replace(_model(study, final), fitted=_fitted_ids(study, final))


def _manifest(
    fitted: _Fitted,
    found: _Evaluated,
    certificate: Mapping[str, Any],
    settings: FuseOptions,
    rules: Rules,
    unfitted: Sequence[str],
    alarms: Sequence[Alarm],
) -> dict[str, Any]:
    """``manifest.json`` without costs and time."""
    study, parts, fits = fitted.study, fitted.parts, fitted.fits
    null_comparison = compare_with_null_model(study.endpoint, found.verdict, ("fused",))
    of_all_folds = {"best_expert_of_all_folds": certificate["best_expert"]}
    in_sample = _in_sample_warning(study, settings.allow_in_sample)
    return {
        **describe(study, *rows_used(study, parts, fits)),
        **asdict(fitted.recipe),
        **asdict(rules),
        **settings.named(["unit", "top_genes", "allow_in_sample", "skip_unscored", "ablation"]),
        **settings.named(REPORT),
        "command": None,
        "inner_cross_validation": _inner_reports(parts, fits),
        "calibration": calibration_report(study.endpoint, found.at_temperature, rules),
        "best_experts": _best_experts(study, parts, fits),
        "best_experts_by_metric": found.best_by_metric,
        **(of_all_folds if len(parts) > 1 else {}),
        "null_model": null_comparison,
        "risk_groups": found.tables.risk_groups,
        "conformal": {
            task: fit.sets.as_dict() for task, fit in fitted.final.items() if fit.sets is not None
        },
        "intervals": found.verdict.intervals,
        **found.report.manifest,
        "notes": [*found.verdict.notes, *learning_notes(null_comparison), *found.report.notes],
        "warnings": [
            *unfitted,
            *learning_warnings(null_comparison),
            *edge_warnings(fits),
            *risk_warnings(study, parts),
            *in_sample,
            *(alarm.sentence for alarm in alarms),
            *found.report.warnings,
            *set_warnings(study.endpoint, fitted.final, settings.coverage, study.samples.drawn),
        ],
        "alarms": [
            *(Alarm("in sample", one).as_dict() for one in in_sample),
            *(a.as_dict() for a in alarms),
        ],
    }


def _cost_report(
    fitted: _Fitted, found: _Evaluated, costs: Mapping[str, Cost], model: FusedModel
) -> dict[str, Any]:
    flops = found.predict_flops / found.fused.height
    return cost_report(fitted.study, costs, model, fitted.spent, fitted.counted, flops)


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


def _model(study: Study, fit: dict[str, TaskFit]) -> FusedModel:
    return FusedModel(
        study.endpoint,
        study.expert_names,
        {expert.name: expert.label_map for expert in study.experts},
        {task: task_fit.frequency for task, task_fit in fit.items()},
        {task: task_fit.fused for task, task_fit in fit.items()},
        {task: task_fit.sets for task, task_fit in fit.items() if task_fit.sets is not None},
        baselines={name: one for own in fit.values() for name, one in own.baselines.items()},
        class_orders={e.name: e.class_order for e in study.experts if e.class_order},
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
        task: study.logits(task, task_fit.frequency, task_fit.baselines)[part.judged]
        for task, task_fit in fit.items()
    }
    return model.table(ids, logits)


def _in_sample_warning(study: Study, allow_in_sample: bool) -> list[str]:
    trained = int((study.samples.roles == "train").sum()) if study.samples.roles is not None else 0
    if not (allow_in_sample and trained):
        return []
    fear = "expect the fusion to fail on new rows"
    return [
        f"the fusion was fitted on {trained} 'train' rows that the experts were trained on: {fear}"
    ]
