"""What ``predict`` says of drift by itself: the batch test over a part of the samples, at little cost.

Patients are not known here, nor is any truth.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from pathfuse.drift.verdict import FALSE_ALARMS, in_words, quick_test
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import spread_rows
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.workflows.model import Aligned, Combined, FusedModel
from pathfuse.workflows.new_samples import NewSamples
from pathfuse.workflows.steps.figures import figures_of

MOST_SAMPLES = 2000
"""More are not looked at: so many of them, evenly spread."""


@dataclass
class Look:
    """Sums over the samples that were looked at: those of parts add up."""

    samples: int = 0
    total: list[float] = field(default_factory=list)
    """Per feature."""
    squares: list[float] = field(default_factory=list)

    def add(self, other: "Look") -> None:
        """Adds others' samples."""
        if not self.samples:
            self.total, self.squares = list(other.total), list(other.squares)
        elif other.samples:
            self.total = [a + b for a, b in zip(self.total, other.total, strict=True)]
            self.squares = [a + b for a, b in zip(self.squares, other.squares, strict=True)]
        self.samples += other.samples


def predict_and_look(
    model: FusedModel, new: NewSamples, *, min_experts: int = 1, require_all: bool = False
) -> tuple[pl.DataFrame, Look]:
    """``FusedModel.predict``, and a look at the samples that are fused.

    Raises:
        InputError: As there.
    """
    if require_all:
        new.check_complete()
    kept = new.with_at_least(min_experts)
    aligned = model.aligned(kept.read, kept.ids)
    combined = model.combined(aligned)
    return model.fused_frame(kept.ids, combined), look_at(model, aligned, combined, MOST_SAMPLES)


def look_at(model: FusedModel, aligned: Aligned, combined: Combined, most: int) -> Look:
    """Looks at some of the samples of a table or a block.

    Args:
        model: The model.
        aligned: What the experts predict.
        combined: What the model makes of it.
        most: About so many are looked at.
    """
    reference = model.reference
    if reference is None:
        return Look()
    rows = spread_rows(len(combined.weights), most)
    own = (
        aligned.rows(rows)
        if isinstance(aligned, GaussianExperts)
        else {task: logits[rows] for task, logits in aligned.items()}
    )
    predicted = {task: values[rows] for task, values in combined.predicted.items()}
    figures = figures_of(model, own, predicted, reference.scale)
    features = reference.new_features(figures.select(reference.names))
    return Look(
        len(features), features.sum(axis=0).tolist(), np.square(features).sum(axis=0).tolist()
    )


def alarm(model: FusedModel, look: Look) -> str | None:
    """What the look found, in one sentence; None if nothing.

    Raises:
        InputError: Nothing can be said: the model keeps nothing of its fit rows, or there are too
            few patients on one side.
    """
    if model.reference is None:
        raise InputError(NOTHING_KEPT)
    n = max(look.samples, 1)
    width = 2 * len(model.reference.names)
    moments = (
        np.array(look.total or [0.0] * width) / n,
        np.array(look.squares or [0.0] * width) / n,
    )
    verdict = quick_test(model.reference, moments, look.samples)
    return in_words(verdict.drifted) if verdict.drifted else None


NOTHING_KEPT = (
    "the model keeps nothing of its fit rows: an older version of pathfuse wrote it, fuse again"
)
RATE_IN_WORDS = f"{100 * FALSE_ALARMS:g} % false alarms"
