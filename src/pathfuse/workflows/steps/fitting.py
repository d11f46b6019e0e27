"""One fit of a study: all methods and the fused method on the fit rows, and their predictions
of the judged rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pathfuse.calibration.conformal import (
    PredictionIntervals,
    PredictionSets,
    calibration_rows,
    check_enough,
)
from pathfuse.calibration.temperature import best_temperature
from pathfuse.distributions.proportional import Baseline
from pathfuse.errors import InputError
from pathfuse.evaluation.rules import check_seed
from pathfuse.fusion.auto import Council
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.choose import Choice
from pathfuse.fusion.expert_table import Prediction
from pathfuse.fusion.fitted import AnyFitted, fit_methods
from pathfuse.fusion.inner_cv import strata_of
from pathfuse.fusion.method import AnyMethod, Method
from pathfuse.fusion.methods import family_of, methods_of, new_methods
from pathfuse.fusion.null_model import NULL_MODEL, for_all, null_log_prob
from pathfuse.fusion.registry import all_names, fusion_class, names_of
from pathfuse.progress import OnShare, unreported
from pathfuse.study.study import Study
from pathfuse.types import Index
from pathfuse.workers import check_jobs
from pathfuse.workflows.steps.risks import fitted_baselines


@dataclass(frozen=True)
class TaskFit:
    """Everything fitted for one task on one set of fit rows."""

    frequency: np.ndarray
    """Of the outcomes; continuous targets have none."""
    methods: AnyFitted
    fused: Fusion[Any]
    temperature: float
    """The best one for the fusion's held-out predictions; near 1, since sharpness is fitted with
    the weights."""
    rows: Index
    """What it was fitted on."""
    calibrating: Index
    """What its sets or intervals were calibrated on."""
    nothing: np.ndarray
    """What ``null_model`` predicts, (column,)."""
    sets: PredictionSets | PredictionIntervals | None = None
    """Conformal sets or intervals, with ``--coverage``."""
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    """What turns risks into hazards, by expert."""

    def predict(self, study: Study, task: str, rows: Index) -> dict[str, Prediction]:
        """What every expert, every method and the fused one predict of some rows.

        NaN where an expert is absent.
        """
        logits = study.logits(task, self.frequency, self.baselines)[rows]
        scored = ~np.isnan(logits[:, :, 0]).all(axis=1)
        if not scored.all():
            predicted = self.predict(study, task, rows[scored])
            return {name: _among(scored, log_prob) for name, log_prob in predicted.items()}
        experts = Experts.from_logits(logits)
        alone = np.where(experts.present[:, :, None], experts.log_prob, np.nan)
        single = {e.name: alone[:, m] for m, e in enumerate(study.experts) if task in e.outputs}
        methods = {name: method.combine(experts) for name, method in self.methods.members.items()}
        null = {NULL_MODEL: for_all(self.nothing, experts.n_samples)}
        return {**single, **methods, **null, "fused": self.fused.combine(experts)}

    @property
    def best_expert(self) -> int:
        """The expert that ``best_expert`` picked on the fit rows."""
        return int(self.methods.members["best_expert"].params_["order"][0])

    @property
    def settings_at_edge(self) -> list[str]:
        """The methods in the fusion whose setting shrinks least of all that were tried, with that
        setting.
        """
        if isinstance(self.fused, Council):
            used: list[Fusion[Any]] = list(self.fused.members_.values())
        else:
            used = [self.fused.chosen_ if isinstance(self.fused, Choice) else self.fused]
        return [
            f"{m.name} ({m.setting_:g})"
            for m in used
            if isinstance(m, Method) and m.at_edge(len(self.rows))
        ]

    def inner_report(self) -> dict[str, Any]:
        """What inner cross-validation found, for the manifest."""
        report: dict[str, Any] = {
            "inner_nll": self.methods.scores,
            "settings": {
                name: repr(method.setting_) for name, method in self.methods.members.items()
            },
            "fallbacks": {
                name: method.certificate_.fallback
                for name, method in self.methods.members.items()
                if method.certificate_.fallback
            },
            "temperature": self.temperature,
        }
        if isinstance(self.fused, Council):
            report["council_weights"] = self.fused.council_weights_
            report["council_sharpness"] = self.fused.council_sharpness_
            report["council_note"] = self.fused.certificate_.fallback
        if isinstance(self.fused, Choice):
            report["chosen"] = self.fused.chosen_.name
        return report


def _among(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of some rows in a table of all rows; NaN elsewhere."""
    result = np.full((len(rows), values.shape[1]), np.nan)
    result[rows] = values
    return result


@dataclass(frozen=True)
class FusionRecipe:
    """How to fit: the same for all tasks and folds."""

    method: str = "auto"
    seed: int = 0
    gate: str = "shared"
    """LogitProd's gate: ``shared``, or ``per_bin`` (survival)."""
    dropout: float = 0.0
    """Share of predictions hidden from LogitProd's fit."""
    n_jobs: int | None = None
    coverage: float | None = None
    """Promised coverage of conformal sets; None: none are made, and all fit rows fit."""

    def check(self, study: Study) -> None:
        """Refuses what cannot be fitted, before any work.

        Raises:
            InputError: An option is out of range, or an expert is named like a method.
        """
        kinds = list(methods_of(study.endpoint.kind))
        names = names_of(study.endpoint.kind)
        if self.method not in names:
            why = "is not for this endpoint" if self.method in all_names() else "is unknown"
            raise InputError(f"method '{self.method}' {why}; choose one of {', '.join(names)}")
        check_seed(self.seed)
        if self.gate not in ("shared", "per_bin"):
            raise InputError(f"gate '{self.gate}' is unknown; choose shared or per_bin")
        if self.gate == "per_bin" and not study.endpoint.in_time:
            raise InputError("--gate per_bin is for survival: other endpoints have no bins")
        if not 0 <= self.dropout < 1:
            raise InputError(f"--expert-dropout must be between 0 and 1, not {self.dropout:g}")
        if self.dropout and study.endpoint.of_numbers:
            raise InputError("--expert-dropout is not built for regression; leave it out")
        check_jobs(self.n_jobs)
        if self.coverage is not None and not 0 < self.coverage < 1:
            raise InputError(
                f"--coverage must be between 0 and 1, such as 0.9, not {self.coverage:g}"
            )
        if self.coverage is not None and study.endpoint.in_time:
            raise InputError(
                "--coverage is not built for survival: "
                "whether the set of a censored patient holds the truth is not known"
            )
        check_names(study, [*kinds, NULL_MODEL, "fused"])


def fit_task(
    study: Study,
    task: str,
    rows: Index,
    recipe: FusionRecipe,
    on_progress: OnShare = unreported,
    part: str = "",
) -> TaskFit:
    """Fits all methods and the fused method of one task.

    Raises:
        InputError: The fit rows hold one class, lack a class, or an expert scored none of them.
    """
    rows, calibrating = divide(study, task, study.scored(task, rows), recipe)
    experts, frequency, baselines = _checked_experts(study, task, rows, part)
    observed = study.truth[task].observed[rows]
    methods = new_methods(
        recipe.seed, study.endpoint.kind, gate=recipe.gate, dropout=recipe.dropout
    )
    fitted = fitted_on(study, rows, methods, experts, observed, recipe, on_progress)
    fused = fused_from(fitted, recipe, study.endpoint.kind, experts, observed)
    temperature = held_out_temperature(fitted, fused, recipe.seed, best_temperature)
    fit = TaskFit(
        frequency, fitted, fused, temperature, rows, calibrating, null_log_prob(observed),
        baselines=baselines,
    )  # fmt: skip
    return replace(fit, sets=_fit_sets(study, task, fit, recipe.coverage))


def divide(study: Study, task: str, rows: Index, recipe: FusionRecipe) -> tuple[Index, Index]:
    """Rows to fit on and rows to calibrate conformal sets on.

    None of the latter without ``--coverage``.

    A label among several that has too few of them gets no sets, and keeps all its rows for the fit.

    Raises:
        InputError: There are too few and this is the only task; raised before any work.
    """
    if recipe.coverage is None:
        return rows, rows[:0]
    observed = study.truth[task].observed[rows]
    strata = (
        np.zeros(len(rows), dtype=np.int64) if study.endpoint.of_numbers else strata_of(observed)
    )
    groups = np.unique(study.samples.patients[rows].astype(str), return_inverse=True)[1]
    chosen = calibration_rows(strata, groups, recipe.seed)
    try:
        check_enough(len(chosen), recipe.coverage)
    except InputError as error:
        if len(study.endpoint.tasks) > 1:
            return rows, rows[:0]
        raise InputError(f"{study.samples.source}: {error}") from error
    return np.delete(rows, chosen), rows[chosen]


def _fit_sets(
    study: Study, task: str, fit: TaskFit, coverage: float | None
) -> PredictionSets | None:
    rows = fit.calibrating
    if coverage is None or not len(rows):
        return None
    truth = study.truth[task].observed[rows].argmax(axis=1)
    fused = fit.predict(study, task, rows)["fused"]
    return PredictionSets.fit(fused, truth, coverage, len(set(study.samples.patients[rows])))


def fitted_on(
    study: Study,
    rows: Index,
    methods: Sequence[AnyMethod],
    experts: Any,
    truth: np.ndarray,
    recipe: FusionRecipe,
    on_progress: OnShare,
) -> AnyFitted:
    """All methods fitted on some rows of a study.

    Raises:
        InputError: The rows cannot be divided for inner cross-validation.
    """
    groups = np.unique(study.samples.patients[rows].astype(str), return_inverse=True)[1]
    try:
        return fit_methods(methods, experts, truth, groups, recipe.seed, recipe.n_jobs, on_progress)
    except InputError as error:
        raise InputError(f"{study.samples.source}: {error}") from error


@dataclass(frozen=True)
class HeldOut:
    """Fused predictions of fit rows, by fusions that did not see them; a row may occur repeatedly."""

    rows: Index
    """Numbers among ``FittedMethods.rows``."""
    repeat: np.ndarray
    """Int, which repeat of inner cross-validation each prediction is of."""
    predictions: Prediction


def held_out_fused(fitted: AnyFitted, fused: Fusion[Any], seed: int) -> HeldOut:
    """The fused predictions of inner cross-validation.

    The methods' predictions are held out by it; a council is weighed anew on four fifths of them
    and pooled on the rest, so that its own sharpness is held out too.

    Args:
        fitted: The methods.
        fused: What is made of them.
        seed: Of the fifths.
    """
    from sklearn.model_selection import KFold  # not at the top: predict does without

    everybody = np.arange(len(fitted.truth))
    if not isinstance(fused, Council):
        name = fused.chosen_.name if isinstance(fused, Choice) else fused.name
        predictions = fitted.held_out[name]
        n_repeats = len(predictions)
        return HeldOut(
            np.tile(everybody, n_repeats),
            np.repeat(np.arange(n_repeats), len(everybody)),
            predictions.reshape(-1, predictions.shape[2]),
        )
    votes = {name: fitted.held_out[name] for name in fused.members_}
    pooled, rows, repeats = [], [], []
    fifths = KFold(min(5, len(fitted.rows)), shuffle=True, random_state=seed)
    for train, test in fifths.split(fitted.rows):
        params = fused.weigh_members(
            [vote[:, train] for vote in votes.values()], fitted.truth[train], seed
        )
        council = fused.council_of(params)
        for r, repeat in enumerate(zip(*votes.values(), strict=True)):
            pooled.append(fused.pooled(council, [vote[test] for vote in repeat]))
            rows.append(test)
            repeats.append(np.full(len(test), r))
    return HeldOut(np.concatenate(rows), np.concatenate(repeats), np.concatenate(pooled))


def held_out_temperature(
    fitted: AnyFitted,
    fused: Fusion[Any],
    seed: int,
    best: Callable[[np.ndarray, np.ndarray], float],
) -> float:
    """The best temperature of the fused predictions of inner cross-validation.

    Args:
        fitted: The methods.
        fused: What is made of them.
        seed: See ``held_out_fused``.
        best: The best temperature of predictions, given the truth.
    """
    held_out = held_out_fused(fitted, fused, seed)
    return best(held_out.predictions, fitted.truth[held_out.rows])


def fused_from(
    fitted: AnyFitted, recipe: FusionRecipe, endpoint: str, experts: Any, truth: np.ndarray
) -> Fusion[Any]:
    """The fused method over methods that are fitted already: nothing is fitted twice."""
    kind = fusion_class(recipe.method, family_of(endpoint))
    if issubclass(kind, Method):
        return fitted.members[recipe.method]
    if issubclass(kind, Choice):
        return kind(endpoint, seed=recipe.seed).from_fitted(fitted)
    if issubclass(kind, Council):
        return kind(endpoint, seed=recipe.seed).from_fitted(fitted, experts, truth)
    raise TypeError(f"'{recipe.method}' is neither a method nor made of methods")


def unfittable(
    study: Study, task: str, rows: Index, recipe: FusionRecipe, part: str = ""
) -> str | None:
    """Why one label among several cannot be fused on some fit rows, or None if it can.

    Args:
        study: The study.
        task: The label.
        rows: The fit rows.
        recipe: Says how many of them are kept for calibration.
        part: What these rows are called, such as `` of fold 2``.
    """
    rows = study.scored(task, rows)
    if not len(rows):
        return f"label '{task}' was not fused: no fit row{part} has both a truth and a prediction"
    rows, _ = divide(study, task, rows, recipe)
    frequency = study.frequency(task, rows)
    if (frequency == 0).any():
        only = study.endpoint.outcomes[int(frequency.argmax())]
        return (
            f"label '{task}' was not fused: all {len(rows)} fit rows{part} that have it are {only}"
        )
    return None


def check_names(study: Study, reserved: Sequence[str]) -> None:
    """Refuses experts that are named like a method: one row of ``metrics.csv`` per name.

    Raises:
        InputError: An expert has a reserved name.
    """
    for expert in study.experts:
        if expert.name in reserved:
            raise InputError(
                f"{expert.source}: the name '{expert.name}' belongs to a method; rename the expert"
            )


def check_task(study: Study, task: str, rows: Index, recipe: FusionRecipe, part: str = "") -> None:
    """Refuses what ``fit_task`` would refuse, without fitting.

    Raises:
        InputError: As there.
    """
    if study.endpoint.of_numbers:
        return
    rows, _ = divide(study, task, study.scored(task, rows), recipe)
    _checked_experts(study, task, rows, part)


def _checked_experts(
    study: Study, task: str, rows: Index, part: str
) -> tuple[Experts, np.ndarray, dict[str, Baseline]]:
    """The experts on the fit rows, how often each outcome occurs there, and the baselines of risks."""
    frequency = _checked_frequency(study, task, rows, part)
    baselines = fitted_baselines(study, task, rows)
    experts = Experts.from_logits(study.logits(task, frequency, baselines)[rows])
    silent = [
        m for m in np.flatnonzero(~experts.present.any(axis=0)) if task in study.experts[m].outputs
    ]
    if silent:
        expert = study.experts[silent[0]]
        raise InputError(
            f"{expert.source}: the expert '{expert.name}' scored none of the {len(rows)} fit rows{part}"
        )
    return experts, frequency, baselines


def _checked_frequency(study: Study, task: str, rows: Index, part: str) -> np.ndarray:
    frequency = study.frequency(task, rows)
    where = f"{study.samples.source}, column '{'label' if task == 'all' else 'label_' + task}'"
    if not study.endpoint.every_outcome_needed:
        event = study.truth[task].event
        if event is not None and not event[rows].any():
            source = study.samples.source
            raise InputError(
                f"{source}, column 'event': all {len(rows)} fit rows{part} are censored"
            )
        return frequency
    empty = np.flatnonzero(frequency == 0)
    if len(empty) == len(frequency) - 1:
        only = study.endpoint.outcomes[int(frequency.argmax())]
        raise InputError(
            f"{where}: all {len(rows)} fit rows{part} have the label '{only}'; two classes are needed"
        )
    if len(empty):
        raise InputError(
            f"{where}: the class '{study.endpoint.outcomes[empty[0]]}' has no fit row{part}"
        )
    known = np.any([e.outputs[task].group >= 0 for e in study.experts if task in e.outputs], axis=0)
    if not known.all():
        unknown = study.endpoint.outcomes[int(np.flatnonzero(~known)[0])]
        raise InputError(f"{where}: no expert knows the class '{unknown}'; check how it is written")
    return frequency
