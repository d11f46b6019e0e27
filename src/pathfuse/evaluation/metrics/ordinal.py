"""Metrics of grades: classes in order, where a near miss is better than a far one."""

from dataclasses import dataclass

import numpy as np

from pathfuse.evaluation.metrics import classification
from pathfuse.evaluation.metrics.base import Metric, Values, ratio
from pathfuse.evaluation.metrics.classification import (
    NLL,
    QUADRATIC_KAPPA,
    ClassificationScores,
    WeightedClasses,
)
from pathfuse.evaluation.scales import LOG


@dataclass(frozen=True)
class OrdinalScores(ClassificationScores):
    """What the metrics need to know of one predictor's rows.

    Outcomes are in the order of the grades.
    """

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of grades, then those of classes."""
        return METRICS


def ranked_probability(weighted: WeightedClasses) -> Values:
    """Ranked probability score: squared distance of the cumulative probabilities from the truth's.

        RPS = mean over samples of  Σ_k (g_{k+1} - g_k) (P(grade ≤ k) - [true grade ≤ k])²

    ``g`` is where a class lies, (class,). The sum over all thresholds from the lowest grade to the
    highest of the Brier scores of "above it": 0 is best. A grade that no sample has is a threshold
    all the same.

    References:
        Epstein (1969).
    """
    rows = weighted.rows
    predicted = np.cumsum(np.exp(rows.log_prob), axis=1)[:, :-1]
    true = np.cumsum(rows.observed, axis=1)[:, :-1]
    return ratio(
        weighted.weights @ ((predicted - true) ** 2 @ np.diff(rows.places)), weighted.total
    )


def grades_apart(weighted: WeightedClasses) -> Values:
    """Mean distance of the most probable grade from the true one, in grades: mean |ĝ - g|."""
    rows = weighted.rows
    return ratio(
        weighted.weights @ np.abs(rows.places[rows.predicted] - rows.places[rows.truth]),
        weighted.total,
    )


RPS = Metric(
    "rps", "RPS", "ranked probability score: squared distance of cumulative probabilities from the truth's",
    ranked_probability, lower_is_better=True, scale=LOG,
)  # fmt: skip
GRADES_APART = Metric(
    "grades_apart", "grades apart", "mean distance of the most probable grade from the true one, in grades",
    grades_apart, lower_is_better=True, scale=LOG,
)  # fmt: skip

METRICS = (
    NLL,
    QUADRATIC_KAPPA,
    RPS,
    GRADES_APART,
    *(m for m in classification.METRICS if m is not NLL),
)
