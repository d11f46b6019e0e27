"""The judged rows of methods' predictions, and what is found on them: metrics and differences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Int

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.base import Metric, OfSections, RowWeights, Values
from pathfuse.evaluation.metrics.prediction_sets import SetScores
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.types import Index, LogProbs, Observed


@dataclass(frozen=True)
class Judged:
    """The rows that methods are judged on, for one task."""

    observed: Observed
    patients: Int[np.ndarray, " sample"]
    """0..P-1 over all tasks of the study."""
    folds: Int[np.ndarray, " sample"]
    """0..F-1; all 0 without folds."""
    predictions: dict[str, LogProbs]
    """Per method; a row of NaN where the method has no prediction."""
    context: SurvivalTruth | None = None
    """Survival: follow-up of the rows, and the censoring distribution of each fold's fit rows."""
    fold_names: tuple[str, ...] = ()
    """What the folds are called in the samples table; empty: by number."""
    sections: Int[np.ndarray, " sample"] | None = None
    """The section of each row, where the samples say; a section is of one patient."""
    sets: SetScores | None = None
    """How the prediction sets of ``fused`` fared, where it has any."""

    def scores(self, endpoint: "EndpointLike", name: str, rows: Index, fold: int) -> "Scores":
        """One method's scores on some rows of one fold."""
        context = None if self.context is None else self.context.of(rows, fold)
        found = endpoint.scores(self.predictions[name][rows], self.observed[rows], context)
        if self.sections is not None and isinstance(found, OfSections):
            return found.within(self.sections[rows])
        return found


class EndpointLike(Protocol):
    """What evaluation asks of an endpoint, which stands above it."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of its metrics, in order."""

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Outcomes of each task."""

    def scores(
        self, log_prob: LogProbs, observed: Observed, context: SurvivalTruth | None
    ) -> "Scores":
        """What turns row weights into the metrics of one predictor's rows."""

    def slope_scores(self, log_prob: LogProbs, observed: Observed) -> "Scores":
        """The same for the calibration slope."""

    def too_few(self, judged: Judged, drawn: str) -> str | None:
        """Why the judged rows allow no interval; None if they do."""


class Scores(Protocol):
    """What turns row weights into metrics."""

    @property
    def metrics(self) -> Sequence[Metric]:
        """The metrics that it knows."""

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every metric of every resample."""


@dataclass(frozen=True)
class MetricRow:
    """One row of ``metrics.csv``."""

    method: str
    output: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    n_patients: int


@dataclass(frozen=True)
class Comparison:
    """One row of ``comparisons.csv``: method minus reference, on the rows that both predict."""

    method: str
    reference: str
    output: str
    metric: str
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    test: str
    p_holm: float
    """Adjusted (Holm) per output and metric: over a method's references, or over the methods of a
    reference."""


@dataclass(frozen=True)
class Test:
    """One row of ``tests.csv``: a further test of a paired difference."""

    method: str
    reference: str
    output: str
    metric: str
    test: str
    difference: float
    statistic: float
    p_value: float
    p_holm: float
    margin: float
    conclusion: str


@dataclass(frozen=True)
class Gain:
    """One row of ``gains.csv``."""

    method: str
    output: str
    metric: str
    value: float
    mean_of_experts: float
    gain_percent: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Verdict:
    """What the evaluation found, and what it could not determine."""

    metrics: list[MetricRow]
    comparisons: list[Comparison]
    tests: list[Test]
    notes: list[str]
    intervals: dict[str, str] = field(default_factory=dict)
    """Which kind of interval figures and differences have, in words."""
    gains: list[Gain] = field(default_factory=list)
    """Of the fusions over the mean of the single experts, on the whole study."""


def predicted(values: np.ndarray) -> np.ndarray:
    """The rows that a method has a prediction for."""
    return np.asarray(~np.isnan(values).all(axis=1))


def average_patients(judged: Judged) -> Judged:
    """One row per patient: the mean of its rows' log-probabilities, normalised (``--unit
    patient``).

    Raises:
        InputError: A patient's rows disagree on the truth.
    """
    patients, first, member_of = np.unique(judged.patients, return_index=True, return_inverse=True)
    if (judged.observed != judged.observed[first][member_of]).any():
        raise InputError(
            "--unit patient needs one truth per patient, but some patient's samples have different labels"
        )
    member = np.eye(len(patients))[member_of]
    predictions = {}
    for name, log_prob in judged.predictions.items():
        there = ~np.isnan(log_prob[:, 0])
        count = member[there].sum(axis=0)
        mean = member[there].T @ log_prob[there] / np.maximum(count, 1)[:, None]
        predictions[name] = np.where(count[:, None] > 0, log_softmax(mean), np.nan)
    context = judged.context.at(first) if judged.context is not None else None
    return Judged(
        judged.observed[first],
        patients,
        judged.folds[first],
        predictions,
        context,
        judged.fold_names,
    )
