"""All methods fitted on the same rows, and their held-out predictions on the very same inner folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from jaxtyping import Float

from pathfuse.errors import InputError
from pathfuse.fusion.expert_table import E, Prediction, Truth, View
from pathfuse.fusion.inner_cv import inner_folds
from pathfuse.fusion.method import Method
from pathfuse.fusion.out_of_fold import (
    out_of_fold,
    path_to_best,
    predict_views,
    score_settings,
)
from pathfuse.fusion.presence import fit_presence, views
from pathfuse.progress import OnShare, unreported
from pathfuse.types import Index


@dataclass(frozen=True)
class FittedMethods(Generic[E]):
    """Fitted methods with what inner cross-validation found."""

    members: dict[str, Method[E]]
    """Each method at its best setting, fitted on all fit rows."""
    scores: dict[str, float]
    """Mean held-out NLL of each method at that setting."""
    held_out: dict[str, Float[np.ndarray, "repeat row column"]]
    """Held-out predictions at that setting."""
    rows: Index
    """The fit rows that ``held_out`` covers."""
    inner: E
    """What the experts predicted of these rows; of a regression with many targets some of them."""
    truth: Truth
    """Of the same rows and targets."""
    seen: list[View[E]]
    """Those rows with experts hidden."""
    hidden: dict[str, list[Prediction]]
    """What each method predicts of them, as it is: nothing is corrected."""

    @property
    def voting(self) -> dict[str, Method[E]]:
        """The methods that vote in a council."""
        return {name: method for name, method in self.members.items() if method.in_council}


AnyFitted = FittedMethods[Any]


def fit_methods(
    methods: Sequence[Method[E]],
    experts: E,
    truth: Truth,
    groups: np.ndarray,
    seed: int,
    n_jobs: int | None = None,
    on_progress: OnShare = unreported,
) -> FittedMethods[E]:
    """Fits every method at the setting that inner cross-validation prefers.

    Args:
        methods: Unfitted; of one family.
        experts: Predictions of rows that the experts were not trained on.
        truth: What was observed.
        groups: Int, (sample,). Patients.
        seed: Of the inner folds.
        n_jobs: Processes, as in joblib.
        on_progress: Called as the work goes on.

    Raises:
        InputError: Nothing can be held out: all fit rows belong to one patient, or no outcome
            occurs twice.
    """
    family = methods[0].family
    folds = inner_folds(family.strata(truth), groups, seed)
    if folds is None:
        raise InputError(
            "the fit rows cannot be divided for inner cross-validation: they need at least two patients and, where "
            "there are classes, two rows of one class"
        )
    inner, known = family.narrow(experts.rows(folds.rows), truth[folds.rows])
    held_out = out_of_fold(methods, inner, known, folds, n_jobs, on_progress)
    members, best, kept, hidden = {}, {}, {}, {}
    seen = views(inner, seed)
    for method, predictions in zip(methods, held_out, strict=True):
        scores = score_settings(method, method.candidates(len(folds.rows)), predictions, known)
        path = path_to_best(scores)
        members[method.name] = method.refit(experts, truth, path, scores)
        best[method.name], kept[method.name] = scores[path[-1]], predictions[len(path) - 1]
        narrowed = inner.n_columns < experts.n_columns
        hidden[method.name] = predict_views(method, seen, inner, known, folds, narrowed=narrowed)
        if method.fits:
            presence = fit_presence(family, seen, hidden[method.name], inner, known)
            method.learn_presence(presence, experts, truth)
    return FittedMethods(members, best, kept, folds.rows, inner, known, seen, hidden)
