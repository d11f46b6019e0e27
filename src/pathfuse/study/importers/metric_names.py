"""What metrics are called, by pathfuse and by other tools, and which side of each is better.

Names are compared by their letters and digits alone, and may stand among words that do not change
the side: ``MulticlassF1Score``, ``test_auroc``, ``Mean_Dice``.
"""

import re
from dataclasses import dataclass, replace

from pathfuse.evaluation.metrics.registry import METRICS
from pathfuse.evaluation.metrics.survival import AUC_AT

HIGHER_ELSEWHERE = (
    *("auc", "aucs", "roc_auc", "auc_roc", "pr_auc", "auc_pr", "average_precision", "acc"),
    *("bacc", "bal_acc", "balanced_acc", "f1_score", "precision", "recall", "sensitivity"),
    *("specificity", "tpr", "tnr", "ppv", "npv", "kappa", "qwk", "cohen_kappa"),
    *("cohens_kappa", "weighted_kappa", "matthews_corr_coef", "matthews_corrcoef"),
    *("concordance", "concordance_index", "pearson_r", "pearson_corr", "pcc", "spearman_r"),
    *("scc", "kendall", "ccc", "correlation", "corr", "r_squared", "explained_variance"),
    *("dice", "dsc", "iou", "miou", "mdice", "jaccard", "jaccard_index", "aji", "pq", "sq"),
    *("rq", "dq", "bpq", "mpq", "nsd", "surface_dice", "pixel_accuracy", "ndcg", "mrr"),
    *("map", "exact_match", "log_likelihood", "ssim", "psnr", "top1", "top5"),
)  # fmt: skip
"""Metrics that have other names here, or none (ours say themselves); more is better."""
LOWER_ELSEWHERE = (
    *("loss", "error", "err", "error_rate", "log_loss", "cross_entropy", "ce", "perplexity"),
    *("negative_log_likelihood", "neg_log_likelihood", "mse", "mae", "mape", "rank"),
    *("mean_squared_error", "mean_absolute_error", "root_mean_squared_error", "ranking"),
    *("hd", "hd95", "95hd", "hausdorff", "hausdorff95", "hausdorff_distance"),
    *("hausdorff_distance_95", "assd", "asd", "masd", "average_surface_distance", "mce"),
    *("ace", "calibration_error", "expected_calibration_error", "fpr", "fnr", "fpr95", "eer"),
    *("fid", "deviance", "kl_divergence", "wasserstein", "emd"),
)  # fmt: skip
"""The same of which less is better."""
ON_A_SCALE = ("log_loss", "loss", "mae", "mse", "mean_squared_error", "mean_absolute_error")
"""Those of other tools whose unit depends on what is predicted."""
WEAK = frozenset(
    ("loss", "error", "err", "rank", "ranking", "acc", "map", "corr", "ce", "hd", "ace")
)
"""Words that may also be a part of a task's name (loss of a gene, the cancer ACC): any other metric
in the name counts more."""
TURNING = frozenset(("loss", "error", "err", "rank", "ranking"))
"""Behind the name of a metric these make another one of it: ``dice_loss``, ``auroc_rank``."""
VARIANTS = frozenset((
    "test", "val", "valid", "validation", "train", "training", "macro", "micro", "weighted", "ovr", "ovo",
    "balanced", "top", "internal", "external",
))  # fmt: skip
"""Words that make another metric of one, with the same better side."""
FILLERS = frozenset((
    "multiclass", "binary", "multilabel", "mean", "average", "avg", "median", "score", "scores", "index",
    "coefficient", "percent", "pct", "in", "monai", "generalized", "frequency", "fw", "pixel", "class", "per",
    "the", "of", "value", "metric", "quadratic", "weights", "ipcw", "uno", "harrell", "mm", "px", "um", "at", "k",
))  # fmt: skip
"""Words that say nothing of the side."""
MEANS = frozenset(("mean", "avg", "average", "score", "value", "median"))
"""Words that the column of a task's values may have, and those that say more of the task lack."""
TURNED = frozenset(("neg", "negative", "minus", "inverse", "inverted"))
"""With these the better side of a metric is not known."""
ARROWS = {"\u2193": True, "\u2b07": True, "\u25bc": True, "\\downarrow": True,
          "\u2191": False, "\u2b06": False, "\u25b2": False, "\\uparrow": False}  # fmt: skip
"""Signs of the better side: whether less is better."""
BETTER = re.compile(
    r"[(\[]?\s*\b(?:(lower|less|smaller|lowest)|(higher|more|larger|greater|highest))[\s_]*(?:is|=|are)?[\s_]*better\b\s*[)\]]?",
    re.IGNORECASE,
)
"""The same in words."""
WHERE = re.compile(
    r"(?:@|(?<![a-z])at)[\s_]*(\d*)\s*%?[\s_]*(?:tpr|fpr|tnr|fnr|recall|sensitivity|specificity|precision)(\d*)\s*%?",
    re.IGNORECASE,
)
"""At which value of another metric one is taken: ``FPR@95TPR``."""
FROM_ONE = re.compile(r"(?<![\w.])1\s*[-\u2212\u2013]\s*(?=[A-Za-z])")
"""``1 - AUC``"""
LONGEST = 4
"""Words of a metric's name."""


@dataclass(frozen=True)
class KnownMetric:
    """A metric in the name of a column, or of a table's cell ``metric``."""

    name: str
    """As it stands in the name, its words joined: ``test_auroc``."""
    rest: tuple[str, ...]
    """The words of the name that are not about the metric: those of a task."""
    lower_is_better: bool | None
    """None where it cannot be told: ``neg_mse``."""
    on_a_scale: bool = False
    """Whether its unit depends on what is predicted."""
    is_weak: bool = False
    """Whether the name is one word that may as well be a task's: ``acc``, ``hd``."""
    is_contradicted: bool = False
    """Whether the name also says, by an arrow or in words, that the other side is better."""


def squashed(name: str) -> str:
    """Letters and digits alone, small."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def words_of(name: str) -> list[str]:
    """The words of a name, small.

    Examples:
        >>> words_of("MulticlassF1Score"), words_of("crc (AUROC)"), words_of("CRC_hd95")
        (['multiclass', 'f1', 'score'], ['crc', 'auroc'], ['crc', 'hd95'])
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z0-9]+", apart.lower())


LOWER: dict[str, bool] = {
    **{squashed(name): False for name in HIGHER_ELSEWHERE},
    **{squashed(name): True for name in LOWER_ELSEWHERE},
    **{squashed(name): metric.lower_is_better for name, metric in METRICS.items()},
}
"""Whether less is better, by the squashed name: of pathfuse's metrics as they say themselves."""
SCALED = {squashed(name) for name in ON_A_SCALE} | {
    squashed(name) for name, metric in METRICS.items() if metric.on_a_scale
}


def find_metric(name: str) -> KnownMetric | None:
    """The metric that a name holds; None if it holds none.

    Examples:
        >>> find_metric("crc_hd95").name, find_metric("crc_hd95").lower_is_better
        ('hd95', True)
        >>> find_metric("test_auroc").name, find_metric("PTEN loss AUROC").rest
        ('test_auroc', ('pten', 'loss'))
        >>> find_metric("crc_dice_loss").lower_is_better, find_metric("glossary")
        (True, None)
        >>> find_metric("neg_mse").lower_is_better is None
        True
        >>> [find_metric(n).lower_is_better for n in ("crc \u2193", "crc (higher is better)", "crc 1-AUC", "FPR@95TPR")]
        [True, False, True, True]
    """
    name, stated = _stated_side(name)
    found = _known_metric(WHERE.sub(r"@\1\2 ", name))
    if stated is None:
        return found
    if found is None or found.is_weak:
        return KnownMetric("loss" if stated else "score", tuple(words_of(name)), stated)
    other = found.lower_is_better is not None and found.lower_is_better != stated
    return replace(found, lower_is_better=stated, is_contradicted=other)


def _stated_side(name: str) -> tuple[str, bool | None]:
    """A name without an arrow, or words, for the better side, and whether less is better; None if it does
    not say.
    """
    for sign, lower in ARROWS.items():
        if sign in name:
            return name.replace(sign, " ").replace("$", " "), lower
    words = BETTER.search(name)
    return (name, None) if words is None else (BETTER.sub(" ", name), words[1] is not None)


def _known_metric(name: str) -> KnownMetric | None:
    """The metric of a name by its words alone."""
    words = words_of(name)
    runs = [
        (i, j)
        for i in range(len(words))
        for j in range(i + 1, min(len(words), i + LONGEST) + 1)
        if "".join(words[i:j]) in LOWER
    ]
    if not runs:
        return None
    start, stop = max(runs, key=lambda run: (not _weak(words, run), run[1], run[1] - run[0]))
    end = next((j for i, j in runs if i == stop and words[i] in TURNING), stop)
    key = "".join(words[start:stop] if end == stop else words[stop:end])
    own = set(range(start, end)) | {i for i, word in enumerate(words) if word in VARIANTS | TURNED}
    if words[end : end + 1] == ["at"]:  # recall at 5
        own |= {end, end + 1} & set(range(len(words)))
    fill = {i for i, word in enumerate(words) if word in FILLERS}
    unclear = bool(TURNED & (set(words) - set(words[start:end])))
    one = start and words[start - 1] == "1" and FROM_ONE.search(name) is not None
    lower = LOWER[key] != bool(one)
    return KnownMetric(
        ("1-" if one else "") + "_".join(word for i, word in enumerate(words) if i in own),
        tuple(
            word
            for i, word in enumerate(words)
            if i not in own | fill and not (one and i == start - 1)
        ),
        None if unclear else lower,
        key in SCALED,
        key in WEAK and len(words) == 1,
    )


def _weak(words: list[str], run: tuple[int, int]) -> bool:
    return run[1] - run[0] == 1 and words[run[0]] in WEAK


def metric_called(name: str) -> KnownMetric | None:
    """The metric that has a name, which holds nothing else; None if it is not known.

    Examples:
        >>> [metric_called(n).lower_is_better for n in ("MulticlassAccuracy", "BinaryF1Score", "log_loss", "mIoU")]
        [False, False, True, False]
        >>> metric_called("wobble"), metric_called("crc_auroc")
        (None, None)
    """
    if name.lower().startswith(AUC_AT):
        return KnownMetric(name, (), False)
    found = find_metric(name)
    return found if found is not None and all(word.isdigit() for word in found.rest) else None
