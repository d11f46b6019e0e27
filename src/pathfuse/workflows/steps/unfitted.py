"""Predictions of the experts and of the methods that need no fitting, for ``evaluate``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.gaussian.experts import GaussianExperts, as_moments
from pathfuse.fusion.method import AnyMethod
from pathfuse.fusion.methods import methods_of
from pathfuse.fusion.null_model import NULL_MODEL, for_all, null_log_prob, null_moments
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.types import Index, LogProbs, Params
from pathfuse.workflows.steps.regression import align_moments
from pathfuse.workflows.steps.risks import baselines_or_fixed


def unfitted_methods(endpoint: str) -> dict[str, type[AnyMethod]]:
    """The methods that need no fit.

    Those that choose an expert, only where there are fit rows to choose it on.
    """
    return {name: method for name, method in methods_of(endpoint).items() if not method.fits}


def unfitted_predictions(
    study: Study, task: str, fit_rows: Index, rows: Index
) -> tuple[dict[str, LogProbs], Index]:
    """Predictions of the experts and of the pools that need no fitting, of the judged rows.

    Only truths of the fit rows are used. Of the judged rows it only matters which have one.

    Returns:
        Predictions by method, and the rows that they are of: those with a truth.
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
    baselines = baselines_or_fixed(study, task, fit_rows)
    logits = study.logits(task, np.maximum(frequency, 1e-7), baselines)
    experts = Experts.from_logits(logits[rows])
    alone = np.where(experts.present[:, :, None], experts.log_prob, np.nan)
    predictions: dict[str, LogProbs] = {
        e.name: alone[:, m] for m, e in enumerate(study.experts) if task in e.outputs
    }
    for name, method in unfitted_methods(study.endpoint.kind).items():
        if len(fit_rows) or not method.chooses:
            predictions[name] = method().pool(
                experts, _learned(study, task, name, fit_rows) if len(fit_rows) else {}
            )
    if len(fit_rows):
        nothing = null_log_prob(study.truth[task].observed[fit_rows])
        predictions[NULL_MODEL] = for_all(nothing, len(rows))
    return predictions, rows


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
    baselines = baselines_or_fixed(study, task, fit_rows)
    logits = study.logits(task, np.maximum(study.frequency(task, fit_rows), 1e-7), baselines)
    return method.fit_path(Experts.from_logits(logits[fit_rows]), truth, [0.0])[0]


def _moments(study: Study, fit_rows: Index, rows: Index) -> dict[str, np.ndarray]:
    """Predicted means and variances of a regression.

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
    predictions = {
        e.name: np.concatenate([filled.mean[:, m], filled.variance[:, m]], axis=1)
        for m, e in enumerate(study.experts)
    }
    for name, method in unfitted_methods("regression").items():
        if len(fit_rows):
            predictions[name] = method().pool(filled, _learned(study, "all", name, fit_rows))
        elif not method.chooses:
            predictions[name] = _pooled(method(), filled)
    if len(fit_rows):
        predictions[NULL_MODEL] = for_all(
            null_moments(study.truth["all"].observed[fit_rows]), len(rows)
        )
    return predictions


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


def best_experts(study: Study, parts: Sequence[Partition]) -> list[dict[str, Any]]:
    """The expert that was picked as ``best_expert``, per fold and task; none where there are no fit rows."""
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
