"""The metrics of segmentation by name.

A new one: its object in the file of what it is counted from, and its place in that file's list.
"""

from pathfuse.dense.evaluation.base import DenseMetric, find
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.dense.evaluation.metrics import METRICS

ALL: tuple[DenseMetric, ...] = (*METRICS, *INSTANCE_METRICS)
"""In the order of ``metrics.csv``."""
PRINCIPAL = next(metric for metric in ALL if metric.principal)
"""What tables are ordered by."""


def find_metric(name: str) -> DenseMetric:
    """The metric over all classes or instances that has a name.

    Raises:
        InputError: There is none.
    """
    return find(name, ALL)
