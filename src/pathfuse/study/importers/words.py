"""What tables of scores call studies, methods, runs and metrics."""

import re
from collections.abc import Sequence

from pathfuse.evaluation.metrics.registry import METRICS

STUDIES = (
    "study",
    "task",
    "dataset",
    "target",
    "benchmark",
    "task_name",
    "data_set",
    "cohort_task",
)
METHODS = ("method", "model", "model_name", "encoder", "feature_extractor", "foundation_model", "fm", "extractor",
           "backbone", "modelid", "name")  # fmt: skip
RUNS = ("seed", "run", "repeat", "repetition", "trial", "fold", "random_state", "replicate")
MORE = ("auc", "aucs", "f1_score", "macro_f1", "weighted_f1", "bacc", "acc", "kappa", "c-index", "cindex", "pearson",
        "dice", "iou", "miou", "mean_dice", "precision", "recall", "balanced_acc")  # fmt: skip
"""Metrics that have other names here, or none."""
OF_TEST = "test_"
SCORE = "score"
"""What values are called where a table does not say; higher is better."""
NUMBER = (
    r"^\s*[*_]*\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*%?"
    r"\s*(?:(?:±|\+/-|\()\s*[0-9.]+\s*\)?\s*%?)?\s*[*_]*\s*$"
)
"""A number, also in bold, with a standard deviation behind it, or with a sign for per cent."""


def column_of(header: Sequence[str], words: Sequence[str]) -> str | None:
    """The column that stands for something, by its name; the first word counts most."""
    own = {name.lower().strip().replace(" ", "_"): name for name in reversed(header)}
    return next((own[word] for word in words if word in own), None)


def metric_of(column: str) -> str | None:
    """The metric that a column is named after, ``auroc`` of ``test_auroc``; None if it is none."""
    name = column.lower().strip().replace(" ", "_").removeprefix(OF_TEST)
    return name if name in METRICS or name in MORE else None


def number_in(text: str | None) -> float | None:
    """The number of a cell as leaderboards print it; None if there is none.

    Examples:
        >>> number_in("**0.81 ± 0.02**"), number_in("0.5 (0.1)"), number_in("MIT"), number_in("-")
        (0.81, 0.5, None, None)
    """
    found = re.match(NUMBER, text) if text is not None else None
    return float(found[1]) if found else None
