"""What tables of scores call studies, methods and runs, and what is none of them."""

import re
from collections.abc import Mapping, Sequence
from math import isclose
from statistics import fmean, median

from pathfuse.study.importers.metric_names import LOWER, TURNING, find_metric, squashed

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
AVERAGE, EXTREME, MEDIAN = "average", "extreme", "median"
SUMMARIES = {
    **dict.fromkeys(AVERAGES, AVERAGE),
    **dict.fromkeys(("best", "max", "maximum", "worst", "min", "minimum"), EXTREME),
    "median": MEDIAN,
}
"""Words that name a summary of rows, and which."""
ROUNDED = 1e-3
"""How far a summary that is computed may be from another computation, as a share of it."""
COARSE = 0.015
"""The same of numbers that are printed with few decimals, at most."""
BARE = frozenset(("n", "rank", "ranking", "year", "depth"))
"""Properties, mostly whole numbers, that may also be the name of a task (T, N, M) or of a method."""
WINS = re.compile(
    r"#\s*1(st)?|(#|n|num|number of)?[\s_]*wins?[\s_]*(rate|ratio|share|count|%)?([\s_]*[(\[].*)?"
)
"""How often a method is the best one."""


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
        >>> [is_property(n) for n in ("#1", "Win rate", "# wins", "window")]
        [True, True, True, False]
        >>> [is_property(n) for n in ("crc", "mean_dice", "patch_camelyon", "slides_tcga", "test")]
        [False, False, False, False, False]
    """
    plain = re.sub(r"[(\[{].*?[)\]}]", " ", name.lower())
    words = re.findall(r"[a-z0-9]+", plain)
    if not words or WINS.fullmatch(name.lower().strip()):
        return True
    known = [word in PROPERTIES or word in FILLERS for word in words]
    return all(known) and any(word in PROPERTIES for word in words)


def properties(cells: Mapping[str, Sequence[float | None]], *, of_methods: bool) -> list[str]:
    """Names of properties whose values do not say that they are scores.

    Args:
        cells: Name to values.
        of_methods: Whether the names that are not properties are methods: one may be called ``mean``.

    Examples:
        >>> properties({"crc": [0.8, 0.7], "N": [0.7, 0.6], "rank": [1, 2], "mean": [0.9, 0.8]}, of_methods=True)
        ['rank']
    """
    return [
        name
        for name, values in cells.items()
        if is_property(name)
        and not (of_methods and _is_mean(name))
        and not _cannot_count(name, values)
    ]


def _is_mean(name: str) -> bool:
    """Whether the name is ``mean`` alone, as methods that pool by the mean are called."""
    return name.lower().strip() == "mean"


def _cannot_count(name: str, values: Sequence[float | None]) -> bool:
    """Whether values with the bare name of a number, of a year or of ranks are something else."""
    bare, there = name.lower().strip(), [value for value in values if value is not None]
    broken = sum(not float(value).is_integer() for value in there)
    if bare not in BARE or 2 * broken <= len(there):
        return False
    return bare not in ("rank", "ranking") or max(there) <= 1 or max(there) > len(values)


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


def summaries(
    rows: Mapping[str, Sequence[float | None]], *, of_methods: bool = False, by_values: bool = False
) -> list[str]:
    """Rows (or columns) that are a mean, the best, the worst or the median of the others.

    A mean is known by its name, which may hold a metric, too, if others do not; the others, and a
    method called ``mean``, by their names and their values.

    Args:
        rows: Name to values.
        of_methods: Whether the names are those of methods.
        by_values: Whether the values of every mean must fit, too.

    Examples:
        >>> summaries({"uni": [0.8, 0.6], "conch": [0.7, 0.9], "Best": [0.8, 0.9], "Average AUROC": [0.1, 0.2]})
        ['Best', 'Average AUROC']
        >>> summaries({"mean_dice": [0.8, 0.6], "mean_iou": [0.7, 0.5]})
        []
        >>> summaries({"uni": [0.8, 0.6], "abmil": [0.7, 0.9], "mean": [0.8, 0.8]}, of_methods=True)
        []
    """
    called = {name: kinds for name in rows if (kinds := _kinds(name))}
    rest = [values for name, values in rows.items() if name not in called]
    metrics = [find_metric(name) for name in rows if name not in called]
    if not any(metric is None or metric.rest for metric in metrics):
        return []
    found = [
        name
        for name, kinds in called.items()
        if AVERAGE in kinds and not by_values and not (of_methods and _is_mean(name))
    ]
    for name, kinds in called.items():
        others = [values for one, values in rows.items() if one != name and one not in found]
        fits = any(_fits(rows[name], those, kinds) for those in (rest, others))
        if name not in found and fits:
            found.append(name)
    return [name for name in called if name in found]


def _kinds(name: str) -> list[str]:
    """The summaries that a name holds, if it holds nothing else but a metric and fillers."""
    metric = find_metric(name)
    words = re.findall(r"[a-z]+", re.sub(r"[(\[{].*?[)\]}]", " ", name.lower()))
    own = set(re.findall(r"[a-z]+", metric.name)) if metric is not None else set()
    if any(word not in SUMMARIES and word not in FILLERS and word not in own for word in words):
        return []
    return [SUMMARIES[word] for word in words if word in SUMMARIES]


def _fits(
    values: Sequence[float | None], others: Sequence[Sequence[float | None]], kinds: Sequence[str]
) -> bool:
    """Whether values are a summary of others, as far as they are printed; the best one may be the least."""
    there = [value for value in values if value is not None]
    step = 10.0 ** -max((_decimals(value) for value in there), default=0)
    compared = False
    for own, *rest in zip(values, *others, strict=True):
        known = [value for value in rest if value is not None]
        if own is None or not known:
            continue
        compared = True
        far = max(ROUNDED * abs(own), min(step, COARSE * abs(own)))
        if not any(isclose(own, one, rel_tol=0, abs_tol=far) for one in _summed_up(known, kinds)):
            return False
    return compared


def _summed_up(values: Sequence[float], kinds: Sequence[str]) -> list[float]:
    """What a summary of values may be."""
    means = [fmean(values)] if AVERAGE in kinds else []
    middle = [median(values)] if MEDIAN in kinds else []
    ends = [min(values), max(values)] if EXTREME in kinds else []
    return means + middle + ends


def _decimals(value: float) -> int:
    """How many decimals a number is written with."""
    return len(f"{value:.12f}".rstrip("0").partition(".")[2])
