"""What tables of scores call studies, methods and runs, and what is none of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import isclose
from statistics import median

from pathfuse.study.importers.metric_names import LOWER, TURNING, squashed

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
METRIC = ("metric", "measure", "metric_name")
VALUES = ("value", "score", "mean", "result", "metric_value", "performance")
OF_TEST = "test_"
PROPERTIES = frozenset((
    "params", "param", "parameters", "parameter", "dim", "dims", "dimension", "dimensions", "patch", "gflops",
    "flops", "macs", "slides", "wsis", "tiles", "patches", "images", "samples", "patients", "cases", "year",
    "date", "rank", "ranking", "average", "avg", "mean", "overall", "total", "licence", "license", "std", "n",
    "index", "unnamed", "size", "depth", "width", "layers", "throughput", "memory", "latency", "epochs",
    "resolution", "mpp", "magnification", "pretraining", "training", "time", "seed", "seeds", "runs", "folds",
))  # fmt: skip
"""Words that name a property of a model or of a data set, or a mean over tasks."""
FILLERS = frozenset((
    "num", "number", "of", "no", "count", "counts", "embed", "embedding", "feature", "features", "vector",
    "model", "data", "dataset", "train", "pretrain", "trained", "tile", "input", "output", "release",
    "released", "publication", "per", "score", "scores", "all", "tasks", "macro", "the", "in", "millions",
    "million", "m", "b", "k", "mb", "gb", "hours", "s", "ms", "0", "1", "2", "test", "win", "wins",
    "models", "methods", "encoders", "studies", "datasets", "over", "across",
))  # fmt: skip
"""Words that may stand with one of those."""
AVERAGES = frozenset(("average", "avg", "mean", "overall", "total"))
"""Words that name a mean over tasks or models."""
SUMMARIES: dict[str, Callable[[list[float]], tuple[float, ...]]] = {
    **dict.fromkeys(("best", "max", "maximum"), lambda values: (max(values), min(values))),
    **dict.fromkeys(("worst", "min", "minimum"), lambda values: (min(values), max(values))),
    "median": lambda values: (median(values),),
}
"""Words that name another summary of rows, and what its value may be: the best one may be the least."""

ROUNDED = 1e-3
"""How far a summary that is printed may be from the one computed, as a share of it."""


def column_of(header: Sequence[str], words: Sequence[str]) -> str | None:
    """The column that stands for something, by its name; the first word counts most."""
    own = {name.lower().strip().replace(" ", "_"): name for name in reversed(header)}
    return next((own[word] for word in words if word in own), None)


def metric_of(column: str) -> str | None:
    """The metric that a column is named after, ``auroc`` of ``test_auroc``; None if it is none."""
    name = column.lower().strip().replace(" ", "_").removeprefix(OF_TEST)
    return name if squashed(name) in LOWER and name not in TURNING else None


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


def is_average(name: str) -> bool:
    """Whether something is named after a mean over others, and is no task or model.

    Examples:
        >>> [is_average(name) for name in ("Average", "Avg.", "mean (all tasks)", "Overall")]
        [True, True, True, True]
        >>> [is_average(name) for name in ("mean_probability", "rank", "uni")]
        [False, False, False]
    """
    words = re.findall(r"[a-z0-9]+", re.sub(r"[(\[{].*?[)\]}]", " ", name.lower()))
    return bool(AVERAGES & set(words)) and all(word in AVERAGES | FILLERS for word in words)


def is_summary(name: str, rows: Mapping[str, Sequence[float | None]]) -> bool:
    """Whether a row is the best, the worst or the median of the others: by its name and its values.

    Args:
        name: Of the row.
        rows: Name to values, of all rows.

    Examples:
        >>> rows = {"uni": [0.8, 0.6], "conch": [0.7, 0.9], "Best": [0.8, 0.9]}
        >>> [is_summary(name, rows) for name in rows]
        [False, False, True]
    """
    words = re.findall(r"[a-z]+", name.lower())
    kinds = [SUMMARIES[word] for word in words if word in SUMMARIES]
    if any(word not in SUMMARIES and word not in FILLERS for word in words):
        return False
    others = [values for other, values in rows.items() if other != name]
    if not kinds or not others:
        return False
    columns = list(zip(rows[name], *others, strict=True))
    pairs = [
        (own, [value for value in rest if value is not None])
        for own, *rest in columns
        if own is not None
    ]
    return any(
        all(
            rest and any(isclose(own, one, rel_tol=ROUNDED) for one in kind(rest))
            for own, rest in pairs
        )
        for kind in kinds
    )
