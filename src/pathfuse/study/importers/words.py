"""What tables of scores call studies, methods, runs, metrics, and what is none of them."""

import re
from collections.abc import Sequence

from pathfuse.errors import InputError
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
PROPERTIES = frozenset((
    "params", "param", "parameters", "parameter", "dim", "dims", "dimension", "dimensions", "patch", "gflops",
    "flops", "macs", "slides", "wsis", "tiles", "patches", "images", "samples", "patients", "cases", "year",
    "date", "rank", "ranking", "average", "avg", "mean", "overall", "total", "licence", "license", "std", "n",
    "index", "unnamed", "size", "depth", "width", "layers", "throughput", "memory", "latency", "epochs",
    "resolution", "mpp", "magnification", "pretraining", "training", "time",
))  # fmt: skip
"""Words that name a property of a model or of a data set, or a mean over tasks."""
FILLERS = frozenset((
    "num", "number", "of", "no", "count", "counts", "embed", "embedding", "feature", "features", "vector",
    "model", "data", "dataset", "train", "pretrain", "trained", "tile", "input", "output", "release",
    "released", "publication", "per", "score", "scores", "all", "tasks", "macro", "the", "in", "millions",
    "million", "m", "b", "k", "mb", "gb", "hours", "s", "ms", "0", "1", "2", "test", "win", "wins",
))  # fmt: skip
"""Words that may stand with one of those."""
LOSSES = {name for name, one in METRICS.items() if one.lower_is_better} | {"mse", "mae", "loss"}
"""Metrics that a task may be named with, and of which less is better."""
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


def is_property(name: str) -> bool:
    """Whether a column or row of a leaderboard is named after something that is not a task.

    Examples:
        >>> [is_property(n) for n in ("Parameters (M)", "#slides", "Avg.", "embed_dim", "n_params", "")]
        [True, True, True, True, True, True]
        >>> [is_property(n) for n in ("crc", "mean_dice", "patch_camelyon", "slides_tcga", "test")]
        [False, False, False, False, False]
    """
    plain = re.sub(r"[(\[{].*?[)\]}]", " ", name.lower())
    words = re.findall(r"[a-z0-9]+", plain)
    if not words:
        return True
    known = [word in PROPERTIES or word in FILLERS for word in words]
    return all(known) and any(word in PROPERTIES for word in words)


def loss_in(name: str) -> str | None:
    """The loss that a task is named with, ``mse`` of ``mse_crc``; None if there is none.

    Examples:
        >>> loss_in("mse_crc"), loss_in("CRC (NLL)"), loss_in("glossary")
        ('mse', 'nll', None)
    """
    words = re.findall(r"[a-z0-9]+", name.lower())
    return next((word for word in words if word in LOSSES), None)


def measure_of(source: str, studies: Sequence[str]) -> tuple[str, str]:
    """What the values of tasks are called where only the tasks' names say it, and that in words.

    Raises:
        InputError: Some tasks are named after a loss and others are not.
    """
    found = {study: loss_in(study) for study in studies}
    losses = [study for study, loss in found.items() if loss is not None]
    if not losses:
        return (
            SCORE,
            "no metric is named, and higher is taken as better (otherwise --lower-is-better)",
        )
    others = [study for study, loss in found.items() if loss is None]
    if others:
        raise InputError(
            f"{source}: '{losses[0]}' is named after a loss, of which less is better, and '{others[0]}' is not; rank "
            "them apart, or give a table with the columns study,method,metric,value and choose with --metric"
        )
    names = {loss for loss in found.values() if loss is not None}
    metric = names.pop() if len(names) == 1 else "loss"
    return metric, f"the names say '{metric}', of which less is better"


def number_in(text: str | None) -> float | None:
    """The number of a cell as leaderboards print it; None if there is none.

    Examples:
        >>> number_in("**0.81 ± 0.02**"), number_in("0.5 (0.1)"), number_in("MIT"), number_in("-")
        (0.81, 0.5, None, None)
    """
    found = re.match(NUMBER, text) if text is not None else None
    return float(found[1]) if found else None
