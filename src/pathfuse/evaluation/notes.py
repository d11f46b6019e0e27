"""What the evaluation could not determine, in sentences for the manifest."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from pathfuse.evaluation.estimates import Estimate
from pathfuse.evaluation.judged import EndpointLike, Judged
from pathfuse.evaluation.metrics.classification import AUROC
from pathfuse.evaluation.metrics.registry import metric
from pathfuse.evaluation.metrics.survival import MAX_WEIGHT, UNOS_C


def about_figure(
    estimate: Estimate, rows: Bool[np.ndarray, " sample"], n_undefined: int, judged: Judged
) -> str | None:
    """Why a figure is undefined, or how many resamples did not define it; None if all is well.

    Args:
        estimate: The figure.
        rows: The judged rows that the method predicts.
        n_undefined: Resamples without it.
        judged: The rows.
    """
    if not len(judged.observed):
        return "is undefined: the truth of all judged rows is blank"
    if not rows.any():
        return "is undefined: it scored none of the judged rows"
    if np.isnan(estimate.point):
        return estimate.metric.undefined.format(
            rows=int(rows.sum()), classes=_classes(judged, rows), one_call=_one_call(judged, rows)
        )
    return (
        f"has {n_undefined} resamples that did not define it and were left out"
        if n_undefined
        else None
    )


def _classes(judged: Judged, rows: Bool[np.ndarray, " sample"]) -> str:
    """How many classes the judged rows hold, in words."""
    kinds = _kinds(judged, rows)
    where = "every fold holds" if len(np.unique(judged.folds)) > 1 else "the judged rows hold"
    return f"{where} {kinds} class{'es' if kinds != 1 else ''}"


def _one_call(judged: Judged, rows: Bool[np.ndarray, " sample"]) -> str:
    """Which of the truth and the predictions is of one class: the truth, if it is."""
    if _kinds(judged, rows) == 1:
        return _classes(judged, rows)
    if len(np.unique(judged.folds)) > 1:
        return "in every fold the truth or all predictions are of one class"
    return "all predictions are of one class"


def _kinds(judged: Judged, rows: Bool[np.ndarray, " sample"]) -> int:
    """The number of classes; with folds that of the fold with the most."""
    return max(
        len(np.unique(judged.observed[rows & (judged.folds == f)], axis=0))
        for f in np.unique(judged.folds)
    )


def listed(names: Sequence[str]) -> str:
    """Names for a sentence; of many the first three and a count."""
    return (
        ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
    )


def about_auroc(output: str, endpoint: EndpointLike, judged: Judged) -> list[str]:
    """Classes that the macro AUROC leaves out, and folds that define none."""
    if AUROC.name not in endpoint.metrics:
        return []
    notes: list[str] = []
    if all(
        judged.observed[judged.folds == f].any(axis=0).sum() < 2 for f in np.unique(judged.folds)
    ):
        return notes  # undefined everywhere: stated with the metric
    for fold in np.unique(judged.folds):
        called = judged.fold_names[fold] if judged.fold_names else str(fold)
        where = f" in fold {called}" if len(np.unique(judged.folds)) > 1 else ""
        seen = judged.observed[judged.folds == fold].any(axis=0)
        absent = [name for name, there in zip(endpoint.outcomes, seen, strict=False) if not there]
        if absent and seen.sum() > 1:
            notes.append(f"{output}: auroc leaves out {', '.join(absent)}: no judged row{where}")
        elif absent and where:
            notes.append(f"{output}: auroc is averaged over the other folds: one class only{where}")
    return notes


def about_unsure(endpoint: EndpointLike) -> list[str]:
    """Which metrics have no interval, and why."""
    known = [metric(name) for name in endpoint.metrics]
    return [f"{one.name} has no interval: {one.no_interval}" for one in known if one.no_interval]


def about_weights(judged: Judged, drawn: str = "patient") -> str | None:
    """Why differences of Uno's C have no interval; None where they have one."""
    if judged.context is None:
        return None
    folds = {int(fold): np.flatnonzero(judged.folds == fold) for fold in np.unique(judged.folds)}
    heaviest = max(
        (judged.context.of(rows, fold).heaviest for fold, rows in folds.items()), default=0.0
    )
    if heaviest <= MAX_WEIGHT:
        return None
    return (
        f"differences of {UNOS_C.name} have no interval: the weights for censoring count one {drawn}'s event up to "
        f"{heaviest:.0f} times, so that a few {drawn}s with the longest follow-up decide"
    )


def few_events(judged: Judged) -> str | None:
    """Why survival rows allow no interval; None if they do."""
    if judged.context is None or not len(judged.observed):
        return None
    n = len(np.unique(judged.patients[judged.context.event == 1]))
    return f"{n} event{'' if n == 1 else 's'}, fewer than 2: no intervals" if n < 2 else None


def few_of_a_class(judged: Judged, outcomes: Sequence[str], drawn: str = "patient") -> str | None:
    """Why rows of two classes allow no interval; None if they do."""
    if judged.observed.shape[1] != 2 or not len(judged.observed):
        return None
    counts = [len(np.unique(judged.patients[judged.observed[:, k].astype(bool)])) for k in (0, 1)]
    if min(counts) != 1:
        return None  # enough of both; with none of one the figures say so themselves
    return f"only one {drawn} is {outcomes[int(np.argmin(counts))]}, fewer than 2: no intervals"
