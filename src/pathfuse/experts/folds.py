"""Who trains and who is predicted: every fit row's prediction comes from a model that never saw its
patient.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pathfuse.errors import InputError
from pathfuse.experts.cohort import Cohort, People
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.types import Index

if TYPE_CHECKING:
    from sklearn.model_selection import StratifiedGroupKFold

WHOLE = "all"
"""Name of the part whose model is fitted on all fit rows."""


@dataclass(frozen=True)
class FoldPart:
    """One model to train."""

    name: str
    train: Index
    predict: Index
    """Rows whose predictions come from this model (alone, or averaged with those of other parts)."""
    after: tuple[str, ...] = ()
    """Parts that say for how many epochs this one is trained, and how far off it will be."""


@dataclass(frozen=True)
class FoldPlan:
    """All models of one expert."""

    parts: tuple[FoldPart, ...]
    scheme: str
    """In words, for the manifest."""
    fold: Index | None
    """Outer fold of each sample, where neither ``split`` nor ``fold`` was given; -1 without
    features."""
    serving: tuple[str, ...]
    """Parts whose models predict new samples."""


def plan(cohort: Cohort, recipe: TrainingRecipe) -> FoldPlan:
    """Lays out the parts from the roles or folds of the samples table.

    Raises:
        InputError: There is too little to fold.
    """
    samples = cohort.people.samples
    if samples.folds is not None:
        return _by_given_folds(cohort, samples.folds, recipe)
    if samples.roles is None:
        return _by_own_folds(cohort, recipe)
    if _rows(cohort.people.targets.usable & cohort.having & (samples.roles == "train")).size:
        return _by_train_rows(cohort, samples.roles)
    return _by_fit_rows(cohort, samples.roles, recipe)


def _by_given_folds(cohort: Cohort, folds: Index, recipe: TrainingRecipe) -> FoldPlan:
    """One model per fold of the samples table."""
    _check_whole(cohort.people, folds, recipe)
    having = cohort.having
    usable = having & cohort.people.targets.usable
    parts = tuple(
        FoldPart(f"fold_{k}", _rows(usable & (folds != k)), _rows(having & (folds == k)))
        for k in map(int, np.unique(folds[having]))
    )
    scheme = "one model per fold of the samples table, which predicts the fold it did not see"
    return FoldPlan(parts, scheme, None, tuple(p.name for p in parts))


def _by_own_folds(cohort: Cohort, recipe: TrainingRecipe) -> FoldPlan:
    """Outer folds made here, of a table with neither roles nor folds."""
    having = cohort.having
    usable = having & cohort.people.targets.usable
    fold = _made_folds(cohort, _rows(usable), having, recipe)
    parts = tuple(
        FoldPart(f"fold_{k}", _rows(usable & (fold != k)), _rows(having & (fold == k)))
        for k in range(recipe.folds)
    )
    scheme = f"{recipe.folds} outer folds by {recipe.group}, made here and written to samples.csv"
    return FoldPlan(parts, scheme, fold, tuple(p.name for p in parts))


def _by_train_rows(cohort: Cohort, roles: np.ndarray) -> FoldPlan:
    """One model on the train rows, which predicts all others."""
    rest = _rows(cohort.having & (roles != "train"))
    if not len(rest):
        raise InputError(
            f"{cohort.people.samples.source}, column 'split': all rows with features are train rows, "
            "and none is left to predict"
        )
    train = _rows(cohort.having & cohort.people.targets.usable & (roles == "train"))
    scheme = "one model on the train rows, which predicts fit and test rows"
    return FoldPlan((FoldPart("train", train, rest),), scheme, None, ("train",))


def _by_fit_rows(cohort: Cohort, roles: np.ndarray, recipe: TrainingRecipe) -> FoldPlan:
    """Fit rows out of fold; test rows from one model on all fit rows, or from the folds' mean."""
    having = cohort.having
    fit = _rows(having & cohort.people.targets.usable & (roles == "fit"))
    test = _rows(having & (roles == "test"))
    fold = _made_folds(cohort, fit, having & (roles == "fit"), recipe)
    averaged = test if recipe.test_from == "mean" else test[:0]
    parts = tuple(
        FoldPart(
            f"fold_{k}", fit[fold[fit] != k], np.sort(np.concatenate([_rows(fold == k), averaged]))
        )
        for k in range(recipe.folds)
    )
    scheme = f"fit rows out of {recipe.folds} folds by {recipe.group}; test rows from "
    if recipe.test_from == "mean":
        scheme += "the mean of the folds' models"
        return FoldPlan(parts, scheme, None, tuple(p.name for p in parts))
    after = tuple(p.name for p in parts) if recipe.refit_epochs == "folds" else ()
    parts = (*parts, FoldPart(WHOLE, fit, test, after))
    return FoldPlan(parts, scheme + "one model on all fit rows", None, (WHOLE,))


def _made_folds(cohort: Cohort, rows: Index, wanted: np.ndarray, recipe: TrainingRecipe) -> Index:
    """Int, (sample,): fold of each wanted sample, -1 elsewhere; ``rows`` are those with a truth."""
    fold = np.full(len(cohort.people.samples.ids), -1)
    fold[rows] = even_folds(cohort.people, rows, recipe.folds, recipe.group, recipe.seed)
    _place_unlabelled(fold, groups_of(cohort.people, recipe.group), wanted)
    return fold


def _check_whole(people: People, fold: Index, recipe: TrainingRecipe) -> None:
    """Refuses given folds that tear apart what the recipe wants whole."""
    seen: dict[str, int] = {}
    for group, k in zip(groups_of(people, recipe.group).tolist(), fold.tolist(), strict=True):
        if seen.setdefault(group, k) != k:
            raise InputError(
                f"{people.samples.source}, column 'fold': {recipe.group} '{group}' is in fold {seen[group]} and in "
                f"fold {k}, but the recipe keeps every {recipe.group} whole"
            )


def _rows(flags: np.ndarray) -> Index:
    return np.flatnonzero(flags)


def _place_unlabelled(fold: np.ndarray, groups: np.ndarray, wanted: np.ndarray) -> None:
    """Rows without truth train nobody, but are predicted: in the fold of their patient or site, or
    in the first.
    """
    known = {groups[row]: fold[row] for row in np.flatnonzero(fold >= 0)}
    for row in np.flatnonzero(wanted & (fold < 0)):
        fold[row] = known.get(groups[row], 0)


def even_folds(people: People, rows: Index, n_folds: int, group: str, seed: int) -> Index:
    """Fold of each row, patients (or sites) whole, outcomes in equal shares.

    Raises:
        InputError: There are fewer groups than folds, there is no column ``site``, or samples of
            one case count as several patients, so that a model would be trained on the case that it
            predicts.
    """
    people.samples.check_whole(rows)
    groups = groups_of(people, group)[rows]
    n = len(np.unique(groups))
    if n < n_folds:
        raise InputError(
            f"{people.samples.source}: {n_folds} folds need as many {group}s with features and truth, and there are {n}"
        )
    strata = _full(people.targets.strata(rows), n_folds)
    fold = np.zeros(len(rows), dtype=np.int64)
    for k, (_, held) in enumerate(_splitter(n_folds, seed).split(rows, strata, groups)):
        fold[held] = k
    return fold


def validation_rows(cohort: Cohort, rows: Index, recipe: TrainingRecipe) -> tuple[Index, Index]:
    """Splits training rows into those that are fitted and those that early stopping looks at, by
    patient.

    Returns:
        Fitted and validation rows; without validation the same rows and none.
    """
    patients = cohort.people.samples.patients[rows].astype(str)
    n = round(1 / recipe.validation) if recipe.validation else 0
    if n < 2 or len(np.unique(patients)) < 2 * n:
        return rows, rows[:0]
    strata = _full(cohort.people.targets.strata(rows), n)
    fitted, held = next(iter(_splitter(n, recipe.seed + 1).split(rows, strata, patients)))
    return rows[fitted], rows[held]


def groups_of(people: People, group: str) -> np.ndarray:
    """Patient or site of every sample, as text.

    Raises:
        InputError: Sites are asked for, and a sample has none.
    """
    samples = people.samples
    if group == "patient":
        return np.asarray(samples.patients.astype(str))
    if "site" not in samples.frame.columns:
        raise InputError(f"{samples.source} has no column 'site' to group folds by")
    sites = samples.columns(["site"]).values["site"]
    blank = np.flatnonzero(sites == None)  # noqa: E711 - element by element
    if len(blank):
        raise InputError(
            f"{samples.source}, column 'site', sample '{samples.ids[blank[0]]}': the site is empty"
        )
    sites = sites.astype(str)
    of_patient: dict[str, str] = {}
    for patient, site in zip(samples.patients.tolist(), sites.tolist(), strict=True):
        if of_patient.setdefault(patient, site) != site:
            raise InputError(
                f"{samples.source}, column 'site': patient '{patient}' has two, so folds by site are torn"
            )
    return np.asarray(sites)


def _splitter(n: int, seed: int) -> "StratifiedGroupKFold":
    from sklearn.model_selection import StratifiedGroupKFold  # prediction does without

    return StratifiedGroupKFold(n, shuffle=True, random_state=seed)


def _full(strata: np.ndarray, n: int) -> np.ndarray:
    """Strata with fewer rows than folds join the most frequent one, since they cannot be in each
    fold.
    """
    names, member, count = np.unique(strata, return_inverse=True, return_counts=True)
    return np.asarray(np.where(count[member] < n, names[count.argmax()], names[member]))
