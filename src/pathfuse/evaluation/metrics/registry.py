"""The metrics by name.

A new one: its object in the file of its kind, and its place in that file's list.
"""

from pathfuse.evaluation.metrics import (
    classification,
    ordinal,
    prediction_sets,
    regression,
    survival,
)
from pathfuse.evaluation.metrics.base import Metric
from pathfuse.evaluation.metrics.survival import AUC_AT

KINDS = (
    classification.METRICS,
    ordinal.METRICS,
    survival.METRICS,
    regression.METRICS,
    prediction_sets.METRICS,
)
METRICS: dict[str, Metric] = {metric.name: metric for kind in reversed(KINDS) for metric in kind}
"""Of two with one name, the NLL, that of classes; in words they are the same."""


def metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        KeyError: There is none.
    """
    if name.startswith(AUC_AT):
        return survival.auc_at(name.removeprefix(AUC_AT))
    return METRICS[name]
