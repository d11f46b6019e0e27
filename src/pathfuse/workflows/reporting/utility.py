"""Clinical utility: decision curves, and the paired difference in net benefit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pathfuse.distributions.discrete_time import survival_at
from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.evaluation.curves import survivors
from pathfuse.evaluation.estimates import Estimate, estimate, prepare
from pathfuse.evaluation.judged import Judged, Scores, predicted
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.multiplicity import holm
from pathfuse.evaluation.net_benefit import (
    TREAT_ALL,
    TREAT_NONE,
    NetBenefitByHorizon,
    NetBenefitOfClass,
    Thresholds,
    figure_at,
    threshold_grid,
)
from pathfuse.evaluation.notes import listed
from pathfuse.study.study import Study
from pathfuse.types import Index, PerSample
from pathfuse.workflows.options import DEFAULTS, FuseOptions
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.resamples import (
    Output,
    decided_outcomes,
    resampled_outputs,
    shown_methods,
)
from pathfuse.workflows.steps.curves import leading

CURVES = {
    "output": pl.String,
    "outcome": pl.String,
    "method": pl.String,
    "reference": pl.String,
    "threshold": pl.Float64,
    "net_benefit": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n": pl.Int64,
}
UTILITY = {
    "output": pl.String,
    "outcome": pl.String,
    "method": pl.String,
    "reference": pl.String,
    "threshold_low": pl.Float64,
    "threshold_high": pl.Float64,
    "difference": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "p_value": pl.Float64,
    "p_holm": pl.Float64,
    "n": pl.Int64,
}
COVERED = 0.9
"""Curves are compared on common rows: a method without a prediction of so many would take the rows
of all others away."""
REFERENCES = ("best_expert", TREAT_ALL, TREAT_NONE)
Row = tuple[Any, ...]


def check_utility(endpoint: Endpoint, settings: FuseOptions) -> None:
    """Refuses options that make no decision curve, before any work.

    Raises:
        InputError: The thresholds are no range between 0 and 1, there is nothing to decide, or no
            time to have a horizon in.
    """
    threshold_grid(settings.thresholds)
    if endpoint.of_numbers and settings.thresholds != DEFAULTS.thresholds:
        raise InputError(
            f"--thresholds is for decisions about classes, labels or events, but the endpoint is {endpoint.kind}"
        )
    if settings.horizon is not None and not endpoint.in_time:
        raise InputError(f"--horizon is for survival, but the endpoint is {endpoint.kind}")


def check_horizon(study: Study, horizon: float | None, judged: Sequence[Index]) -> None:
    """Refuses a horizon that the judged rows or the predictions do not reach.

    Args:
        study: The study.
        horizon: From the options; None: it is chosen so that both reach it.
        judged: Rows, fold by fold.

    Raises:
        InputError: Naming the last follow-up, or the last finite edge.
    """
    if horizon is None or not isinstance(study.endpoint, Survival):
        return
    if not 0 < horizon < np.inf:
        raise InputError(f"--horizon must be above 0, not {horizon:g}")
    truth = next(iter(study.truth.values()))
    last = float(np.nanmax(truth.time[np.concatenate(judged)])) if truth.time is not None else 0.0
    if horizon > last:
        raise InputError(
            f"{study.samples.source}: --horizon {horizon:g} lies after the end of follow-up of the judged rows, "
            f"{last:g}"
        )
    edge = max(e for e in study.endpoint.edges if np.isfinite(e))
    if horizon > edge:
        raise InputError(
            f"--horizon {horizon:g} lies after the last finite bin edge, {edge:g}: the predictions say nothing of it"
        )


def utility_part(run: JudgedRun) -> ReportPart:
    """``decision_curves.csv`` and ``utility.csv``; a regression has none."""
    endpoint = run.study.endpoint
    if endpoint.of_numbers:
        return ReportPart()
    horizon = horizon_of(run) if endpoint.in_time else None
    if endpoint.in_time and horizon is None:
        return ReportPart(
            notes=("no decision curve: no finite bin edge lies inside the follow-up",)
        )
    thresholds = threshold_grid(run.settings.thresholds)
    curves: list[Row] = []
    differences: list[Row] = []
    notes: list[str] = []
    for name, output in resampled_outputs(run).items():
        methods, left = _compared(output.judged, shown_methods(run, output.judged))
        if left:
            notes.append(
                f"{name}: no decision curve of {listed(left)}: less than {COVERED:.0%} of the rows have a prediction"
            )
        if not methods:
            continue
        rows = output.common(methods)
        for outcome, k in _outcomes(run, horizon):
            one = _Decision(run, output, methods, rows, thresholds, k, horizon)
            found = one.estimates()
            curves += [(name, outcome, *row) for row in one.curves(found)]
            differences += [(name, outcome, *row) for row in one.differences(found)]
    manifest = {"thresholds": [float(thresholds[0]), float(thresholds[-1])], "horizon": horizon}
    tables = {
        "decision_curves": pl.DataFrame(curves, schema=CURVES, orient="row").fill_nan(None),
        "utility": _adjusted(differences).fill_nan(None),
    }
    return ReportPart(tables, {"utility": manifest}, tuple(notes))


def _compared(judged: Judged, methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """The methods that predict most of the rows that the leading one does, and the others."""
    rows = predicted(judged.predictions[leading(dict.fromkeys(methods))])
    n = max(int(rows.sum()), 1)
    share = {m: (predicted(judged.predictions[m]) & rows).sum() / n for m in methods}
    kept = [method for method in methods if share[method] >= COVERED]
    return kept, [method for method in methods if method not in kept]


def _adjusted(differences: Sequence[Row]) -> pl.DataFrame:
    """``utility.csv``: of a method and a reference over all outputs and outcomes."""
    table = pl.DataFrame(differences, schema=UTILITY, orient="row")
    p, adjusted = table["p_value"].to_numpy(), np.full(table.height, np.nan)
    pairs = np.array([f"{m}\n{r}" for m, r in table.select("method", "reference").iter_rows()])
    for pair in np.unique(pairs):
        adjusted[pairs == pair] = holm(p[pairs == pair])
    return table.with_columns(p_holm=pl.Series(adjusted))


def horizon_of(run: JudgedRun) -> float | None:
    """The horizon that was given, or the finite bin edge inside the follow-up that is nearest to
    the median survival of the fit rows (of the judged rows where there are none).
    """
    if run.settings.horizon is not None:
        return float(run.settings.horizon)
    context = next((one.context for one in run.judged.values() if one.context is not None), None)
    if context is None:
        return None
    truth = next(iter(run.study.truth.values()))
    fit = np.unique(np.concatenate([part.fit for part in run.parts]))
    fit = fit[truth.known[fit]]
    time, event = context.time, context.event
    if len(fit) and truth.time is not None and truth.event is not None:
        time, event = truth.time[fit], truth.event[fit]
    return _near_the_median(context, time, event)


def _near_the_median(context: SurvivalTruth, time: PerSample, event: PerSample) -> float | None:
    last = float(context.time.max())
    edges = [float(edge) for edge in context.edges[1:] if np.isfinite(edge) and edge <= last]
    if not edges:
        return None
    curve = survivors(time, event)
    below = np.flatnonzero(curve.survival <= 0.5)
    median = float(curve.times[below[0]]) if len(below) else float("inf")
    return min(edges, key=lambda edge: abs(edge - median)) if np.isfinite(median) else edges[-1]


def _outcomes(run: JudgedRun, horizon: float | None) -> list[tuple[str, int]]:
    """What decisions are about, by name and number; survival has one, the event by the horizon."""
    if horizon is not None:
        return [(f"event by {horizon:g}", 0)]
    return [(run.study.endpoint.outcomes[k], k) for k in decided_outcomes(run)]


@dataclass(frozen=True)
class _Decision:
    """Decisions about one outcome."""

    run: JudgedRun
    output: Output
    methods: Sequence[str]
    rows: np.ndarray
    thresholds: Thresholds
    k: int
    horizon: float | None

    def estimates(self) -> dict[str, Estimate]:
        """Net benefit of every method at every threshold, and over all of them."""
        judged = self.output.pooled
        first = self._scores(np.flatnonzero(self.rows)[:1], 0)
        names = [one.name for one in first.metrics]
        found = estimate(self._scores, names, judged, self.rows, self.output.resamples)
        return self.output.sure(found)

    def _scores(self, inside: Index, _fold: int) -> Scores:
        judged = self.output.judged
        risk = {name: self._risk(judged, name, inside) for name in self.methods}
        if self.horizon is not None and judged.context is not None:
            time, event = judged.context.time[inside], judged.context.event[inside]
            return NetBenefitByHorizon(risk, self.thresholds, time, event, self.horizon)
        return NetBenefitOfClass(risk, self.thresholds, judged.observed[inside, self.k] > 0)

    def _risk(self, judged: Judged, name: str, inside: Index) -> PerSample:
        predictions = judged.predictions[name][inside]
        if self.horizon is not None and judged.context is not None:
            return 1 - survival_at(predictions, judged.context.edges, self.horizon)
        return np.asarray(np.exp(predictions[:, self.k]))

    def curves(self, found: Mapping[str, Estimate]) -> list[Row]:
        """Rows of ``decision_curves.csv`` after its first two columns."""
        n, leader = int(self.rows.sum()), leading(dict.fromkeys(self.methods))
        rows: list[tuple[str, str, float, Estimate]] = [
            (method, "", t, found[figure_at(method, t)])
            for method in (*self.methods, TREAT_ALL, TREAT_NONE)
            for t in self.thresholds.tolist()
        ]
        rows += [
            (method, other, t, found[figure_at(method, t)].minus(found[figure_at(other, t)]))
            for method, other in self._pairs()
            if method == leader
            for t in self.thresholds.tolist()
        ]
        prepare([one for *_, one in rows])
        return [
            (method, other, t, one.point, *self._interval(one), n) for method, other, t, one in rows
        ]

    def differences(self, found: Mapping[str, Estimate]) -> list[Row]:
        """Rows of ``utility.csv`` after its first two columns."""
        low, high = float(self.thresholds[0]), float(self.thresholds[-1])
        rows: list[Row] = []
        for method, other in self._pairs():
            one = found[method].minus(found[other])
            p = one.p_value(self.run.rules.interval)
            figures = (one.point, *self._interval(one), p, np.nan, int(self.rows.sum()))
            rows.append((method, other, low, high, *figures))
        return rows

    def _interval(self, one: Estimate) -> tuple[float, float]:
        found = one.interval(self.run.rules.interval)
        return found.low, found.high

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """Each method with the best expert, unless it predicts the same, and with both policies."""
        predictions = self.output.judged.predictions
        for method in self.methods:
            for other in REFERENCES:
                same = other in predictions and np.array_equal(
                    predictions[method][self.rows], predictions[other][self.rows]
                )
                there = other in self.methods or other in (TREAT_ALL, TREAT_NONE)
                if there and not same:
                    yield method, other
