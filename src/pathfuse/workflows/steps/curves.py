"""What the report draws in addition to the metrics: curves and per-site results, as tables
that are saved as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.distributions.likelihood import set_nll
from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.curves import (
    binned,
    divergence,
    log_rank,
    mean_roc,
    risk_groups,
    spread,
    survivors,
    thinned,
)
from pathfuse.evaluation.estimates import resampled
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.metrics.survival import C_INDEX
from pathfuse.evaluation.resampling import MIN_PATIENTS, Resamples
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.study.study import Study
from pathfuse.types import Index, PerSample

MAX_OUTPUTS = 6
"""Labels or targets that are drawn; the others stand in the tables."""
MAX_POINTS = 1200
"""Points of all scatter plots together, and at most a third of them in one."""
MIN_EVENTS = 2
"""Fewer events than this in a site give no C-index."""
RISKS = ("low risk", "middle risk", "high risk")
CURVES = {
    "figure": pl.String,
    "output": pl.String,
    "method": pl.String,
    "group": pl.String,
    "x": pl.Float64,
    "y": pl.Float64,
    "n": pl.Int64,
}
SITES = {
    "site": pl.String,
    "output": pl.String,
    "method": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "n": pl.Int64,
    "n_patients": pl.Int64,
    "note": pl.String,
}
Points = Iterator[tuple[str, str, str, float, float, int]]
"""Figure, method, group, x, y, n."""


@dataclass(frozen=True)
class CurveTables:
    """What ``curve_tables`` returns."""

    curves: pl.DataFrame
    """``curves.csv``."""
    sites: pl.DataFrame | None
    """``sites.csv``; None without a column ``site``."""
    risk_groups: dict[str, Any] | None
    """Survival: the log-rank test between thirds of risk, for the manifest."""


def curve_tables(
    study: Study, judged: Mapping[str, Judged], rows: Mapping[str, Index], unit: str
) -> CurveTables:
    """Curves and per-site results of the judged rows.

    Args:
        study: The study.
        judged: By output, from ``judged_rows``.
        rows: By task, the study's rows that were handed to ``judged_rows``, fold after fold.
        unit: ``sample`` or ``patient``.
    """
    drawn = [output for output in judged if len(judged[output].observed)][:MAX_OUTPUTS]
    points = [
        (figure, output, *rest)
        for output in drawn
        for figure, *rest in _points(study.endpoint, study.expert_names, judged[output], len(drawn))
    ]
    curves = pl.DataFrame(points, schema=CURVES, orient="row")
    survival = next((one for one in judged.values() if one.context is not None), None)
    sites = None
    if "site" in study.samples.frame.columns:
        places = study.samples.columns(["site"]).values["site"]
        by_output = {output: places[rows_of_output(study, output, rows, unit)] for output in drawn}
        own = {output: judged[output] for output in drawn}
        sites = _sites(study.endpoint, own, by_output, study.samples.drawn)
    return CurveTables(curves, sites, None if survival is None else _risk_test(survival))


def leading(predictions: Mapping[str, Any]) -> str:
    """The method that the figures are about: the fusion, or what stands in for it where nothing was
    fitted.
    """
    return next(name for name in ("fused", "best_expert", "uniform_product") if name in predictions)


def rows_of_output(study: Study, output: str, rows: Mapping[str, Index], unit: str) -> Index:
    """The study's row of each judged row; the first of a patient's where patients were averaged."""
    if study.endpoint.of_numbers:
        g = study.endpoint.outcomes.index(output)
        return rows["all"][~np.isnan(study.truth["all"].observed[rows["all"], g])]
    own = rows[output]
    if unit != "patient":
        return own
    patients = study.samples.patients[own].astype(str)
    numbers = np.unique(study.samples.patients.astype(str))
    return own[np.unique(np.searchsorted(numbers, patients), return_index=True)[1]]


def _points(endpoint: Endpoint, experts: Sequence[str], judged: Judged, n_drawn: int) -> Points:
    method = leading(judged.predictions)
    there = predicted(judged.predictions[method])
    if endpoint.of_numbers:
        room = MAX_POINTS // max(3, n_drawn)
        yield from _scatter(
            method, judged.predictions[method][there, 0], judged.observed[there, 0], room
        )
    elif judged.context is not None:
        yield from _kaplan_meier(method, judged)
    elif judged.observed.shape[1] == 2:
        k = 1 if endpoint.positive is None else endpoint.positive
        for name in judged.predictions:
            if name != NULL_MODEL:  # the diagonal
                yield from _roc(name, endpoint.outcomes[k], k, judged)
    else:
        for k, outcome in enumerate(endpoint.outcomes):
            yield from _roc(method, outcome, k, judged)
    yield from _disagreement(endpoint, method, experts, judged)


def _roc(method: str, outcome: str, k: int, judged: Judged) -> Points:
    there = predicted(judged.predictions[method])
    predictions = judged.predictions[method][there]
    score = (
        predictions[:, k] - predictions[:, 1 - k]
        if predictions.shape[1] == 2
        else predictions[:, k]
    )
    curve = mean_roc(
        score, judged.observed[there, k] > 0, judged.folds[there], judged.patients[there]
    )
    if curve is not None:
        curve = thinned(curve)
        for x, y in zip(curve.false_positive.tolist(), curve.true_positive.tolist(), strict=True):
            yield "roc", method, outcome, x, y, int(there.sum())


def _groups(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """One row of each patient that the leading method predicts, and thirds of the patients' mean
    risk.
    """
    predictions = judged.predictions[leading(judged.predictions)]
    rows = np.flatnonzero(predicted(predictions))
    risk = -survival_at_edges(predictions[rows]).sum(axis=1)
    _, first, member = np.unique(judged.patients[rows], return_index=True, return_inverse=True)
    mean = np.bincount(member, weights=risk) / np.bincount(member)
    return rows[first], risk_groups(mean, judged.folds[rows[first]], len(RISKS))


def _kaplan_meier(method: str, judged: Judged) -> Points:
    if judged.context is None:
        return
    rows, group = _groups(judged)
    for g, name in enumerate(RISKS):
        own = rows[group == g]
        if not len(own):
            continue
        curve = survivors(judged.context.time[own], judged.context.event[own])
        yield "kaplan_meier", method, name, 0.0, 1.0, len(own)
        steps = zip(
            curve.times.tolist(), curve.survival.tolist(), curve.at_risk.tolist(), strict=True
        )
        for time, alive, at_risk in steps:
            yield "kaplan_meier", method, name, time, alive, at_risk


def _risk_test(judged: Judged) -> dict[str, Any] | None:
    if judged.context is None:
        return None
    rows, group = _groups(judged)
    if judged.context.event[rows].sum() < MIN_EVENTS:
        return None
    test = log_rank(
        judged.context.time[rows], judged.context.event[rows], group, judged.folds[rows]
    )
    if test is None:
        return None
    stratified = len(np.unique(judged.folds[rows])) > 1
    return {
        "method": leading(judged.predictions),
        "groups": len(RISKS),
        "stratified_by_fold": stratified,
        **asdict(test),
    }


def _scatter(method: str, predictions: PerSample, truth: PerSample, room: int) -> Points:
    chosen = np.unique(
        np.linspace(0, len(predictions) - 1, min(len(predictions), room)).round().astype(np.int64)
    )
    for x, y in zip(predictions[chosen].tolist(), truth[chosen].tolist(), strict=True):
        yield "predicted", method, "", x, y, 1


def _disagreement(
    endpoint: Endpoint, method: str, experts: Sequence[str], judged: Judged
) -> Points:
    """How far the experts are apart against how wrong the leading method is, in bins of like
    disagreement.
    """
    voices = [judged.predictions[name] for name in experts if name in judged.predictions]
    if len(voices) < 2:
        return
    predictions = np.stack(voices, axis=1)
    apart = spread(predictions[:, :, 0]) if endpoint.of_numbers else divergence(predictions)
    bins = binned(apart, sample_error(endpoint, judged, method))
    for x, y, n in zip(bins.x.tolist(), bins.y.tolist(), bins.n.tolist(), strict=True):
        yield "disagreement", method, "", x, y, n


def sample_error(endpoint: Endpoint, judged: Judged, method: str) -> PerSample:
    """Per row, the absolute error of a regression or the negative log-likelihood.

    NaN without a prediction.
    """
    predictions, error = judged.predictions[method], np.full(len(judged.observed), np.nan)
    there = predicted(predictions)
    if endpoint.of_numbers:
        error[there] = np.abs(judged.observed[there, 0] - predictions[there, 0])
    else:
        error[there] = set_nll(predictions[there], judged.observed[there])
    return error


def _sites(
    endpoint: Endpoint, judged: Mapping[str, Judged], places: Mapping[str, np.ndarray], drawn: str
) -> pl.DataFrame:
    """``sites.csv``: the fusion and the best expert in each site, without intervals.

    Small sites say so.
    """
    rows: list[tuple[Any, ...]] = []
    for output, one in judged.items():
        named = np.array(
            ["(none)" if place is None else str(place) for place in places[output]], dtype=str
        )
        methods = [
            name
            for name in dict.fromkeys((leading(one.predictions), "best_expert"))
            if name in one.predictions
        ]
        for site in np.unique(named):
            for method in methods:
                inside = (named == site) & predicted(one.predictions[method])
                rows += [
                    (site, output, method, *rest)
                    for rest in _at_site(endpoint, one, method, inside, drawn)
                ]
    return pl.DataFrame(rows, schema=SITES, orient="row")


def _at_site(
    endpoint: Endpoint, judged: Judged, method: str, inside: np.ndarray, drawn: str
) -> Iterator[tuple[str, float | None, int, int, str]]:
    """Metric, value, rows, patients and a note."""
    n, n_patients = int(inside.sum()), len(np.unique(judged.patients[inside]))
    metrics = [known for known in map(metric_of, endpoint.metrics) if known.principal]
    few = f"{n_patients} {drawn}{'' if n_patients == 1 else 's'}, fewer than {MIN_PATIENTS}"
    if n_patients < MIN_PATIENTS:
        yield from ((metric.name, None, n, n_patients, few) for metric in metrics)
        return
    nothing = Resamples(
        np.zeros((0, int(judged.patients.max()) + 1), dtype=np.int64), judged.patients
    )
    values = resampled(endpoint, judged, method, inside, nothing)
    events = MIN_EVENTS if judged.context is None else int(judged.context.event[inside].sum())
    for metric in metrics:
        value = values[metric.name].point
        scarce = metric.name == C_INDEX.name and events < MIN_EVENTS
        unknown = scarce or np.isnan(value)
        few_events = f"{events} event{'' if events == 1 else 's'}, fewer than {MIN_EVENTS}"
        note = few_events if scarce else metric.undefined_at_site
        yield metric.name, None if unknown else value, n, n_patients, note if unknown else ""
