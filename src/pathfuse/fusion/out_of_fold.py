"""Predictions of rows that a method was not fitted on, on the same inner folds for all methods."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from pathfuse.costs import Tally, absorb, tallied
from pathfuse.fusion.expert_table import E, Prediction, Truth, View
from pathfuse.fusion.inner_cv import LARGE, InnerFolds
from pathfuse.fusion.method_base import MethodBase
from pathfuse.progress import OnShare, unreported

HeldOut: TypeAlias = Float[np.ndarray, "setting repeat row column"]


def out_of_fold(
    methods: Sequence[MethodBase[E]],
    inner: E,
    truth: Truth,
    folds: InnerFolds,
    n_jobs: int | None,
    on_progress: OnShare = unreported,
) -> list[HeldOut]:
    """Held-out predictions of each method at each of its settings, on the same folds for all.

    Runs through ``joblib.Parallel``: the caller's ``parallel_config`` chooses the backend; results
    do not depend on it.

    Args:
        methods: Unfitted; of one family.
        inner: The experts' predictions of the rows that take part (``folds.rows`` of the fit set).
        truth: Of the same rows.
        folds: How they are divided.
        n_jobs: Processes, as in joblib.
        on_progress: Called as the work goes on.
    """
    from joblib import delayed  # not at the top: predict does without

    from pathfuse.workers import in_parallel  # imports joblib

    jobs = [
        (m, r, train, test)
        for m in methods
        for r, split in enumerate(folds.splits)
        for train, test in split
    ]
    parts = in_parallel(
        n_jobs, (delayed(_one_fold)(m, inner, truth, train, test) for m, _, train, test in jobs)
    )
    shape = (len(folds.splits), inner.n_samples, inner.n_columns)
    results = [np.full((len(m.candidates(inner.n_samples)), *shape), np.nan) for m in methods]
    position = {id(m): i for i, m in enumerate(methods)}
    for done, ((method, repeat, _, test), (part, tally)) in enumerate(
        zip(jobs, parts, strict=True), start=1
    ):
        absorb(tally)
        results[position[id(method)]][:, repeat, test] = part
        on_progress(done / len(jobs))
    return results


def _one_fold(
    method: MethodBase[E], inner: E, truth: Truth, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, Tally]:
    settings = method.candidates(len(train))
    with tallied() as tally:  # a worker process counts for the one that waits for it
        fitted = method.fit_path(inner.rows(train), truth[train], settings)
        judged = inner.rows(test)
        predicted = np.stack([method.pool(judged, params) for params in fitted])
    return predicted, tally


def predict_views(
    method: MethodBase[E],
    seen: Sequence[View[E]],
    inner: E,
    truth: Truth,
    folds: InnerFolds,
    *,
    narrowed: bool,
) -> list[Prediction]:
    """What a fitted method predicts of views of its fit rows, held out in the first repeat of the
    inner folds.

    Above ``LARGE`` rows, and for methods without anything to fit, by one fit on all of them: it has
    seen too many rows, or learned too little, to know one of them.

    Args:
        method: Fitted.
        seen: The views, of the columns of ``inner``.
        inner: The experts' predictions of the rows that take part.
        truth: Of the same rows.
        folds: How they are divided.
        narrowed: Whether ``inner`` has fewer columns than the method was fitted on.
    """
    if not seen:
        return []
    if not method.fits or len(folds.rows) > LARGE:
        params = method.fit_last(inner, truth, [method.setting_]) if narrowed else method.params_
        return [method.pool(view.experts, params) for view in seen]
    result = [np.full((len(view.rows), inner.n_columns), np.nan) for view in seen]
    for train, test in folds.splits[0]:
        (params,) = method.fit_path(inner.rows(train), truth[train], [method.setting_])
        chosen = [np.flatnonzero(np.isin(view.rows, test)) for view in seen]
        parts = [view.experts.rows(rows) for view, rows in zip(seen, chosen, strict=True)]
        predicted = method.pool(type(inner).joined(parts), params)
        ends = np.cumsum([len(rows) for rows in chosen])
        for own, rows, part in zip(result, chosen, np.split(predicted, ends[:-1]), strict=True):
            own[rows] = part
    return result


def score_settings(
    method: MethodBase[Any], settings: Sequence[float], held_out: HeldOut, truth: Truth
) -> dict[float, float]:
    """Mean held-out NLL of each setting."""
    return {
        setting: float(np.mean([method.family.score(repeat, truth) for repeat in predictions]))
        for setting, predictions in zip(settings, held_out, strict=True)
    }


def path_to_best(scores: dict[float, float]) -> list[float]:
    """The settings down to the one with the lowest score; of equals the first, which shrinks most."""
    settings = list(scores)
    return settings[: 1 + min(range(len(settings)), key=lambda i: scores[settings[i]])]
