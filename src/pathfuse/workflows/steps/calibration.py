"""What a run says about calibration: how its sets fared, and reliability before and after a
temperature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from pathfuse.calibration.conformal import PredictionIntervals, PredictionSets
from pathfuse.calibration.temperature import LOG_RANGE, at_temperature
from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.estimates import resampled_all
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.evaluation.metrics.classification import ECE, NLL
from pathfuse.evaluation.metrics.prediction_sets import INTERVAL_WIDTH, SetScores
from pathfuse.evaluation.notes import listed
from pathfuse.evaluation.reliability import (
    Curve,
    classification_curve,
    interval_curve,
    middle_edge,
    survival_curve,
)
from pathfuse.evaluation.resampling import MIN_PATIENTS, Resamples
from pathfuse.evaluation.rules import Rules
from pathfuse.evaluation.slope import calibration_slope, slope_resamples
from pathfuse.workflows.steps.fitting import TaskFit
from pathfuse.workflows.steps.regression import GaussianFit

TEMPERED = "fused at its temperature"
EDGE = 1.01
"""A temperature within one per cent of the end of the range lies at its edge."""
SHOWN = ("best_expert", "fused", TEMPERED)
"""Whose reliability is drawn: before fusion, after it, and after a temperature."""
SCHEMA = {
    "method": pl.String,
    "output": pl.String,
    "what": pl.String,
    "expected": pl.Float64,
    "observed": pl.Float64,
    "n": pl.Int64,
}


def with_sets(
    endpoint: Endpoint, judged: Mapping[str, Judged], fits: Sequence[TaskFit]
) -> dict[str, Judged]:
    """Judged rows with the scores of the fusion's sets or intervals.

    Args:
        endpoint: Of the study.
        judged: The outputs of one task: itself, or every target of a regression.
        fits: One per fold.
    """
    result = {}
    for g, (output, rows) in enumerate(judged.items()):
        if not all(_has_sets(fit.sets, g) for fit in fits):
            result[output] = rows
            continue
        hit, size = np.zeros(len(rows.folds), dtype=bool), np.zeros(len(rows.folds))
        for fold, fit in enumerate(fits):
            inside = np.flatnonzero(rows.folds == fold)
            hit[inside], size[inside] = _fared(fit.sets, rows, inside, g)
        result[output] = replace(rows, sets=_scores(endpoint, hit, size))
    return result


def _has_sets(sets: PredictionSets | PredictionIntervals | None, g: int) -> bool:
    return sets is not None and not (
        isinstance(sets, PredictionIntervals) and np.isnan(sets.width_sd[g])
    )


def _scores(endpoint: Endpoint, hit: np.ndarray, size: np.ndarray) -> SetScores:
    return SetScores(hit, size, INTERVAL_WIDTH) if endpoint.of_numbers else SetScores(hit, size)


def _fared(
    sets: PredictionSets | PredictionIntervals | None, judged: Judged, rows: np.ndarray, g: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the truth is inside, and the size, of some rows' sets."""
    predictions, truth = judged.predictions["fused"][rows], judged.observed[rows]
    if isinstance(sets, PredictionIntervals):
        reach = sets.width_sd[g] * np.sqrt(predictions[:, 1])
        return np.abs(truth[:, 0] - predictions[:, 0]) <= reach, 2 * reach
    if sets is None:
        raise ValueError("no sets were fitted")
    inside = sets.of(predictions)
    return (inside & truth.astype(bool)).any(axis=1), inside.sum(axis=1).astype(np.float64)


def set_warnings(
    endpoint: Endpoint, fit: Mapping[str, TaskFit], coverage: float | None, drawn: str = "patient"
) -> list[str]:
    """Warns of outputs without sets, and of sets whose promise rests on a handful of patients."""
    if coverage is None:
        return []
    why = f"too few rows to calibrate a coverage of {coverage:g} on"
    bare = [
        f"label '{task}' has no prediction sets: {why}"
        for task, one in fit.items()
        if one.sets is None
    ]
    for one in fit.values():
        if isinstance(one.sets, PredictionIntervals):
            gone = [name for g, name in enumerate(endpoint.outcomes) if not _has_sets(one.sets, g)]
            bare += (
                [f"{len(gone)} targets have no intervals, the first '{gone[0]}': {why}"]
                if gone
                else []
            )
    return [*bare, *_few_patients(fit, drawn)]


def _few_patients(fit: Mapping[str, TaskFit], drawn: str) -> list[str]:
    few = {task: one.sets.n_patients for task, one in fit.items() if one.sets is not None}
    return [
        f"{'' if task == 'all' else f'label {task}: '}the prediction sets were calibrated on {n} {drawn}"
        f"{'' if n == 1 else 's'}; their coverage says little about other {drawn}s"
        for task, n in few.items()
        if n < MIN_PATIENTS
    ]


def tempered(endpoint: Endpoint, judged: Judged, temperatures: np.ndarray) -> Judged:
    """The fusion's judged rows, as they are and at the temperature of their fold."""
    predictions, by_row = judged.predictions["fused"], temperatures[judged.folds][:, None]
    if endpoint.of_numbers:
        changed = predictions * np.concatenate([np.ones_like(by_row), by_row], axis=1)
    else:
        changed = at_temperature(predictions, by_row)
    best = {name: p for name, p in judged.predictions.items() if name == "best_expert"}
    return replace(judged, predictions={**best, "fused": predictions, TEMPERED: changed}, sets=None)


def calibration_report(
    endpoint: Endpoint, judged: Mapping[str, Judged], rules: Rules
) -> dict[str, Any]:
    """Per output the calibration slope of the fusion with its interval, and judged NLL (and ECE)
    before and after.

    Args:
        endpoint: Of the study.
        judged: From ``tempered``, by output.
        rules: How many resamples, and their seed.
    """
    report: dict[str, Any] = {}
    of_rows: dict[bytes, Resamples] = {}
    for output, rows in judged.items():
        alike = rows.patients.tobytes() + rows.folds.tobytes()
        if alike not in of_rows:
            of_rows[alike] = slope_resamples(rows, rules.n_resamples, rules.seed)
        nothing = Resamples(
            np.zeros((0, int(rows.patients.max()) + 1), dtype=np.int64), rows.patients
        )
        there = {name: predicted(rows.predictions[name]) for name in ("fused", TEMPERED)}
        values = resampled_all(endpoint, rows, there, nothing)
        times = (("fused", "before"), (TEMPERED, "after"))
        shown = [m.name for m in (NLL, ECE) if m.name in endpoint.metrics]
        report[output] = {
            f"{m}_{when}": _shown(values[name][m].point) for m in shown for name, when in times
        }
        slope = calibration_slope(
            endpoint, rows, "fused", rules.n_resamples, rules.seed, of_rows[alike]
        )
        ends = slope.interval(rules.interval)
        report[output] |= {
            "slope": _shown(slope.point),
            "slope_low": _shown(ends.low),
            "slope_high": _shown(ends.high),
        }
    return report


def edge_warnings(fits: Sequence[Mapping[str, TaskFit]]) -> list[str]:
    """Warns of temperatures and settings at the edge of what is tried: such a figure says no more
    than its side.
    """
    found = [
        fit.temperature
        for by_task in fits
        for fit in by_task.values()
        if not isinstance(fit, GaussianFit)
    ]
    low, high = np.exp(-LOG_RANGE), np.exp(LOG_RANGE)
    at_edge = [t for t in found if not low * EDGE < t < high / EDGE]
    settings = dict.fromkeys(
        text for by_task in fits for fit in by_task.values() for text in fit.settings_at_edge
    )
    which = listed(list(settings))
    what = f"the settings of {which} shrink least of all that are tried: less still might have been chosen"
    about_settings = [what] if settings else []
    if not at_edge:
        return about_settings
    where = f", in {len(at_edge)} of {len(found)} fits" if len(found) > 1 else ""
    sentence = (
        f"the best temperature of the fusion's held-out predictions is {at_edge[0]:.3g}, at the edge of what is tried "
        f"({low:.3g} to {high:.3g}){where}: the fit rows cannot say how sure the fusion should be"
    )
    return [sentence, *about_settings]


def _shown(value: float) -> float | None:
    """A figure as JSON takes it."""
    return None if np.isnan(value) else value


def reliability_frame(endpoint: Endpoint, judged: Mapping[str, Judged]) -> pl.DataFrame:
    """``reliability.csv``: points of the reliability curves of the best expert and of the fusion.

    Args:
        endpoint: Of the study.
        judged: From ``tempered``, by output.
    """
    rows = []
    for output, one in (_pooled(judged) | dict(judged)).items():
        for name in SHOWN:
            if name in one.predictions:
                there = predicted(one.predictions[name])
                for what, curve in _curves(endpoint, one, name, there):
                    rows += [
                        (name, output, what, *point)
                        for point in zip(
                            curve.expected.tolist(),
                            curve.observed.tolist(),
                            curve.n.tolist(),
                            strict=True,
                        )
                    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _pooled(judged: Mapping[str, Judged]) -> dict[str, Judged]:
    """All outputs' cells as one, where there are several."""
    if len(judged) < 2:
        return {}
    names = [name for name in SHOWN if all(name in one.predictions for one in judged.values())]
    parts = list(judged.values())
    return {
        "all": Judged(
            np.concatenate([one.observed for one in parts]),
            np.concatenate([one.patients for one in parts]),
            np.concatenate([one.folds for one in parts]),
            {name: np.concatenate([one.predictions[name] for one in parts]) for name in names},
        )
    }


def _curves(
    endpoint: Endpoint, judged: Judged, name: str, rows: np.ndarray
) -> list[tuple[str, Curve]]:
    predictions, observed = judged.predictions[name][rows], judged.observed[rows]
    if not len(predictions):
        return []
    if endpoint.of_numbers:
        return [("coverage of central intervals", interval_curve(predictions, observed[:, 0]))]
    if judged.context is None:
        positive = 1 if endpoint.positive is None else endpoint.positive
        what = (
            "confidence"
            if predictions.shape[1] > 2
            else f"probability of {endpoint.outcomes[positive]}"
        )
        return [(what, classification_curve(predictions, observed, positive))]
    truth = judged.context.at(np.flatnonzero(rows))
    edge = middle_edge(truth)
    return (
        []
        if edge is None
        else [(f"survival beyond {edge:g}", survival_curve(predictions, truth, edge))]
    )
