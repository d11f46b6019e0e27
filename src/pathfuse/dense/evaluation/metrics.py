"""The eight metrics of PFM-DenseBench, and each class by itself, from integer confusion matrices.

Source: docs/design/densebench.md, section 5 (PFM-DenseBench, arXiv 2602.03887). A class is absent
if it has no true and no predicted pixel; it takes part in no mean. ``parity="paper"`` repeats two
faults of the published program: its F1 drops classes that are missed completely, and its counts are
float32, which lose integers above 2^24.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped

Parity: TypeAlias = Literal["paper", "fixed"]
Counts: TypeAlias = Shaped[np.ndarray, "*rows true predicted"]
"""Pixels by true and predicted class: Int64, or float64 sums of such with weights."""

METRICS = (
    "mDice", "mIoU", "mean_precision", "mean_recall", "mean_accuracy", "mean_f1", "fw_iou", "pixel_accuracy",
)  # fmt: skip
"""As published; in every one more is better."""


def metrics(cm: Counts, *, parity: Parity = "fixed") -> dict[str, Float[np.ndarray, "*rows"]]:
    """The eight published metrics.

    Args:
        cm: (..., K, K), rows are true, columns predicted classes.
        parity: ``fixed``: F1 is the Dice. ``paper``: F1 as published, from float32 counts.

    Returns:
        Per name in ``METRICS``: Float64, (...), in [0, 1]; NaN where nothing defines it. Means are
        over classes: Dice, IoU and F1 over those with a true or predicted pixel, precision over
        predicted classes, recall (the same as mean accuracy) over those with a true pixel.
        ``fw_iou`` weighs the classes' IoU by their true pixels.

    Examples:
        >>> cm = np.array([[50, 0, 0], [5, 45, 0], [0, 0, 0]])  # the third class is absent
        >>> {name: round(float(value), 3) for name, value in metrics(cm).items() if name in ("mDice", "mIoU")}
        {'mDice': 0.95, 'mIoU': 0.905}
    """
    parts = _parts(cm, parity)
    classes = _ratios(parts)
    dice, iou = classes["dice"], classes["iou"]
    f1 = _published_f1(classes) if parity == "paper" else dice
    weight = np.where(np.isnan(iou), 0, parts.true)
    recall = _mean(classes["recall"])
    found = {
        "mDice": _mean(dice),
        "mIoU": _mean(iou),
        "mean_precision": _mean(classes["precision"]),
        "mean_recall": recall,
        "mean_accuracy": recall.copy(),
        "mean_f1": _mean(f1),
        "fw_iou": _ratio((weight * np.nan_to_num(iou)).sum(axis=-1), weight.sum(axis=-1)),
        "pixel_accuracy": _ratio(parts.hit.sum(axis=-1), parts.true.sum(axis=-1)),
    }
    return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}


def class_metrics(
    cm: Counts, *, parity: Parity = "fixed"
) -> dict[str, Float[np.ndarray, "*rows klass"]]:
    """Dice, IoU, precision and recall of each class.

    Args:
        cm: (..., K, K), rows are true, columns predicted classes.
        parity: ``paper`` counts in float32.

    Returns:
        ``dice``, ``iou``, ``precision``, ``recall``:
        Float64, (..., K), in [0, 1]; NaN where the class is absent (of precision: never
        predicted, of recall: never true).
    """
    return {
        name: np.asarray(value, dtype=np.float64)
        for name, value in _ratios(_parts(cm, parity)).items()
    }


class _Parts:
    """Pixels of each class: hit, true, predicted."""

    def __init__(self, counts: Any) -> None:
        self.hit = np.diagonal(counts, axis1=-2, axis2=-1)
        self.true = counts.sum(axis=-1)
        self.predicted = counts.sum(axis=-2)


def _parts(cm: Counts, parity: Parity) -> _Parts:
    # float64 holds counts up to 2^53: more pixels than any study has.
    return _Parts(np.asarray(cm, dtype=np.float32 if parity == "paper" else np.float64))


def _ratios(parts: _Parts) -> dict[str, np.ndarray]:
    union = parts.true + parts.predicted - parts.hit
    return {
        "dice": _ratio(2 * parts.hit, parts.true + parts.predicted),
        "iou": _ratio(parts.hit, union),
        "precision": _ratio(parts.hit, parts.predicted),
        "recall": _ratio(parts.hit, parts.true),
    }


def _published_f1(classes: dict[str, np.ndarray]) -> np.ndarray:
    """2PR / (P + R): undefined, and then dropped, for a class without a hit."""
    precision, recall = classes["precision"], classes["recall"]
    return _ratio(2 * precision * recall, precision + recall)


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
