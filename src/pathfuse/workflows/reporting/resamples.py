"""What parts of the report with intervals share: the resamples, and whom to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from pathfuse.evaluation.estimates import Estimate
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.evaluation.resampling import Resamples
from pathfuse.evaluation.subgroups import resamples_of
from pathfuse.workflows.reporting.base import JudgedRun

MAX_METHODS = 6
"""Experts that are shown where nothing was fused."""


@dataclass(frozen=True)
class Output:
    """The judged rows of one output, with the resamples of their patients."""

    judged: Judged
    """Patients are numbered 0..P-1 among the judged of all outputs."""
    resamples: Resamples
    uncertain: str | None
    """Why there are no intervals, if the outcomes are too few."""

    @property
    def pooled(self) -> Judged:
        """The same rows as if of one fold: decisions at a threshold are counted over all folds.

        Patients are drawn inside their folds all the same.
        """
        return replace(self.judged, folds=np.zeros_like(self.judged.folds))

    def common(self, methods: Sequence[str]) -> Bool[np.ndarray, " sample"]:
        """The rows that all of some methods predict."""
        scored = [predicted(self.judged.predictions[name]) for name in methods]
        return np.asarray(np.logical_and.reduce(scored))

    def sure(self, estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
        """Figures, without intervals where outcomes are too few."""
        if self.uncertain is None:
            return dict(estimates)
        return {name: one.unsure() for name, one in estimates.items()}


def resampled_outputs(run: JudgedRun) -> dict[str, Output]:
    """Every output with the resamples that its metrics have, those without rows left out."""
    rules, judged = run.rules, {k: one for k, one in run.judged.items() if len(one.patients)}
    if not judged:
        return {}
    present = np.unique(np.concatenate([one.patients for one in judged.values()]))
    numbered = {
        name: replace(one, patients=np.searchsorted(present, one.patients))
        for name, one in judged.items()
    }
    drawn = resamples_of(numbered, rules)
    return {
        name: Output(
            one,
            drawn[name],
            run.study.endpoint.too_few(one, rules.drawn),
        )
        for name, one in numbered.items()
    }


def fused_or_experts(predictions: Mapping[str, Any], experts: Sequence[str]) -> list[str]:
    """The fusion and the best expert; where nothing was fused, the first experts."""
    leading = [name for name in ("fused", "best_expert") if name in predictions]
    own = [name for name in experts if name in predictions][:MAX_METHODS]
    return leading if "fused" in leading else own


def shown_methods(run: JudgedRun, judged: Judged) -> list[str]:
    """The fusion and the best expert; where nothing was fused experts, the best, and their pool."""
    own = fused_or_experts(judged.predictions, run.study.expert_names)
    further = () if "fused" in own else ("best_expert", "uniform_product")
    return [*own, *(name for name in further if name in judged.predictions)]


def decided_outcomes(run: JudgedRun) -> list[int]:
    """The outcomes that decisions are about: the positive one of two, or each of several."""
    endpoint = run.study.endpoint
    n = len(endpoint.outcomes)
    if n > 2:
        return list(range(n))
    return [1 if endpoint.positive is None else endpoint.positive]
