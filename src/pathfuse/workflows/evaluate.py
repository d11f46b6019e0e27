"""``evaluate``: score and compare predictions, fit nothing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError, tried
from pathfuse.evaluation.best_by_metric import reference_name
from pathfuse.evaluation.judged import Judged, Verdict
from pathfuse.evaluation.notes import listed
from pathfuse.evaluation.paired_tests import same_predictions
from pathfuse.evaluation.rules import Rules, check_seed
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.progress import Progress, shown_here
from pathfuse.report.frames import comparisons_frame, metrics_frame, tests_frame
from pathfuse.study.samples import Partition, partitions
from pathfuse.study.study import Study
from pathfuse.types import Index
from pathfuse.workers import check_jobs
from pathfuse.workflows.checks.base import Alarm
from pathfuse.workflows.checks.evidence import principal
from pathfuse.workflows.checks.run import alarms_of
from pathfuse.workflows.manifest import describe
from pathfuse.workflows.options import (
    DEFAULTS,
    EVALUATE,
    REPORT,
    EvaluateKeywords,
    FuseOptions,
    chosen,
    shows_options,
)
from pathfuse.workflows.reporting.base import JudgedRun
from pathfuse.workflows.reporting.grouping import check_by
from pathfuse.workflows.reporting.operating_points import check_operating_point
from pathfuse.workflows.reporting.parts import report_parts
from pathfuse.workflows.reporting.utility import check_horizon, check_utility
from pathfuse.workflows.result import Result
from pathfuse.workflows.steps.best_by_metric import with_best_by_metric
from pathfuse.workflows.steps.curves import CurveTables, curve_tables
from pathfuse.workflows.steps.evaluating import (
    check_evaluation,
    check_patients,
    evaluate_study,
    judged_rows,
    rules_of,
    with_positive,
)
from pathfuse.workflows.steps.fitting import check_names
from pathfuse.workflows.steps.learning import (
    compare_with_null_model,
    learning_notes,
    learning_warnings,
)
from pathfuse.workflows.steps.outer import check_most_scored, rows_used
from pathfuse.workflows.steps.regression import with_judged_targets
from pathfuse.workflows.steps.risks import risk_warnings
from pathfuse.workflows.steps.unfitted import best_experts, unfitted_methods, unfitted_predictions


@dataclass(frozen=True)
class _JudgedStudy:
    """The judged rows of a study with all predictions."""

    tasks: dict[str, Judged]
    """By output."""
    rows: dict[str, Index]
    """By task, the study's rows, fold after fold."""
    references: tuple[str, ...]
    """Methods that every expert is compared with."""
    parts: tuple[Partition, ...]
    """Those that have rows to judge, fold by fold."""


@shows_options(only=EVALUATE)
def evaluate(
    study: Study,
    seed: int = DEFAULTS.seed,
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[EvaluateKeywords],
) -> Result:
    """Evaluates every expert, and the methods that need no fitting, on the ``test`` rows (all rows if
    no role is given).

    ``best_expert`` joins them where there are fit rows to choose it on. With ``fold`` every fold is
    judged on its own, and the best expert chosen on the others.

    Args:
        study: From ``read_study``; roles are optional here.
        seed: Of all random choices.
        n_jobs: Processes that work on the resamples of large tables, as in joblib; inside
            ``on_cluster`` they go there.
        progress: Called as the work goes on; default: a bar in a notebook, and nothing elsewhere.
        **options: Of ``FuseOptions`` the fields ``n_resamples``, ``interval``, ``margin``,
            ``unit`` and ``positive``, each by its name.

    Raises:
        InputError: There is no row to evaluate.

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
        >>> metrics = pathfuse.evaluate(study, n_resamples=0).metrics
        >>> metrics["method"].unique(maintain_order=True).to_list()[:4]
        ['conch', 'uni', 'best_expert', 'mean_probability']
    """
    start, progress = time.perf_counter(), progress or shown_here()
    settings = chosen(seed=seed, **options)
    study = with_positive(study, settings.positive)
    check_jobs(n_jobs)
    rules = rules_of(settings, study.samples.drawn, n_jobs)
    _check(study, settings, rules)
    parts, unjudged = _parts(study), list[str]()
    check_horizon(study, settings.horizon, [part.judged for part in parts])
    alarms = alarms_of(study.with_own_folds(), parts if study.own_folds is None else None)
    if study.endpoint.of_numbers:
        rows = np.concatenate([part.judged for part in parts])
        study, unjudged = with_judged_targets(study, rows)
    progress("evaluating", 0.1)
    with threadpool_limits(1):  # as in fuse
        judged = _judged_study(study, parts, settings.unit)
        fair = with_best_by_metric(study, judged.tasks, judged.parts)
        contrasts = _contrasts(study, fair.judged, judged.references)
        verdict = evaluate_study(study, fair.judged, contrasts, rules)
        tables = curve_tables(study, judged.tasks, judged.rows, settings.unit)
        report = report_parts(
            JudgedRun(
                study, judged.tasks, judged.rows, judged.parts, None, verdict, settings, rules
            )
        )
    manifest = _manifest(study, parts, verdict, tables, settings, rules, unjudged, alarms)
    manifest |= report.manifest
    manifest["notes"] += report.notes
    manifest["warnings"] += report.warnings
    manifest["best_experts_by_metric"] = fair.chosen
    manifest["wall_time_s"] = round(time.perf_counter() - start, 3)
    progress("done", 1.0)
    return Result(
        metrics_frame(verdict),
        comparisons_frame(verdict),
        manifest,
        tests=tests_frame(verdict),
        curves=tables.curves,
        sites=tables.sites,
        tables=report.tables,
    )


def faults_of_evaluate(study: Study, seed: int = DEFAULTS.seed, **options: Any) -> list[str]:
    """Everything that ``evaluate`` would refuse, a sentence each.

    Args:
        study: From ``read_study``.
        seed: As of ``evaluate``.
        **options: As of ``evaluate``.
    """
    settings = chosen(seed=seed, **options)

    def check_positive() -> None:
        with_positive(study, settings.positive)

    def check_options() -> None:
        _check(study, settings, rules_of(settings, study.samples.drawn))

    def check_parts() -> None:
        judged = [part.judged for part in _parts(study)]
        check_horizon(study, settings.horizon, judged)

    return tried([check_positive, check_options, check_parts], lambda step: step())[1]


def _check(study: Study, settings: FuseOptions, rules: Rules) -> None:
    """Refuses what cannot be evaluated, before any work.

    Raises:
        InputError: An option is out of range, or an expert is named like a method.
    """
    check_patients(study, settings.unit)
    by_metric = reference_name(principal(study).name)
    check_names(study, [*unfitted_methods(study.endpoint.kind), NULL_MODEL, by_metric])
    check_seed(settings.seed)
    check_evaluation(settings.unit, rules, study.endpoint)
    check_utility(study.endpoint, settings)
    check_operating_point(study.endpoint, settings)
    check_by(study.samples, study.endpoint, settings.by)


def _judged_study(study: Study, parts: Sequence[Partition], unit: str) -> _JudgedStudy:
    """Predictions of the judged rows of every task, without fitting."""
    tasks: dict[str, Judged] = {}
    rows_of: dict[str, Index] = {}
    references: tuple[str, ...] = ()
    wanted = (*unfitted_methods(study.endpoint.kind), NULL_MODEL)
    for task in study.endpoint.tasks:
        predictions, rows, names = [], [], []
        for part in parts:
            found, known = unfitted_predictions(study, task, part.fit, part.judged)
            if not len(known):
                continue
            predictions.append(found)
            rows.append((part.fit if len(part.fit) else known, known))
            names.append(part.name)
        if not predictions:
            continue
        references = tuple(name for name in wanted if name in predictions[0])
        folds = tuple(name for name in names if name)
        tasks |= judged_rows(study, task, rows, predictions, unit, folds)
        rows_of[task] = np.concatenate([known for _, known in rows])
    used = tuple(part for part in parts if len(part.judged))
    return _JudgedStudy(tasks, rows_of, references, used)


def _contrasts(
    study: Study, tasks: Mapping[str, Judged], references: Sequence[str]
) -> list[tuple[str, str]]:
    """Every expert with every reference; not with a best expert that is itself."""
    same = [same_predictions(one) for one in tasks.values()]
    bests = ["best_expert", reference_name(principal(study).name)]
    named = [*references, *(b for b in bests[1:] if any(b in one for one in same))]

    def is_itself(name: str, reference: str) -> bool:
        return reference in bests and all(one.get(name) == one.get(reference, "") for one in same)

    return [
        (name, reference)
        for name in study.expert_names
        for reference in named
        if not is_itself(name, reference)
    ]


def _manifest(
    study: Study,
    parts: Sequence[Partition],
    verdict: Verdict,
    tables: CurveTables,
    settings: FuseOptions,
    rules: Rules,
    unjudged: Sequence[str],
    alarms: Sequence[Alarm],
) -> dict[str, Any]:
    """``manifest.json`` without the time."""
    about_fit = _unlearned(study, parts)
    null_comparison = compare_with_null_model(study.endpoint, verdict, study.expert_names)
    return {
        **describe(study, *rows_used(study, parts, None)),
        **settings.named(["seed", "n_resamples", "interval", "margin", "unit", *REPORT]),
        "folds": len(parts) if len(parts) > 1 else 0,
        "command": None,
        "drawn": rules.drawn,
        "best_experts": best_experts(study, parts),
        "null_model": null_comparison,
        "risk_groups": tables.risk_groups,
        "intervals": verdict.intervals,
        "notes": [*verdict.notes, *about_fit.notes, *learning_notes(null_comparison)],
        "warnings": [
            *unjudged,
            *about_fit.warnings,
            *learning_warnings(null_comparison),
            *risk_warnings(study, parts),
            *(alarm.sentence for alarm in alarms),
        ],
        "alarms": [alarm.as_dict() for alarm in alarms],
    }


def _parts(study: Study) -> list[Partition]:
    """The judged rows, fold by fold, and those that the best expert is chosen on (none without
    roles).

    Raises:
        InputError: There is nothing to evaluate.
    """
    samples, scored = study.samples, study.n_scored() > 0
    taking_part = (
        samples.roles != "train" if samples.roles is not None else np.ones(len(scored), dtype=bool)
    )
    check_most_scored(study, np.flatnonzero(taking_part))
    if samples.folds is not None:
        folds = [p for p in partitions(samples, allow_in_sample=False) if scored[p.judged].any()]
        parts = [Partition(p.name, p.fit[scored[p.fit]], p.judged[scored[p.judged]]) for p in folds]
    else:
        roles = samples.roles if samples.roles is not None else np.full(len(scored), "test")
        if not (roles == "test").any():
            raise InputError(f"{samples.source}, column 'split': no row has the role 'test'")
        fit, judged = (np.flatnonzero(scored & (roles == role)) for role in ("fit", "test"))
        parts = [Partition("", fit, judged)] if len(judged) else []
    if not parts:
        raise InputError(f"{samples.source}: the experts scored no row that could be judged")
    return parts


class _Unlearned(NamedTuple):
    """What could not be taken from fit rows."""

    notes: list[str]
    warnings: list[str]


def _unlearned(study: Study, parts: Sequence[Partition]) -> _Unlearned:
    """What could not be taken from fit rows, where there are none."""
    found = _Unlearned([], [])
    if all(len(part.fit) for part in parts):
        return found
    blurred = [e.name for e in study.experts if any(_coarse(o) for o in e.outputs.values())]
    if blurred:
        found.warnings.append(
            f"there are no fit rows, so classes that {listed(blurred)} cannot tell apart share its probability equally"
        )
    if study.endpoint.of_numbers:
        bare = [
            e.name
            for e in study.experts
            if (~np.isnan(e.outputs["all"].mean) & np.isnan(e.outputs["all"].sd)).any()
        ]
        if bare:
            found.warnings.append(
                f"{listed(bare)}: no standard deviation, and no fit rows to take one from, so there is no NLL; pools "
                "average the means with equal weights and have none either"
            )
    if study.endpoint.in_time:
        found.notes.append(
            "there are no fit rows, so c_index_ipcw, ibs and AUCs weigh by the censoring of the judged rows"
        )
    return found


def _coarse(outputs: Any) -> bool:
    """Whether an expert's classes are not one to one with the study's."""
    group = outputs.group
    return bool((group < 0).any() or len(set(group.tolist())) < len(group))
