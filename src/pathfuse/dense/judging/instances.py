"""Instance metrics of two label maps: the aggregated Jaccard index and panoptic quality.

For nuclei data beside the pixel metrics; PFM-DenseBench has none of them, so they are never compared with its table
(densebench.md, section 7, defect 18).

References:
    Kumar et al., IEEE TMI 36 (2017): AJI. Kirillov et al., CVPR 2019: PQ = SQ * RQ.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from pathfuse.errors import InputError

INSTANCE_METRICS = ("aji", "pq", "sq", "rq")
LabelMap = Int[np.ndarray, "height width"]
"""0 is background, every other number one instance; numbers need not be consecutive."""


@dataclass(frozen=True)
class Overlaps:
    """Sizes of the instances of two label maps, and of their intersections."""

    true: Int[np.ndarray, " instance"]
    """Pixels of each true instance."""
    predicted: Int[np.ndarray, " other"]
    shared: Int[np.ndarray, "instance other"]

    @property
    def iou(self) -> Float[np.ndarray, "instance other"]:
        """Intersection over union of each pair."""
        return self.shared / (self.true[:, None] + self.predicted[None] - self.shared)


def overlaps(truth: LabelMap, predicted: LabelMap) -> Overlaps:
    """Counts the pixels of instances and their intersections.

    Raises:
        InputError: The shapes differ.
    """
    if truth.shape != predicted.shape:
        raise InputError(f"the true instances have the shape {truth.shape} but the predicted {predicted.shape}")
    rows, row_of = np.unique(truth, return_inverse=True)
    columns, column_of = np.unique(predicted, return_inverse=True)
    flat = row_of.ravel() * len(columns) + column_of.ravel()
    table = np.bincount(flat, minlength=len(rows) * len(columns)).reshape(len(rows), len(columns))
    real = table[rows != 0][:, columns != 0]
    return Overlaps(table.sum(axis=1)[rows != 0], table.sum(axis=0)[columns != 0], real)


def instance_metrics(truth: LabelMap, predicted: LabelMap) -> dict[str, float]:
    """AJI, PQ, SQ and RQ of one image.

    Args:
        truth: Int, (H, W): 0 is background, every other number one instance.
        predicted: The same for the prediction.

    Returns:
        Per name in ``INSTANCE_METRICS`` a number in [0, 1]. An image without any instance, true or predicted, defines
        none of them; one without a match defines no ``sq``: NaN. A match is a pair with an IoU above 0.5.

    Examples:
        >>> truth = np.array([[1, 1, 0, 2]])
        >>> predicted = np.array([[7, 7, 0, 0]])  # one nucleus found, one missed
        >>> {name: round(value, 3) for name, value in instance_metrics(truth, predicted).items()}
        {'aji': 0.667, 'pq': 0.667, 'sq': 1.0, 'rq': 0.667}
    """
    pairs = overlaps(truth, predicted)
    if not len(pairs.true) and not len(pairs.predicted):
        return dict.fromkeys(INSTANCE_METRICS, float("nan"))
    iou = pairs.iou
    matched = iou[iou > 0.5]  # more than a half: at most one partner on either side
    rq = 2 * len(matched) / (len(pairs.true) + len(pairs.predicted))
    sq = float(matched.mean()) if len(matched) else float("nan")
    return {"aji": _aji(pairs), "pq": sq * rq if len(matched) else 0.0, "sq": sq, "rq": rq}


def _aji(pairs: Overlaps) -> float:
    """Each true instance with the prediction of largest IoU; predictions that none chose add to the union."""
    if not len(pairs.true) or not len(pairs.predicted):
        return 0.0
    best = pairs.iou.argmax(axis=1)
    rows = np.arange(len(pairs.true))
    shared = pairs.shared[rows, best]
    touched = shared > 0
    union = pairs.true + np.where(touched, pairs.predicted[best] - shared, 0)
    chosen = np.zeros(len(pairs.predicted), dtype=bool)
    chosen[best[touched]] = True
    return float(shared.sum() / (union.sum() + pairs.predicted[~chosen].sum()))


def components(mask: Int[np.ndarray, "height width"], background: int = 0) -> LabelMap:
    """Instances of a mask of classes: connected pixels of one class (8 neighbours).

    Touching nuclei become one instance, so this is the plain baseline of semantic models, no separation of nuclei.

    Args:
        mask: Classes; ``background`` is no instance.
        background: That class.

    Returns:
        Int, (H, W): 0 is background, instances are 1, 2, ...
    """
    found, total = np.zeros(mask.shape, dtype=np.int64), 0
    for value in np.unique(mask[mask != background]):
        labels, n = ndimage.label(mask == value, structure=np.ones((3, 3)))
        found += np.where(labels > 0, labels + total, 0)
        total += n
    return found
