"""All methods fitted on the same rows, and their held-out predictions on the very same inner folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.inner_cv import inner_folds
from pathfuse.fusion.method import Method, Tick, no_tick, out_of_fold, path_to_best, predict_views, score_settings
from pathfuse.fusion.presence import View, fit_presence, views
from pathfuse.types import Index, LogProbs, Observed


@dataclass(frozen=True)
class FittedMethods:
    """Fitted methods with what inner cross-validation said of them."""

    members: dict[str, Method]
    """Each method at its best setting, fitted on all fit rows."""
    scores: dict[str, float]
    """Mean held-out NLL of each method at that setting."""
    held_out: dict[str, Float[np.ndarray, "repeat row outcome"]]
    """Held-out log-probabilities at that setting."""
    rows: Index
    """The fit rows that ``held_out`` covers."""
    seen: list[View]
    """Those rows with experts hidden."""
    hidden: dict[str, list[LogProbs]]
    """What each method predicts of them, as it is: nothing is corrected."""


def fit_methods(
    methods: Sequence[Method],
    experts: Experts,
    observed: Observed,
    groups: np.ndarray,
    seed: int,
    n_jobs: int | None = None,
    tick: Tick = no_tick,
) -> FittedMethods:
    """Fits every method at the setting that inner cross-validation prefers.

    Raises:
        InputError: Nothing can be held out: all fit rows belong to one patient, or no outcome occurs twice.
    """
    folds = inner_folds(observed, groups, seed)
    if folds is None:
        raise InputError(
            "the fit rows cannot be divided for inner cross-validation: "
            "they need at least two patients and one class with two rows"
        )
    held_out = out_of_fold(methods, experts, observed, folds, n_jobs, tick)
    members, best, kept, hidden = {}, {}, {}, {}
    seen = views(experts.rows(folds.rows), seed)
    for method, predictions in zip(methods, held_out, strict=True):
        scores = score_settings(method.candidates(len(folds.rows)), predictions, observed[folds.rows])
        path = path_to_best(scores)
        members[method.name] = method.refit(experts, observed, path, scores)
        best[method.name], kept[method.name] = scores[path[-1]], predictions[len(path) - 1]
        hidden[method.name] = predict_views(method, seen, experts, observed, folds)
        if method.fits:
            rows = folds.rows
            presence = fit_presence(seen, hidden[method.name], observed[rows], experts.present[rows])
            method.learn_presence(presence, experts, observed)
    return FittedMethods(members, best, kept, folds.rows, seen, hidden)
