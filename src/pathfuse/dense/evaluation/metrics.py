"""The eight metrics of PFM-DenseBench, and each class by itself, from integer confusion matrices.

Source: docs/design/densebench.md, section 5 (PFM-DenseBench, arXiv 2602.03887). A class is absent
if it has no true and no predicted pixel; it takes part in no mean. ``parity="paper"`` repeats three
faults of the published program: its F1 drops classes that are missed completely, its precision
classes that are never predicted, and its counts are float32, which lose integers above 2^24.
"""

from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped

from pathfuse.dense.evaluation.base import DenseMetric

Parity: TypeAlias = Literal["paper", "fixed"]
Counts: TypeAlias = Shaped[np.ndarray, "*rows true predicted"]
"""Pixels by true and predicted class: Int64, or float64 sums of such with weights."""
ByClass: TypeAlias = Float[np.ndarray, "*rows klass"]


class ClassCounts:
    """Pixels of each class, and the ratios of them; NaN where nothing defines a ratio.

    Args:
        cm: (..., K, K), rows are true, columns predicted classes.
        parity: ``paper``: counts are float32, and F1 and precision are the published ones.

    Attributes:
        hit: (..., K), pixels whose true and predicted class it is.
        true: (..., K), its true pixels.
        predicted: (..., K), its predicted pixels.
    """

    def __init__(self, cm: Counts, parity: Parity = "fixed") -> None:
        # float64 holds counts up to 2^53: more pixels than any study has.
        counts = np.asarray(cm, dtype=np.float32 if parity == "paper" else np.float64)
        self.parity = parity
        self.hit = np.diagonal(counts, axis1=-2, axis2=-1)
        self.true = counts.sum(axis=-1)
        self.predicted = counts.sum(axis=-2)

    @cached_property
    def dice(self) -> ByClass:
        """2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.hit, self.true + self.predicted)

    @cached_property
    def iou(self) -> ByClass:
        """TP / (TP + FP + FN)."""
        return _ratio(self.hit, self.true + self.predicted - self.hit)

    @cached_property
    def precision(self) -> ByClass:
        """TP / (TP + FP); 0 for a class with true pixels that is never predicted, as is its Dice.

        As published, undefined for such a class, so that whoever never says it has no harm.
        """
        found = _ratio(self.hit, self.predicted)
        if self.parity == "paper":
            return found
        return np.where((self.predicted == 0) & (self.true > 0), 0.0, found)

    @cached_property
    def recall(self) -> ByClass:
        """TP / (TP + FN)."""
        return _ratio(self.hit, self.true)

    @cached_property
    def f1(self) -> ByClass:
        """The Dice; as published, 2PR / (P + R), which is undefined for a class without a hit."""
        if self.parity == "fixed":
            return self.dice
        return _ratio(2 * self.precision * self.recall, self.precision + self.recall)

    @property
    def weighted_iou(self) -> Float[np.ndarray, "*rows"]:
        """The IoU of the classes, weighted by their true pixels."""
        weight = np.where(np.isnan(self.iou), 0, self.true)
        return _ratio((weight * np.nan_to_num(self.iou)).sum(axis=-1), weight.sum(axis=-1))

    @property
    def accuracy(self) -> Float[np.ndarray, "*rows"]:
        """Hits among all pixels."""
        return _ratio(self.hit.sum(axis=-1), self.true.sum(axis=-1))


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """NaN where there is nothing below."""
    return np.divide(
        over,
        under,
        out=np.full(np.shape(under), np.nan, dtype=np.result_type(over)),
        where=under > 0,
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes that define the value."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0).sum(axis=-1), there.sum(axis=-1).astype(values.dtype))


NO_PIXEL = "is undefined: no pixel counts"
MEAN_DICE = DenseMetric(
    "mDice", "Dice", "overlap of a class's true and predicted pixels, by their mean size; mean over classes",
    lambda counts: _mean(counts.dice), NO_PIXEL, principal=True, brief=True, on_page=True,
)  # fmt: skip
MEAN_IOU = DenseMetric(
    "mIoU", "IoU", "overlap of a class's true and predicted pixels, by their union; mean over classes",
    lambda counts: _mean(counts.iou), NO_PIXEL, on_page=True,
)  # fmt: skip
MEAN_PRECISION = DenseMetric(
    "mean_precision", "precision",
    "share of the pixels given to a class that are of it, 0 if none is given; mean over classes",
    lambda counts: _mean(counts.precision), NO_PIXEL, on_page=True,
)  # fmt: skip
MEAN_RECALL = DenseMetric(
    "mean_recall", "recall", "share of a class's true pixels that are found; mean over true classes",
    lambda counts: _mean(counts.recall), NO_PIXEL, on_page=True,
)  # fmt: skip
MEAN_ACCURACY = DenseMetric(
    "mean_accuracy", "mean accuracy", "the same as the mean recall, under its published name",
    lambda counts: _mean(counts.recall), NO_PIXEL,
)  # fmt: skip
MEAN_F1 = DenseMetric(
    "mean_f1", "F1", "the same as the mean Dice; the published one drops classes that are missed completely",
    lambda counts: _mean(counts.f1), NO_PIXEL,
)  # fmt: skip
WEIGHTED_IOU = DenseMetric(
    "fw_iou", "IoU, weighted", "IoU of the classes, weighted by their true pixels",
    lambda counts: counts.weighted_iou, NO_PIXEL, on_page=True,
)  # fmt: skip
PIXEL_ACCURACY = DenseMetric(
    "pixel_accuracy", "pixel accuracy", "share of pixels whose class is right",
    lambda counts: counts.accuracy, NO_PIXEL, on_page=True,
)  # fmt: skip
METRICS = (
    MEAN_DICE, MEAN_IOU, MEAN_PRECISION, MEAN_RECALL, MEAN_ACCURACY, MEAN_F1, WEIGHTED_IOU, PIXEL_ACCURACY,
)  # fmt: skip
"""As published, in the order of ``metrics.csv``."""

ABSENT = "is undefined: the class has no true and no predicted pixel"
CLASS_METRICS = (
    DenseMetric("dice", "Dice", "overlap by mean size", lambda counts: counts.dice, ABSENT),
    DenseMetric("iou", "IoU", "overlap by union", lambda counts: counts.iou, ABSENT),
    DenseMetric(
        "precision", "precision", "share of the pixels given to the class that are of it",
        lambda counts: counts.precision, ABSENT,
    ),
    DenseMetric(
        "recall", "recall", "share of the class's true pixels that are found",
        lambda counts: counts.recall, "is undefined: the class has no true pixel", needs_true_pixel=True,
    ),
)  # fmt: skip
"""Of each class by itself, in the order of ``metrics.csv``."""


def metrics(cm: Counts, *, parity: Parity = "fixed") -> dict[str, Float[np.ndarray, "*rows"]]:
    """The eight published metrics.

    Args:
        cm: (..., K, K), rows are true, columns predicted classes.
        parity: ``fixed``: F1 is the Dice. ``paper``: F1 and precision as published, from float32
            counts.

    Returns:
        By the names of ``METRICS``: Float64, (...), in [0, 1]; NaN where nothing defines it. Means
        are over classes: Dice, IoU, F1 and precision over those with a true or predicted pixel (as
        published, precision over predicted ones), recall (the same as mean accuracy) over those
        with a true pixel.
        ``fw_iou`` weighs the classes' IoU by their true pixels.

    Examples:
        >>> cm = np.array([[50, 0, 0], [5, 45, 0], [0, 0, 0]])  # the third class is absent
        >>> {name: round(float(value), 3) for name, value in metrics(cm).items() if name in ("mDice", "mIoU")}
        {'mDice': 0.95, 'mIoU': 0.905}
    """
    return _values(METRICS, cm, parity)


def class_metrics(cm: Counts, *, parity: Parity = "fixed") -> dict[str, ByClass]:
    """Dice, IoU, precision and recall of each class.

    Args:
        cm: (..., K, K), rows are true, columns predicted classes.
        parity: ``paper`` counts in float32, and has no precision of a class that is never predicted.

    Returns:
        By the names of ``CLASS_METRICS``: Float64, (..., K), in [0, 1]; NaN where the class is
        absent (of recall: never true).
    """
    return _values(CLASS_METRICS, cm, parity)


def _values(known: tuple[DenseMetric, ...], cm: Counts, parity: Parity) -> dict[str, np.ndarray]:
    counts = ClassCounts(cm, parity)
    return {metric.name: np.asarray(metric.function(counts), dtype=np.float64) for metric in known}
