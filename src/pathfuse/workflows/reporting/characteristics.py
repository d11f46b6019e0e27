"""``characteristics.csv``: the samples that were fitted on and those that were judged, side by
side.
"""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from pathfuse.endpoints.base import Truth
from pathfuse.endpoints.columns import number_text
from pathfuse.evaluation.follow_up import median_follow_up
from pathfuse.study.study import Study
from pathfuse.types import Index, PerSample
from pathfuse.workflows.reporting.base import JudgedRun
from pathfuse.workflows.reporting.grouping import columns_by, grouping

CHARACTERISTICS = {
    "characteristic": pl.String,
    "level": pl.String,
    "train": pl.String,
    "fit": pl.String,
    "judged": pl.String,
}
MAX_TARGETS = 6
"""Continuous targets of which mean and standard deviation are stated."""
Described = tuple[str, str, Callable[[Index], str]]
"""Characteristic, level, and its value among some rows."""
Line = tuple[str, str, str | None, str | None, str | None]


def characteristics(run: JudgedRun, fitted: np.ndarray, judged: np.ndarray) -> list[Line]:
    """Rows of ``characteristics.csv``; a part without rows has empty cells.

    Args:
        run: The run.
        fitted: Bool, (sample,): rows that were fitted on.
        judged: Bool, (sample,): rows that were judged.
    """
    roles = run.study.samples.roles
    trained = np.zeros_like(fitted) if roles is None else np.asarray(roles == "train")
    parts = [np.flatnonzero(mask) for mask in (trained, fitted, judged)]
    lines = []
    for name, level, value in _described(run, parts[2]):
        train, fit, own = (value(rows) if len(rows) else None for rows in parts)
        lines.append((name, level, train, fit, own))
    return lines


def _described(run: JudgedRun, judged: Index) -> Iterator[Described]:
    study = run.study
    yield "samples", "", lambda rows: f"{len(rows):,}"
    if study.samples.has_patient.any():
        yield "patients", "", lambda rows: f"{len(_one_each(study, rows)):,}"
    yield from _of_truth(study)
    for column in columns_by(study, run.settings.by):
        groups = grouping(study, column, judged)
        if groups.numbers is not None:
            yield column, "median (quartiles)", _quartiles(groups.numbers)
            continue
        for g, name in enumerate(groups.names):
            yield column, name, _share(groups.member == g)
    for expert in study.experts:
        scored = np.isin(study.samples.ids.astype(str), np.array(expert.ids, dtype=str))
        yield "not scored by", expert.name, _share(~scored)


def _of_truth(study: Study) -> Iterator[Described]:
    """Classes, labels, events and follow-up, or targets."""
    endpoint = study.endpoint
    if endpoint.of_labels:
        for task in endpoint.tasks:
            truth = study.truth[task]
            yield task, "positive", _share(truth.observed[:, 1] > 0, truth.known)
    elif endpoint.in_time:
        yield from _of_follow_up(study, study.truth["all"])
    elif endpoint.of_numbers:
        for g, target in enumerate(endpoint.outcomes[:MAX_TARGETS]):
            yield target, "mean (sd)", _mean(study.truth["all"].observed[:, g])
    else:
        truth = study.truth["all"]
        for k, name in enumerate(endpoint.outcomes):
            yield "class", name, _share(truth.observed[:, k] > 0, truth.known)


def _of_follow_up(study: Study, truth: Truth) -> Iterator[Described]:
    """Of one sample per patient: a patient with several is followed once."""
    time, event = truth.time, truth.event
    if time is None or event is None:
        return
    what = "patients" if study.samples.has_patient.any() else "samples"
    yield (
        f"{what} with an event", "",
        lambda rows: _share(event == 1)(_one_each(study, rows)),
    )  # fmt: skip
    yield (
        "median follow-up (reverse Kaplan-Meier)", "time (95 % interval)",
        lambda rows: _followed(time, event, _one_each(study, rows)),
    )  # fmt: skip


def _followed(time: PerSample, event: PerSample, rows: Index) -> str:
    found = median_follow_up(time[rows], event[rows])
    if np.isnan(found.median):
        return "not reached"
    low, high = ("not reached" if np.isnan(x) else f"{x:.4g}" for x in (found.low, found.high))
    return f"{found.median:.4g} ({low} to {high})"


def _one_each(study: Study, rows: Index) -> Index:
    """The first row of each patient."""
    return rows[np.unique(study.samples.patients[rows].astype(str), return_index=True)[1]]


def _share(true: np.ndarray, known: np.ndarray | None = None) -> Callable[[Index], str]:
    """How many rows, and of how many whose value is known, in per cent."""

    def value(rows: Index) -> str:
        own = rows if known is None else rows[known[rows]]
        n = int(true[own].sum())
        return f"{n:,} ({100 * n / len(own):.1f} %)" if len(own) else "unknown"

    return value


def _mean(values: PerSample) -> Callable[[Index], str]:
    def value(rows: Index) -> str:
        own = values[rows][~np.isnan(values[rows])]
        if not len(own):
            return "unknown"
        spread = number_text(float(f"{own.std(ddof=1):.3g}")) if len(own) > 1 else "-"
        return f"{number_text(float(f'{own.mean():.3g}'))} ({spread})"

    return value


def _quartiles(values: PerSample) -> Callable[[Index], str]:
    def value(rows: Index) -> str:
        own = values[rows][~np.isnan(values[rows])]
        if not len(own):
            return "unknown"
        low, middle, high = (number_text(float(x)) for x in np.quantile(own, [0.25, 0.5, 0.75]))
        blank = len(rows) - len(own)
        return f"{middle} ({low} to {high})" + (f"; {blank:,} blank" if blank else "")

    return value
