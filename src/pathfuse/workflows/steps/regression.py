"""Regression's part of a run: aligning moments, fitting, predicting; the rest is shared."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pathfuse.calibration.conformal import PredictionIntervals
from pathfuse.calibration.temperature import best_gaussian_temperature
from pathfuse.endpoints.regression import Regression
from pathfuse.errors import InputError
from pathfuse.fusion.expert_table import Prediction
from pathfuse.fusion.gaussian.experts import GaussianExperts, as_moments
from pathfuse.fusion.methods import new_methods
from pathfuse.fusion.null_model import NULL_MODEL, for_all, null_moments
from pathfuse.progress import OnShare, unreported
from pathfuse.study.predictions import Expert
from pathfuse.study.study import Study
from pathfuse.types import Index
from pathfuse.workflows.steps.fitting import (
    FusionRecipe,
    TaskFit,
    divide,
    fitted_on,
    fused_from,
    held_out_temperature,
)

SENTENCES = 10
"""At most so many targets that are left out get a sentence each."""


def align_moments(experts: tuple[Expert, ...], ids: list[str], n_targets: int) -> GaussianExperts:
    """Puts experts' means and variances where their ``sample_id`` stands in ``ids``."""
    position = {name: n for n, name in enumerate(ids)}
    mean = np.full((len(ids), len(experts), n_targets), np.nan)
    variance = mean.copy()
    for m, expert in enumerate(experts):
        kept = np.array([i in position for i in expert.ids], dtype=bool)
        rows = np.array([position[i] for i in expert.ids if i in position], dtype=np.int64)
        moments = expert.outputs["all"]
        mean[rows, m] = moments.mean[kept]
        variance[rows, m] = moments.sd[kept] ** 2
    return GaussianExperts(mean, variance)


def with_varying_targets(
    study: Study, parts: Sequence[tuple[Index, str]], recipe: FusionRecipe
) -> tuple[Study, list[str]]:
    """The study without the targets that are constant, or known once at most, in the rows that some
    part fits on.

    Args:
        study: A regression.
        parts: Per part its fit rows, and what they are called, such as `` of fold 2``.
        recipe: Says how many of them are kept for calibration.

    Returns:
        The study, and a sentence for every target that was left out.

    Raises:
        InputError: No target is left, or none that an expert predicts.
    """
    truth, names, reasons = study.truth["all"], study.endpoint.outcomes, dict[str, str]()
    for rows, part in parts:
        fitted, _ = divide(study, "all", study.scored("all", rows), recipe)
        for name, y in zip(names, truth.observed[fitted].T, strict=True):
            known = y[~np.isnan(y)]
            if len(known) < 2 or np.ptp(known) == 0:
                why = f"its {len(known)} values in the fit rows{part} do not vary"
                few = f"the fit rows{part} hold {'one value' if len(known) else 'no value'} of it"
                reasons.setdefault(
                    name, f"target '{name}' was not fused: {why if len(known) > 1 else few}"
                )
    if not reasons:
        return study, []
    if len(reasons) == len(names):
        raise InputError(
            f"{study.samples.source}: no target can be fused; {next(iter(reasons.values()))}"
        )
    return without_targets(study, list(reasons)), _shortened(list(reasons.values()))


def with_top_targets(
    study: Study, parts: Sequence[Index], n_targets: int | None
) -> tuple[Study, list[str]]:
    """The study with the targets alone that vary most in the fit rows.

    By the variance of the known values as they are; with folds by its mean over the folds' fit
    rows. Of equals the first by name. No judged row has a say where there is one part.

    Args:
        study: A regression, unless ``n_targets`` is None.
        parts: The fit rows of every part.
        n_targets: How many to keep; None: all.

    Returns:
        The study, and a sentence for the manifest's notes.

    Raises:
        InputError: The endpoint has no targets, or the number is not positive.
    """
    if n_targets is None:
        return study, []
    if not study.endpoint.of_numbers:
        raise InputError(
            f"--top-genes is for regression, but the endpoint is {study.endpoint.kind}"
        )
    if n_targets < 1:
        raise InputError(f"--top-genes must be 1 or more, not {n_targets}")
    observed, names = study.truth["all"].observed, study.endpoint.outcomes
    if n_targets >= len(names):
        return study, [
            f"--top-genes {n_targets}: there are {len(names)} targets, and all were kept"
        ]
    spread = np.mean([np.nanvar(observed[rows], axis=0) for rows in parts], axis=0)
    gone = np.argsort(-spread, kind="stable")[n_targets:]
    note = (
        f"the {n_targets} of {len(names)} targets with the largest variance in the fit rows were "
        f"kept, from {np.sort(spread)[-n_targets]:.4g} on"
    )
    return without_targets(study, [names[g] for g in gone]), [note]


def with_judged_targets(study: Study, rows: Index) -> tuple[Study, list[str]]:
    """The study without the targets that no judged row has a value of, and a sentence for each of
    them.
    """
    empty = np.isnan(study.truth["all"].observed[rows]).all(axis=0)
    gone = [name for name, none in zip(study.endpoint.outcomes, empty, strict=True) if none]
    if not gone or empty.all():
        return study, []
    return without_targets(study, gone), _shortened(
        [f"target '{name}' was not judged: the judged rows hold no value of it" for name in gone]
    )


def without_targets(study: Study, names: Sequence[str]) -> Study:
    """A regression without some of its targets.

    Raises:
        InputError: An expert predicts only these.
    """
    if not isinstance(study.endpoint, Regression):
        raise TypeError(f"the study is not a regression but {study.endpoint.kind}")
    kept = np.array(
        [g for g, name in enumerate(study.endpoint.outcomes) if name not in names], dtype=np.int64
    )
    truth = study.truth["all"]
    observed = truth.observed[:, kept]
    return replace(
        study,
        endpoint=study.endpoint.without(names),
        truth={
            "all": replace(
                truth, observed=observed, known=np.logical_not(np.isnan(observed).all(axis=1))
            )
        },
        experts=tuple(_of_targets(expert, kept) for expert in study.experts),
    )


def _of_targets(expert: Expert, kept: Index) -> Expert:
    moments = expert.outputs["all"]
    mean = moments.mean[:, kept]
    if np.isnan(mean).all():
        raise InputError(
            f"{expert.source}: the expert '{expert.name}' predicts only targets that are left out, since their values "
            "are missing or do not vary; leave it out"
        )
    return replace(expert, outputs={"all": replace(moments, mean=mean, sd=moments.sd[:, kept])})


def _shortened(reasons: list[str]) -> list[str]:
    """A sentence for each of a few targets, and one for the others.

    The manifest's ``endpoint`` lists all targets that were left out.
    """
    more = len(reasons) - SENTENCES
    rest = [
        f"{more} more targets were left out for reasons of this kind; the manifest lists them (endpoint, left_out)"
    ]
    return reasons if more <= 0 else [*reasons[:SENTENCES], *rest]


class GaussianFit(TaskFit):
    """A fit of all targets of a regression."""

    def predict(self, study: Study, task: str, rows: Index) -> dict[str, Prediction]:
        """See ``TaskFit``: means, then variances, (row, 2 G)."""
        experts = align_moments(
            study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes)
        )
        first = next(iter(self.methods.members.values()))
        filled = first.completed(experts, first.params_)
        alone = {
            e.name: np.concatenate([filled.mean[:, m], filled.variance[:, m]], axis=1)
            for m, e in enumerate(study.experts)
        }
        members = self.methods.members
        pooled = {name: method.pool(experts, method.params_) for name, method in members.items()}
        methods = {name: method.correct(pooled[name], experts) for name, method in members.items()}
        null = {NULL_MODEL: for_all(self.nothing, len(rows))}
        fused = self.fused.combine_known(experts, pooled)
        return {**alone, **methods, **null, "fused": fused}


def fit_gaussian(
    study: Study,
    rows: Index,
    calibrating: Index,
    recipe: FusionRecipe,
    on_progress: OnShare = unreported,
) -> GaussianFit:
    """Fits all methods and the fused one on some rows, and its intervals on others.

    Every target varies on the rows to fit; see ``with_varying_targets``.

    Raises:
        InputError: An expert scored none of the fit rows, or they cannot be divided for inner
            cross-validation.
    """
    experts = align_moments(
        study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes)
    )
    y = study.truth["all"].observed[rows]
    silent = np.flatnonzero(~experts.present.any(axis=(0, 2)))
    if len(silent):
        expert = study.experts[silent[0]]
        raise InputError(
            f"{expert.source}: the expert '{expert.name}' scored none of the {len(rows)} fit rows"
        )
    kind = study.endpoint.kind
    fitted = fitted_on(study, rows, new_methods(recipe.seed, kind), experts, y, recipe, on_progress)
    fused = fused_from(fitted, recipe, kind, experts, y)
    temperature = held_out_temperature(fitted, fused, recipe.seed, _best_temperature)
    fit = GaussianFit(np.zeros(0), fitted, fused, temperature, rows, calibrating, null_moments(y))
    if recipe.coverage is None:
        return fit
    fused_moments = fit.predict(study, "all", calibrating)["fused"]
    truth, patients = (
        study.truth["all"].observed[calibrating],
        set(study.samples.patients[calibrating]),
    )
    return replace(
        fit, sets=PredictionIntervals.fit(fused_moments, truth, recipe.coverage, len(patients))
    )


def _best_temperature(predicted: Prediction, truth: np.ndarray) -> float:
    """It multiplies the variances."""
    moments = as_moments(predicted)
    return best_gaussian_temperature(moments.mean, moments.variance, truth)
