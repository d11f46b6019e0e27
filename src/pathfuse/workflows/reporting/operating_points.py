"""Decisions on the judged rows: at a threshold that was fixed on the fit rows, or for the most
probable of several classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from pathfuse.endpoints.base import Endpoint
from pathfuse.errors import InputError
from pathfuse.evaluation.estimates import Estimate, estimate
from pathfuse.evaluation.judged import Judged, average_patients, predicted
from pathfuse.evaluation.metrics.classification import class_score
from pathfuse.evaluation.notes import listed
from pathfuse.evaluation.operating_points import (
    FIGURES,
    YOUDEN,
    DecisionScores,
    Rule,
    called,
    choose_threshold,
    confusion,
    figure_of,
    parse_rule,
)
from pathfuse.study.samples import Partition
from pathfuse.types import Index, LogProbs
from pathfuse.workflows.options import DEFAULTS, FuseOptions
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.resamples import (
    Output,
    decided_outcomes,
    resampled_outputs,
    shown_methods,
)
from pathfuse.workflows.steps.fitting import TaskFit, held_out_fused
from pathfuse.workflows.steps.unfitted import unfitted_predictions

POINTS = {
    "output": pl.String,
    "outcome": pl.String,
    "method": pl.String,
    "rule": pl.String,
    "threshold_low": pl.Float64,
    "threshold_high": pl.Float64,
    "figure": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n": pl.Int64,
    "n_patients": pl.Int64,
}
CONFUSION = {
    "output": pl.String,
    "method": pl.String,
    "rule": pl.String,
    "truth": pl.String,
    "predicted": pl.String,
    "n": pl.Int64,
}
MOST_PROBABLE = "most probable"
"""The rule among several classes."""
Row = tuple[Any, ...]


@dataclass(frozen=True)
class FitView:
    """What a method predicted of fit rows, by models that had not seen them."""

    predictions: LogProbs
    observed: np.ndarray


@dataclass(frozen=True)
class _Decided:
    """One method's decisions on all judged rows of an output."""

    method: str
    rule: str
    called: np.ndarray
    """Int, (sample,), the outcome that was called; -1 without a prediction."""
    thresholds: tuple[float, ...]
    """Probabilities, one per fold; none among several classes."""


def check_operating_point(endpoint: Endpoint, settings: FuseOptions) -> None:
    """Refuses a rule that cannot be followed, before any work.

    Raises:
        InputError: It is unknown, or the endpoint has no two outcomes to decide between.
    """
    rule = parse_rule(settings.operating_point)
    if rule.kind == YOUDEN or _two_outcomes(endpoint):
        return
    why = f"but the endpoint is {endpoint.kind}"
    if endpoint.of_classes:
        why += f" with {len(endpoint.outcomes)} classes, of which the most probable is called"
    raise InputError(f"--operating-point {rule.text} is for two classes or labels, {why}")


def operating_points_part(run: JudgedRun) -> ReportPart:
    """``operating_points.csv`` and ``confusion.csv``; numbers and survival have none."""
    endpoint = run.study.endpoint
    if endpoint.of_numbers or endpoint.in_time:
        return ReportPart()
    rule = parse_rule(run.settings.operating_point)
    points: list[Row] = []
    cells: list[Row] = []
    notes: list[str] = []
    for name, output in resampled_outputs(run).items():
        decided, lacking = _decisions(run, name, output.judged, rule)
        notes += [f"{name}: {why}" for why in lacking]
        for one in decided:
            points += [(name, *row) for row in _figures(run, output, one)]
            cells += [(name, *row) for row in _cells(endpoint, output.judged, one)]
    tables = {
        "operating_points": pl.DataFrame(points, schema=POINTS, orient="row").fill_nan(None),
        "confusion": pl.DataFrame(cells, schema=CONFUSION, orient="row"),
    }
    used = rule.text if _two_outcomes(endpoint) else MOST_PROBABLE
    reasons = _without_repeats(notes)
    asked = run.settings.operating_point != DEFAULTS.operating_point
    return ReportPart(
        tables,
        {"operating_point": used},
        notes=() if asked else reasons,
        warnings=reasons if asked else (),
    )


def _two_outcomes(endpoint: Endpoint) -> bool:
    return not (endpoint.of_numbers or endpoint.in_time) and len(endpoint.outcomes) == 2


def _without_repeats(notes: Sequence[str]) -> tuple[str, ...]:
    """Notes; what is the same of every output is said once."""
    reasons = [note.partition(": ")[2] for note in notes]
    if len(notes) > 1 and len(set(reasons)) == 1:
        return (reasons[0],)
    return tuple(notes)


def _decisions(
    run: JudgedRun, name: str, judged: Judged, rule: Rule
) -> tuple[list[_Decided], list[str]]:
    """The decisions of every method, and why some make none."""
    methods = shown_methods(run, judged)
    if not _two_outcomes(run.study.endpoint):
        return [_most_probable(judged, method) for method in methods], []
    positive = decided_outcomes(run)[0]
    folds = np.unique(judged.folds).tolist()
    thresholds: dict[str, list[float]] = {method: [] for method in methods}
    for fold in folds:
        fit = _fit_views(run, name, judged, fold) if rule.learns else {}
        if rule.learns and not fit:
            return [], [f"no operating point ({rule.text}): there are no fit rows to fix it on"]
        for method in methods:
            found = _threshold(fit.get(method), positive, rule)
            if found is not None:
                thresholds[method].append(found)
    lacking = [method for method in methods if len(thresholds[method]) < len(folds)]
    reached = [method for method in methods if method not in lacking]
    decided = [_at_threshold(judged, m, positive, rule, thresholds[m]) for m in reached]
    reason = f"{rule.text} cannot be reached on the fit rows by {listed(lacking)}"
    return decided, [reason] if lacking else []


def _threshold(fit: FitView | None, positive: int, rule: Rule) -> float | None:
    if not rule.learns:
        return choose_threshold(np.zeros(0), np.zeros(0, dtype=bool), rule)
    if fit is None:
        return None
    there = predicted(fit.predictions)
    score = class_score(fit.predictions[there], positive)
    return choose_threshold(score, fit.observed[there, positive] > 0, rule)


def _most_probable(judged: Judged, method: str) -> _Decided:
    predictions = judged.predictions[method]
    there = predicted(predictions)
    outcome = np.full(len(predictions), -1)
    outcome[there] = predictions[there].argmax(axis=1)
    return _Decided(method, MOST_PROBABLE, outcome, ())


def _at_threshold(
    judged: Judged, method: str, positive: int, rule: Rule, thresholds: Sequence[float]
) -> _Decided:
    predictions = judged.predictions[method]
    outcome = np.full(len(predictions), -1)
    there = predicted(predictions)
    for fold, threshold in zip(np.unique(judged.folds), thresholds, strict=True):
        inside = np.flatnonzero(there & (judged.folds == fold))
        yes = called(class_score(predictions[inside], positive), threshold)
        outcome[inside] = np.where(yes, positive, 1 - positive)
    shares = tuple(float(1 / (1 + np.exp(-t))) for t in thresholds)
    return _Decided(method, rule.text, outcome, shares)


def _fit_views(run: JudgedRun, name: str, judged: Judged, fold: int) -> dict[str, FitView]:
    """What every method predicted of the fit rows of one fold; empty where there are none."""
    n = _number_of(run, judged, fold)
    fits = run.fits
    found = _unfitted(run, name, run.parts[n]) if fits is None else _of_fit(run, fits[n][name])
    if run.settings.unit != "patient":
        return {method: FitView(one.predictions[method], one.observed) for method, one in found}
    views = {}
    for method, one in found:
        mean = average_patients(one)
        views[method] = FitView(mean.predictions[method], mean.observed)
    return views


def _number_of(run: JudgedRun, judged: Judged, fold: int) -> int:
    """Which part a fold of an output is: an output may have no rows in some."""
    names = [part.name for part in run.parts]
    return names.index(judged.fold_names[fold]) if judged.fold_names else fold


def _of_fit(run: JudgedRun, fit: TaskFit) -> list[tuple[str, Judged]]:
    """The experts' and the best expert's predictions of the fit rows, and the fusion's held-out
    ones.
    """
    fitted = fit.methods
    patients = np.unique(run.study.samples.patients.astype(str), return_inverse=True)[1]
    own = patients[fit.rows[fitted.rows]]
    best = fitted.members["best_expert"].combine(fitted.inner)
    held_out = held_out_fused(fitted, fit.fused, run.settings.seed)
    # A patient once per repeat: repeats are averaged as little as different patients are.
    apart = own[held_out.rows] + held_out.repeat * (int(patients.max()) + 1)
    return [
        ("best_expert", _rows("best_expert", best, fitted.truth, own)),
        ("fused", _rows("fused", held_out.predictions, fitted.truth[held_out.rows], apart)),
    ]


def _unfitted(run: JudgedRun, task: str, part: Partition) -> list[tuple[str, Judged]]:
    """Predictions of the fit rows where nothing was fitted."""
    if not len(part.fit):
        return []
    found, rows = unfitted_predictions(run.study, task, part.fit, part.fit)
    patients = np.unique(run.study.samples.patients[rows].astype(str), return_inverse=True)[1]
    truth = run.study.truth[task].observed[rows]
    return [(name, _rows(name, values, truth, patients)) for name, values in found.items()]


def _rows(name: str, predictions: LogProbs, truth: np.ndarray, patients: Index) -> Judged:
    return Judged(truth, patients, np.zeros(len(patients), dtype=np.int64), {name: predictions})


def _figures(run: JudgedRun, output: Output, one: _Decided) -> list[Row]:
    """Rows of ``operating_points.csv`` after the first column."""
    judged, outcomes = output.judged, run.study.endpoint.outcomes
    numbers = decided_outcomes(run)
    names = [outcomes[k] for k in numbers]
    rows = one.called >= 0
    truth = judged.observed.argmax(axis=1)

    def scorer(inside: Index, _fold: int) -> DecisionScores:
        flagged = one.called[inside, None] == numbers
        return DecisionScores(flagged, truth[inside, None] == numbers, names)

    wanted = [figure_of(figure, name) for name in names for figure in FIGURES]
    found = output.sure(estimate(scorer, wanted, output.pooled, rows, output.resamples))
    low, high = (min(one.thresholds), max(one.thresholds)) if one.thresholds else (None, None)
    table: list[Row] = []
    for k, name in zip(numbers, names, strict=True):
        for figure, among in zip(FIGURES, _bottoms(one.called == k, truth == k), strict=True):
            n_patients = len(np.unique(judged.patients[rows & among]))
            value = _among(found[figure_of(figure, name)], n_patients)
            limits = value.interval(run.rules.interval)
            about = (name, one.method, one.rule, low, high, figure)
            counts = (int((rows & among).sum()), n_patients)
            table.append((*about, value.point, limits.low, limits.high, *counts))
    return table


def _bottoms(flagged: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, ...]:
    """The rows that each of ``FIGURES`` is a share of."""
    return positive, ~positive, flagged, ~flagged


def _among(share: Estimate, n_patients: int) -> Estimate:
    """A share of some patients: what it leaves open depends on how many those are, not on all."""
    sampled = replace(share.sampled, n_patients=max(n_patients, 1))
    return replace(share, sampled=sampled)


def _cells(endpoint: Endpoint, judged: Judged, one: _Decided) -> list[Row]:
    """Rows of ``confusion.csv`` after the first column."""
    rows, names = one.called >= 0, endpoint.outcomes
    table = confusion(judged.observed[rows].argmax(axis=1), one.called[rows], len(names))
    return [
        (one.method, one.rule, true, called_so, int(table[i, j]))
        for i, true in enumerate(names)
        for j, called_so in enumerate(names)
    ]
