"""Regression's part of a run: aligning moments, fitting the Gaussian ladder, predicting; the rest is shared."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pathfuse.calibration.conformal import PredictionIntervals
from pathfuse.calibration.temperature import best_gaussian_temperature
from pathfuse.errors import InputError
from pathfuse.fusion.gaussian.council import (
    GAUSSIAN_RUNGS,
    GaussianFusion,
    GaussianLadder,
    climb_gaussian,
    combine,
    council_weights,
    fuse_gaussian,
)
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.null_model import NULL_MODEL, for_all, null_moments
from pathfuse.fusion.rung import Tick, no_tick
from pathfuse.runs.fitting import Recipe
from pathfuse.tables.predictions import Expert
from pathfuse.tables.study import Study
from pathfuse.types import Index


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


@dataclass(frozen=True)
class GaussianFit:
    """Everything fitted on one set of fit rows; stands where ``TaskFit`` stands for the other endpoints."""

    ladder: GaussianLadder
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
        """Moments of every expert, rung and the fused method: (row, 2 G), means then variances; NaN where absent."""
        experts = align_moments(study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes))
        filled = experts.with_variance(self.ladder.members["best_expert"]["residual_variance"])
        said = {
            e.name: np.concatenate([filled.mean[:, m], filled.variance[:, m]], axis=1)
            for m, e in enumerate(study.experts)
        }
        for name, params in self.ladder.members.items():
            said[name] = GAUSSIAN_RUNGS[name].predict(experts, params).flat()
        null = {NULL_MODEL: for_all(self.nothing, len(rows))}
        return {**said, **null, "fused": self.fused.predict(experts).flat()}

    @property
    def best_expert(self) -> int:
        """The expert that ``best_expert`` picked on the fit rows."""
        return int(self.ladder.members["best_expert"]["order"][0])

    def inner_report(self) -> dict[str, Any]:
        """What inner cross-validation found, for the manifest."""
        report: dict[str, Any] = {
            "inner_nll": self.ladder.scores,
            "settings": {name: repr(value) for name, value in self.ladder.settings.items()},
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
    """Fits the Gaussian ladder and the fused method on some rows, and its intervals on others.

    Raises:
        InputError: A target does not vary on the fit rows, or an expert scored none of them.
    """
    experts = align_moments(study.experts, study.samples.ids[rows].tolist(), len(study.endpoint.outcomes))
    y = study.truth["all"].observed[rows]
    for g, target in enumerate(study.endpoint.outcomes):
        known = y[:, g][~np.isnan(y[:, g])]
        if len(known) < 2 or np.ptp(known) == 0:
            where = f"{study.samples.source}, column 'target_{target}'"
            raise InputError(f"{where}: the {len(known)} values of the fit rows do not vary")
    silent = np.flatnonzero(~experts.present.any(axis=(0, 2)))
    if len(silent):
        expert = study.experts[silent[0]]
        raise InputError(f"{expert.source}: the expert '{expert.name}' scored none of the {len(rows)} fit rows")
    groups = np.unique(study.samples.patients[rows].astype(str), return_inverse=True)[1]
    ladder = climb_gaussian(experts, y, groups, recipe.seed, tick)
    fused = fuse_gaussian(ladder, recipe.method, experts, y)
    held_out = combine([ladder.held_out[name] for name in fused.members if name in ladder.held_out], fused.council)
    temperature = best_gaussian_temperature(held_out.mean, held_out.variance, y[:, ladder.targets])
    fit = GaussianFit(ladder, fused, temperature, rows, calibrating, null_moments(y))
    if recipe.coverage is None:
        return fit
    said = fit.predict(study, "all", calibrating)["fused"]
    truth, patients = study.truth["all"].observed[calibrating], set(study.samples.patients[calibrating])
    return replace(fit, sets=PredictionIntervals.fit(said, truth, recipe.coverage, len(patients)))
