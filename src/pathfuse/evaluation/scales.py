"""On which scale a metric's interval is symmetric: losses on the log, shares on the logit, correlations on Fisher's z.

A loss of 0.03 may well be 0.06 and never -0.01. The interval is made where both ways are alike, and carried back; the
standard error comes along by its first derivative (delta method).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pathfuse.endpoints.survival import AUC_AT
from pathfuse.evaluation.prediction_sets import COVERAGE, INTERVAL_WIDTH, SET_SIZE

Function = Callable[[float], float]


@dataclass(frozen=True)
class Scale:
    """A transformation of metric values, and the open range it is made for."""

    name: str
    low: float
    high: float
    to: Function
    slope: Function
    """Its first derivative."""
    back: Function

    def holds(self, value: float) -> bool:
        """Whether a value can be carried over."""
        return self.low < value < self.high


PLAIN = Scale("plain", -np.inf, np.inf, lambda x: x, lambda _: 1.0, lambda y: y)
LOG = Scale("log", 0.0, np.inf, np.log, lambda x: 1 / x, np.exp)
LOGIT = Scale("logit", 0.0, 1.0, lambda x: np.log(x) - np.log1p(-x), lambda x: 1 / (x * (1 - x)), expit)
FISHER = Scale("Fisher's z", -1.0, 1.0, np.arctanh, lambda x: 1 / (1 - x**2), np.tanh)
UNEXPLAINED = Scale(
    "log of 1 - R2", -np.inf, 1.0, lambda x: -np.log1p(-x), lambda x: 1 / (1 - x), lambda y: -np.expm1(-y)
)

SHARES = frozenset({"auroc", "accuracy", "balanced_accuracy", "f1", "c_index", "c_index_ipcw", COVERAGE})
"""Metrics between 0 and 1 that count patients or pairs that are right; the AUC at an edge is one as well."""
LOSSES = frozenset({"nll", "brier", "rmse", "ibs", SET_SIZE, INTERVAL_WIDTH})
CORRELATIONS = frozenset({"pearson", "spearman"})


def is_share(metric: str) -> bool:
    """Whether a metric lies between 0 and 1 and counts patients or pairs that are right."""
    return metric in SHARES or metric.startswith(AUC_AT)


def scale_of(metric: str) -> Scale:
    """The scale of a metric; an NLL is that of probabilities, which is never negative."""
    if is_share(metric):
        return LOGIT
    if metric in LOSSES:
        return LOG
    if metric in CORRELATIONS:
        return FISHER
    return UNEXPLAINED if metric == "r2" else PLAIN
