"""Regression's part of a run: aligning moments, fitting the Gaussian fitted, predicting; the rest is shared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pathfuse.calibration.conformal import PredictionIntervals
from pathfuse.calibration.temperature import best_gaussian_temperature
from pathfuse.endpoints.regression import Regression
from pathfuse.errors import InputError
from pathfuse.fusion.gaussian.council import (
    GAUSSIAN_METHODS,
    GaussianFittedMethods,
    GaussianFusion,
    combine,
    council_weights,
    fit_gaussian_methods,
    fuse_gaussian,
)
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.method import Tick, no_tick
from pathfuse.fusion.null_model import NULL_MODEL, for_all, null_moments
from pathfuse.runs.fitting import Recipe, divide
from pathfuse.tables.predictions import Expert
from pathfuse.tables.study import Study
from pathfuse.types import Index

SENTENCES = 10
"""At most so many targets that are left out are told one by one."""


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


def with_varying_targets(study: Study, parts: Sequence[tuple[Index, str]], recipe: Recipe) -> tuple[Study, list[str]]:
    """The study without the targets that are constant, or known once at most, in the rows that some part fits on.

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
                reasons.setdefault(name, f"target '{name}' was not fused: {why if len(known) > 1 else few}")
    if not reasons:
        return study, []
    if len(reasons) == len(names):
        raise InputError(f"{study.samples.source}: no target can be fused; {next(iter(reasons.values()))}")
    return without_targets(study, list(reasons)), _shortened(list(reasons.values()))


def with_judged_targets(study: Study, rows: Index) -> tuple[Study, list[str]]:
    """The study without the targets that no row to judge has a value of, and a sentence for each of them."""
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
        raise TypeError(f"the study is no regression but {study.endpoint.kind}")
    kept = np.array([g for g, name in enumerate(study.endpoint.outcomes) if name not in names], dtype=np.int64)
    truth = study.truth["all"]
    observed = truth.observed[:, kept]
    return replace(
        study,
        endpoint=study.endpoint.without(names),
        truth={"all": replace(truth, observed=observed, known=np.logical_not(np.isnan(observed).all(axis=1)))},
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
    """As many sentences as anybody reads; the manifest's ``endpoint`` lists all targets that were left out."""
    more = len(reasons) - SENTENCES
    rest = [f"{more} more targets were left out for reasons of this kind; the manifest lists them (endpoint, left_out)"]
    return reasons if more <= 0 else [*reasons[:SENTENCES], *rest]


@dataclass(frozen=True)
class GaussianFit:
    """Everything fitted on one set of fit rows; stands where ``TaskFit`` stands for the other endpoints."""

    fitted: GaussianFittedMethods
    fused: GaussianFusion
    temperature: float
    """The best one for the fusion's held-out predictions; it multiplies their variances."""
    rows: Index
    """What it was fitted on."""
    calibrating: Index
    """What its intervals were calibrated on."""
    nothing: np.ndarray
    """Moments of ``null_model``, (2 G,)."""
    sets: PredictionIntervals | None = None
    """Conformal intervals, with ``--coverage``."""

    @property
    def frequency(self) -> np.ndarray:
        """Continuous targets have none."""
        return np.zeros(0)

    def predict(self, study: Study, task: str, rows: Index) -> dict[str, np.ndarray]:
        """Moments of every expert, method and the fused method: (row, 2 G), means then variances; NaN where absent."""
        experts = align_moments(study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes))
        filled = experts.with_variance(self.fitted.members["best_expert"]["residual_variance"])
        said = {
            e.name: np.concatenate([filled.mean[:, m], filled.variance[:, m]], axis=1)
            for m, e in enumerate(study.experts)
        }
        for name, params in self.fitted.members.items():
            said[name] = GAUSSIAN_METHODS[name].predict(experts, params).flat()
        null = {NULL_MODEL: for_all(self.nothing, len(rows))}
        return {**said, **null, "fused": self.fused.predict(experts).flat()}

    @property
    def best_expert(self) -> int:
        """The expert that ``best_expert`` picked on the fit rows."""
        return int(self.fitted.members["best_expert"]["order"][0])

    @property
    def settings_at_edge(self) -> list[str]:
        """The methods in the fusion whose setting shrinks least of all that were tried, with that setting."""
        tried = {name: method.settings for name, method in GAUSSIAN_METHODS.items() if method.open_end}
        settings = self.fitted.settings
        return [f"{name} ({settings[name]:g})" for name, grid in tried.items()
                if name in self.fused.members and len(grid) > 1 and settings[name] == grid[-1]]  # fmt: skip

    def inner_report(self) -> dict[str, Any]:
        """What inner cross-validation found, for the manifest."""
        report: dict[str, Any] = {
            "inner_nll": self.fitted.scores,
            "settings": {name: repr(value) for name, value in self.fitted.settings.items()},
            "fallbacks": {},
            "temperature": self.temperature,
        }
        if self.fused.name == "auto":
            report["council_weights"] = council_weights(self.fused)
            report["council_sharpness"] = float(self.fused.council["sharpness"])
            report["council_note"] = self.fused.certificate_.fallback
        if self.fused.name == "choose":
            report["chosen"] = next(iter(self.fused.members))
        return report


def fit_gaussian(study: Study, rows: Index, calibrating: Index, recipe: Recipe, tick: Tick = no_tick) -> GaussianFit:
    """Fits all Gaussian methods and the fused method on some rows, and its intervals on others.

    Every target varies on the rows to fit; see ``with_varying_targets``.

    Raises:
        InputError: An expert scored none of the fit rows.
    """
    experts = align_moments(study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes))
    y = study.truth["all"].observed[rows]
    silent = np.flatnonzero(~experts.present.any(axis=(0, 2)))
    if len(silent):
        expert = study.experts[silent[0]]
        raise InputError(f"{expert.source}: the expert '{expert.name}' scored none of the {len(rows)} fit rows")
    groups = np.unique(study.samples.patients[rows].astype(str), return_inverse=True)[1]
    fitted = fit_gaussian_methods(experts, y, groups, recipe.seed, tick)
    fused = fuse_gaussian(fitted, recipe.method, experts, y)
    held_out = combine([fitted.held_out[name] for name in fused.members if name in fitted.held_out], fused.council)
    temperature = best_gaussian_temperature(held_out.mean, held_out.variance, y[:, fitted.targets])
    fit = GaussianFit(fitted, fused, temperature, rows, calibrating, null_moments(y))
    if recipe.coverage is None:
        return fit
    said = fit.predict(study, "all", calibrating)["fused"]
    truth, patients = study.truth["all"].observed[calibrating], set(study.samples.patients[calibrating])
    return replace(fit, sets=PredictionIntervals.fit(said, truth, recipe.coverage, len(patients)))
