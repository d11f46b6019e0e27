"""One fit of a study: the ladder and the fused method on the fit rows, and what they say of the judged rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathfuse.errors import InputError
from pathfuse.fusion.auto import Auto
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.choose import Choose
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.ladder import Ladder, climb
from pathfuse.fusion.registry import method_class
from pathfuse.fusion.rung import Rung, Tick, no_tick
from pathfuse.fusion.rungs import RUNGS, new_rungs
from pathfuse.tables.study import Study
from pathfuse.types import Index, LogProbs


@dataclass(frozen=True)
class TaskFit:
    """Everything fitted for one task on one set of fit rows."""

    frequency: np.ndarray
    ladder: Ladder
    fused: Fusion

    def predict(self, study: Study, task: str, rows: Index) -> dict[str, LogProbs]:
        """Log-probabilities of every expert, rung and the fused method on some rows; NaN where an expert is absent."""
        experts = Experts.from_logits(study.logits(task, self.frequency)[rows])
        alone = np.where(experts.present[:, :, None], experts.log_prob, np.nan)
        said = {name: alone[:, m] for m, name in enumerate(study.expert_names)}
        rungs = {name: rung.log_pool(experts) for name, rung in self.ladder.members.items()}
        return {**said, **rungs, "fused": self.fused.log_pool(experts)}

    def inner_report(self) -> dict[str, Any]:
        """What inner cross-validation found, for the manifest."""
        report: dict[str, Any] = {
            "inner_nll": self.ladder.scores,
            "settings": {name: repr(rung.setting_) for name, rung in self.ladder.members.items()},
            "fallbacks": {
                name: rung.certificate_.fallback
                for name, rung in self.ladder.members.items()
                if rung.certificate_.fallback
            },
        }
        if isinstance(self.fused, Auto):
            report["council_weights"] = self.fused.council_weights_
            report["council_sharpness"] = self.fused.council_sharpness_
            report["council_note"] = self.fused.certificate_.fallback
        if isinstance(self.fused, Choose):
            report["chosen"] = self.fused.chosen_.name
        return report


def fit_task(
    study: Study,
    task: str,
    rows: Index,
    method: str,
    seed: int,
    n_jobs: int | None,
    tick: Tick = no_tick,
) -> TaskFit:
    """Fits the ladder and the fused method of one task.

    Raises:
        InputError: The fit rows hold one class, lack a class, or an expert scored none of them.
    """
    check_names(study, [*RUNGS, "fused"])
    rows = rows[study.truth[task].known[rows]]
    frequency = _checked_frequency(study, task, rows)
    experts = Experts.from_logits(study.logits(task, frequency)[rows])
    silent = np.flatnonzero(~experts.present.any(axis=0))
    if len(silent):
        expert = study.experts[silent[0]]
        raise InputError(f"{expert.source}: the expert '{expert.name}' scored none of the {len(rows)} fit rows")
    observed = study.truth[task].observed[rows]
    groups = np.unique(study.samples.patients[rows].astype(str), return_inverse=True)[1]
    ladder = climb(new_rungs(seed), experts, observed, groups, seed, n_jobs, tick)
    return TaskFit(frequency, ladder, fused_from(ladder, method, experts, observed, seed))


def check_names(study: Study, reserved: Sequence[str]) -> None:
    """Refuses experts that are named like a method: one row of ``metrics.csv`` per name.

    Raises:
        InputError: An expert has a reserved name.
    """
    for expert in study.experts:
        if expert.name in reserved:
            raise InputError(f"{expert.source}: the name '{expert.name}' belongs to a method; rename the expert")


def fused_from(ladder: Ladder, method: str, experts: Experts, observed: np.ndarray, seed: int) -> Fusion:
    """The fused method over rungs that are fitted already: nothing is fitted twice."""
    kind = method_class(method)
    if issubclass(kind, Rung):
        return ladder.members[method]
    if issubclass(kind, Choose):
        return Choose(seed).fit_ladder(ladder)
    return Auto(seed).fit_ladder(ladder, experts, observed)


def _checked_frequency(study: Study, task: str, rows: Index) -> np.ndarray:
    frequency = study.frequency(task, rows)
    empty = np.flatnonzero(frequency == 0)
    if len(empty) == len(frequency) - 1:
        only = study.endpoint.outcomes[int(frequency.argmax())]
        raise InputError(
            f"{study.samples.source}: all {len(rows)} fit rows have the label '{only}'; two classes are needed"
        )
    if len(empty):
        raise InputError(f"{study.samples.source}: the class '{study.endpoint.outcomes[empty[0]]}' has no fit row")
    return frequency
