"""``evaluate``: judge and compare predictions, fit nothing."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.notes import listed
from pathfuse.evaluation.paired_tests import same_predictions
from pathfuse.evaluation.rules import check_seed
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.gaussian.experts import GaussianExperts, as_moments
from pathfuse.fusion.method import AnyMethod
from pathfuse.fusion.methods import methods_of
from pathfuse.fusion.null_model import NULL_MODEL, for_all, null_log_prob, null_moments
from pathfuse.progress import Progress, silent
from pathfuse.report.frames import comparisons_frame, metrics_frame, tests_frame
from pathfuse.study.samples import Partition, partitions
from pathfuse.study.study import Study
from pathfuse.types import Index, LogProbs, Params
from pathfuse.workflows.manifest import describe
from pathfuse.workflows.options import EVALUATE, FuseOptions, takes_options
from pathfuse.workflows.result import Result
from pathfuse.workflows.steps.curves import show
from pathfuse.workflows.steps.evaluating import (
    check_judging,
    check_patients,
    evaluate_study,
    judged_rows,
    rules_of,
    with_positive,
)
from pathfuse.workflows.steps.fitting import check_names
from pathfuse.workflows.steps.learning import beside_null_model, learning_notes, learning_warnings
from pathfuse.workflows.steps.outer import check_most_scored
from pathfuse.workflows.steps.regression import align_moments, with_judged_targets
from pathfuse.workflows.steps.seen import seen_warnings
from pathfuse.workflows.steps.twins import twin_warnings


def unfitted_methods(endpoint: str) -> dict[str, type[AnyMethod]]:
    """The methods that need no fit.

    Those that choose an expert, only where there are fit rows to choose it on.
    """
    return {name: method for name, method in methods_of(endpoint).items() if not method.fits}


@takes_options(only=EVALUATE, positional=("seed",))
def evaluate(study: Study, options: FuseOptions, *, progress: Progress = silent) -> Result:
    """Judges every expert, and the methods that need no fitting, on the ``test`` rows (all rows if
    no role is given).

    ``best_expert`` joins them where there are fit rows to choose it on. With ``fold`` every fold is
    judged on its own, and the best expert chosen on the others.

    Args:
        study: From ``read_study``; roles are optional here.
        options: Of ``FuseOptions`` the fields ``seed``, ``n_resamples``, ``interval``, ``margin``,
            ``unit`` and ``positive``, each by its name.
        progress: Called as the work goes on.

    Raises:
        InputError: There is no row to judge.

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
    start = time.perf_counter()
    study, unit = with_positive(study, options.positive), options.unit
    check_patients(study, unit)
    pools = unfitted_methods(study.endpoint.kind)
    check_names(study, [*pools, NULL_MODEL])
    check_seed(options.seed)
    rules = rules_of(options, study.samples.drawn)
    check_judging(unit, rules, study.endpoint)
    parts, unjudged = _parts(study), list[str]()
    if study.endpoint.of_numbers:
        study, unjudged = with_judged_targets(
            study, np.concatenate([part.judged for part in parts])
        )
    progress("judging", 0.1)
    with threadpool_limits(1):
        tasks: dict[str, Judged] = {}
        judged_of: dict[str, Index] = {}
        references: list[str] = []
        for task in study.endpoint.tasks:
            said = [_predictions(study, task, part.fit, part.judged) for part in parts]
            rows = [
                (part.fit if len(part.fit) else known, known)
                for part, (_, known) in zip(parts, said, strict=True)
            ]
            heard = [
                (own, predictions)
                for own, (predictions, known) in zip(rows, said, strict=True)
                if len(known)
            ]
            if heard:
                references = [name for name in (*pools, NULL_MODEL) if name in heard[0][1]]
                names = tuple(
                    p.name
                    for p, (_, known) in zip(parts, said, strict=True)
                    if p.name and len(known)
                )
                tasks |= judged_rows(
                    study, task, [r for r, _ in heard], [p for _, p in heard], unit, names
                )
                judged_of[task] = np.concatenate([known for (_, known), _ in heard])
        same = [same_predictions(judged) for judged in tasks.values()]
        itself = {
            n
            for n in study.expert_names
            if all(one.get(n) == one.get("best_expert", "") for one in same)
        }
        contrasts = [
            (name, r)
            for name in study.expert_names
            for r in references
            if r != "best_expert" or name not in itself
        ]
        verdict = evaluate_study(study, tasks, contrasts, rules)
        shown = show(study, tasks, judged_of, unit)
    about_fit, beside_null = (
        _unlearned(study, parts),
        beside_null_model(study.endpoint, verdict, study.expert_names),
    )
    fitted, judged = np.zeros((2, len(study.samples.ids)), dtype=bool)
    judged[np.concatenate([part.judged for part in parts])] = True
    if len(parts) == 1:
        fitted[parts[0].fit] = True
    manifest = {
        **describe(study, fitted, judged),
        "seed": options.seed,
        "n_resamples": options.n_resamples,
        "interval": options.interval,
        "margin": options.margin,
        "unit": unit,
        "folds": len(parts) if len(parts) > 1 else 0,
        "command": None,
        "drawn": rules.drawn,
        "best_experts": _best_experts(study, parts),
        "null_model": beside_null,
        "risk_groups": shown.risk_groups,
        "intervals": verdict.intervals,
        "notes": [*verdict.notes, *about_fit.notes, *learning_notes(beside_null)],
        "warnings": [
            *unjudged,
            *about_fit.warnings,
            *learning_warnings(beside_null),
            *study.samples.warnings,
            *twin_warnings(study, parts),
            *seen_warnings(study, parts),
        ],
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    progress("done", 1.0)
    return Result(
        metrics_frame(verdict),
        comparisons_frame(verdict),
        manifest,
        tests=tests_frame(verdict),
        curves=shown.curves,
        sites=shown.sites,
    )


def _parts(study: Study) -> list[Partition]:
    """The rows to judge, fold by fold, and those that the best expert is chosen on (none without
    roles).

    Raises:
        InputError: There is nothing to judge.
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


def _predictions(
    study: Study, task: str, fit_rows: Index, rows: Index
) -> tuple[dict[str, LogProbs], Index]:
    """What the experts and the pools that need no fitting say of the judged rows with a truth.

    Only truths of the fit rows are learned from; the judged rows' say no more than which of them
    can be judged.
    """
    fit_rows, rows = study.scored(task, fit_rows), study.scored(task, rows)
    if not len(rows):
        return {}, rows
    if study.endpoint.of_numbers:
        return _moments(study, fit_rows, rows), rows
    n_outcomes = len(study.endpoint.outcomes)
    frequency = (
        study.frequency(task, fit_rows) if len(fit_rows) else np.full(n_outcomes, 1 / n_outcomes)
    )
    logits = study.logits(task, np.maximum(frequency, 1e-7))
    experts = Experts.from_logits(logits[rows])
    alone = np.where(experts.present[:, :, None], experts.log_prob, np.nan)
    said: dict[str, LogProbs] = {
        e.name: alone[:, m] for m, e in enumerate(study.experts) if task in e.outputs
    }
    for name, method in unfitted_methods(study.endpoint.kind).items():
        if len(fit_rows) or not method.chooses:
            said[name] = method().pool(
                experts, _learned(study, task, name, fit_rows) if len(fit_rows) else {}
            )
    if len(fit_rows):
        said[NULL_MODEL] = for_all(null_log_prob(study.truth[task].observed[fit_rows]), len(rows))
    return said, rows


def _learned(study: Study, task: str, name: str, fit_rows: Index) -> Params:
    """The parameters of a method that needs no fit, from the fit rows: the order in which it trusts
    the experts.
    """
    method = methods_of(study.endpoint.kind)[name]()
    truth = study.truth[task].observed[fit_rows]
    if study.endpoint.of_numbers:
        known = align_moments(
            study.experts, study.samples.ids[fit_rows].tolist(), len(study.endpoint.outcomes)
        )
        return method.fit_path(known, truth, [0.0])[0]
    logits = study.logits(task, np.maximum(study.frequency(task, fit_rows), 1e-7))
    return method.fit_path(Experts.from_logits(logits[fit_rows]), truth, [0.0])[0]


def _moments(study: Study, fit_rows: Index, rows: Index) -> dict[str, np.ndarray]:
    """The same for a regression.

    Experts that give no sd take it from the fit rows, and have none without such rows.
    """
    experts = align_moments(
        study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes)
    )
    filled = experts
    if len(fit_rows):
        filled = experts.with_variance(
            _learned(study, "all", "uniform_product", fit_rows)["residual_variance"]
        )
    said = {
        e.name: np.concatenate([filled.mean[:, m], filled.variance[:, m]], axis=1)
        for m, e in enumerate(study.experts)
    }
    for name, method in unfitted_methods("regression").items():
        if len(fit_rows):
            said[name] = method().pool(filled, _learned(study, "all", name, fit_rows))
        elif not method.chooses:
            said[name] = _pooled(method(), filled)
    if len(fit_rows):
        said[NULL_MODEL] = for_all(null_moments(study.truth["all"].observed[fit_rows]), len(rows))
    return said


def _pooled(method: AnyMethod, experts: GaussianExperts) -> np.ndarray:
    """Moments of a pool.

    The plain mean, without a variance, for targets of which some expert gives no variance.
    """
    flat = method.pool(experts, {})
    unsure = (experts.present & np.isnan(experts.variance)).any(axis=(0, 1))
    if not unsure.any():
        return flat
    pooled, n = as_moments(flat), np.maximum(experts.present.sum(axis=1), 1)
    plain = np.where(experts.present.any(axis=1), np.nansum(experts.mean, axis=1) / n, np.nan)
    mean = np.where(unsure, plain, pooled.mean)
    return np.concatenate([mean, np.where(unsure, np.nan, pooled.variance)], axis=1)


def _best_experts(study: Study, parts: Sequence[Partition]) -> list[dict[str, Any]]:
    """Who was picked as ``best_expert``, per fold and task; nobody where there are no fit rows."""
    picked: list[dict[str, Any]] = []
    for part in parts:
        rows = {task: study.scored(task, part.fit) for task in study.endpoint.tasks}
        orders = {
            t: _learned(study, t, "best_expert", own)["order"]
            for t, own in rows.items()
            if len(own)
        }
        names = {task: study.expert_names[order[0]] for task, order in orders.items()}
        picked += [{"fold": part.name or None, **names}] if names else []
    return picked


class _Unlearned(NamedTuple):
    """What could not be taken from fit rows."""

    notes: list[str]
    warnings: list[str]


def _unlearned(study: Study, parts: Sequence[Partition]) -> _Unlearned:
    """What could not be taken from fit rows, where there are none."""
    said = _Unlearned([], [])
    if all(len(part.fit) for part in parts):
        return said
    blurred = [e.name for e in study.experts if any(_coarse(o) for o in e.outputs.values())]
    if blurred:
        said.warnings.append(
            f"there are no fit rows, so classes that {listed(blurred)} cannot tell apart share its probability equally"
        )
    if study.endpoint.of_numbers:
        bare = [
            e.name
            for e in study.experts
            if (~np.isnan(e.outputs["all"].mean) & np.isnan(e.outputs["all"].sd)).any()
        ]
        if bare:
            said.warnings.append(
                f"{listed(bare)}: no standard deviation, and no fit rows to take one from, so there is no NLL; pools "
                "average the means with equal weights and have none either"
            )
    if study.endpoint.in_time:
        said.notes.append(
            "there are no fit rows, so c_index_ipcw, ibs and AUCs weigh by the censoring of the judged rows"
        )
    return said


def _coarse(outputs: Any) -> bool:
    """Whether an expert's classes are not one to one with the study's."""
    group = outputs.group
    return bool((group < 0).any() or len(set(group.tolist())) < len(group))
