"""Metrics of grades: classes in order, where a near miss is better than a far one."""

from dataclasses import dataclass

import numpy as np

from pathfuse.evaluation.metrics import classification
from pathfuse.evaluation.metrics.base import Metric, Values, ratio
from pathfuse.evaluation.metrics.classification import NLL, QUADRATIC_KAPPA, ClassificationScores, WeightedClasses
from pathfuse.evaluation.scales import LOG


@dataclass(frozen=True)
class OrdinalScores(ClassificationScores):
    """What the metrics need to know of one predictor's rows; outcomes are in the order of the grades."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of grades, then those of classes."""
        return METRICS


def ranked_probability(weighted: WeightedClasses) -> Values:
    """Ranked probability score: squared distance of the cumulative probabilities from the truth's (Epstein 1969).

    The sum over the K - 1 thresholds of the Brier scores of "above it": 0 is best, K - 1 worst.
    """
    predicted = np.cumsum(np.exp(weighted.rows.log_prob), axis=1)[:, :-1]
    true = np.cumsum(weighted.rows.observed, axis=1)[:, :-1]
    return ratio(weighted.weights @ ((predicted - true) ** 2).sum(axis=1), weighted.total)


def grades_apart(weighted: WeightedClasses) -> Values:
    """Mean distance of the most probable grade from the true one, in grades."""
    apart = np.abs(weighted.rows.predicted - weighted.rows.truth).astype(np.float64)
    return ratio(weighted.weights @ apart, weighted.total)


RPS = Metric(
    "rps", "RPS", "ranked probability score: squared distance of cumulative probabilities from the truth's",
    ranked_probability, lower_is_better=True, scale=LOG,
)  # fmt: skip
GRADES_APART = Metric(
    "grades_apart", "grades apart", "mean distance of the most probable grade from the true one, in grades",
    grades_apart, lower_is_better=True, scale=LOG,
)  # fmt: skip

METRICS = (NLL, QUADRATIC_KAPPA, RPS, GRADES_APART, *(m for m in classification.METRICS if m is not NLL))
