"""Instance metrics of two label maps: the aggregated Jaccard index and panoptic quality.

For nuclei data, next to the pixel metrics; PFM-DenseBench has none of them, so they are never
compared with its table (docs/design/densebench.md, section 7, defect 18).

References:
    Kumar et al., IEEE TMI 36 (2017): AJI. Kirillov et al., CVPR 2019: PQ = SQ * RQ.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from pathfuse.dense.evaluation.base import DenseMetric
from pathfuse.errors import InputError

LabelMap = Int[np.ndarray, "height width"]
"""0 is background, every other number one instance; numbers need not be consecutive."""


@dataclass(frozen=True)
class Overlaps:
    """Sizes of the instances of two label maps, and of those intersections that are not empty."""

    true: Int[np.ndarray, " instance"]
    """Pixels of each true instance."""
    predicted: Int[np.ndarray, " other"]
    of_true: Int[np.ndarray, " pair"]
    """The true instance of each pair, 0..; pairs are ordered by it, then by the predicted one."""
    of_predicted: Int[np.ndarray, " pair"]
    shared: Int[np.ndarray, " pair"]

    @cached_property
    def iou(self) -> Float[np.ndarray, " pair"]:
        """Intersection over union of each pair."""
        return self.shared / (
            self.true[self.of_true] + self.predicted[self.of_predicted] - self.shared
        )

    @property
    def empty(self) -> bool:
        """Whether there is no instance, true or predicted."""
        return not len(self.true) and not len(self.predicted)

    @cached_property
    def matched(self) -> Float[np.ndarray, " match"]:
        """The IoU of matches: above a half, so that either side has at most one partner."""
        return self.iou[self.iou > 0.5]

    @property
    def recognition(self) -> float:
        """RQ: matches among the mean number of true and predicted instances."""
        return 2 * len(self.matched) / (len(self.true) + len(self.predicted))

    @property
    def segmentation(self) -> float:
        """SQ: the mean IoU of matches; NaN without any."""
        return float(self.matched.mean()) if len(self.matched) else float("nan")

    @property
    def panoptic(self) -> float:
        """PQ: SQ times RQ; 0 without a match."""
        return self.segmentation * self.recognition if len(self.matched) else 0.0


MOST_CELLS = 2**24
"""Of a table of all pairs of instances (128 MB); where there are more, the pairs that occur are
sorted out of all pixels."""


def overlaps(truth: LabelMap, predicted: LabelMap) -> Overlaps:
    """Counts the pixels of instances and their intersections.

    Raises:
        InputError: The shapes differ.
    """
    if truth.shape != predicted.shape:
        raise InputError(
            f"the true instances have the shape {truth.shape} but the predicted {predicted.shape}"
        )
    rows, n = _consecutive(truth)
    columns, m = _consecutive(predicted)
    cells = rows.astype(np.int64)
    cells *= m
    cells += columns
    if n * m <= MOST_CELLS:
        table = np.bincount(cells, minlength=n * m)
        pairs = np.flatnonzero(table)
        counts = table[pairs]
    else:
        pairs, counts = np.unique(cells, return_counts=True)
    return _overlaps(*np.divmod(pairs, m), counts)


def _overlaps(
    true: Int[np.ndarray, " pair"],
    predicted: Int[np.ndarray, " pair"],
    counts: Int[np.ndarray, " pair"],
) -> Overlaps:
    """From all pairs of numbers that share a pixel, in order, those of the background too."""
    row_px, column_px = (
        np.bincount(numbers, weights=counts, minlength=1) for numbers in (true, predicted)
    )
    row_px[0] = column_px[0] = 0
    # Instances are numbered as they come; the background and numbers without a pixel are none.
    row_of, column_of = np.cumsum(row_px > 0) - 1, np.cumsum(column_px > 0) - 1
    real = (true != 0) & (predicted != 0)
    return Overlaps(
        row_px[row_px > 0].astype(np.int64),
        column_px[column_px > 0].astype(np.int64),
        row_of[true[real]],
        column_of[predicted[real]],
        counts[real],
    )


def _consecutive(labels: LabelMap) -> tuple[Int[np.ndarray, " pixel"], int]:
    """Numbers 0 (the background), 1, 2, ... of all pixels in the order of the old ones, and how many
    there are; some may be of no pixel where the old ones are nearly so.
    """
    flat = labels.ravel()
    low, high = (int(flat.min()), int(flat.max())) if flat.size else (0, 0)
    if low < 0 or high > 2 * flat.size:
        numbers, place = np.unique(flat, return_inverse=True)
        rank = np.cumsum(numbers != 0)
        return np.where(numbers == 0, 0, rank)[place], int((numbers != 0).sum()) + 1
    if (high + 1) ** 2 <= flat.size:  # a table of all pairs is small as it is
        return flat, high + 1
    there = np.zeros(high + 1, dtype=bool)
    there[flat] = True
    there[0] = False
    n = int(there.sum())
    return (flat, high + 1) if 2 * n >= high else ((np.cumsum(there) * there)[flat], n + 1)


def _aji(pairs: Overlaps) -> float:
    """Each true instance with the prediction of largest IoU.

    Predictions that none chose add to the union.
    """
    if not len(pairs.true) or not len(pairs.predicted):
        return 0.0
    order = np.lexsort((pairs.of_predicted, -pairs.iou, pairs.of_true))
    first = np.unique(pairs.of_true[order], return_index=True)[1]
    best = order[first]  # of each true instance that anything touches, the pair of largest IoU
    shared, partner = pairs.shared[best], pairs.of_predicted[best]
    union = pairs.true.sum() + (pairs.predicted[partner] - shared).sum()
    chosen = np.zeros(len(pairs.predicted), dtype=bool)
    chosen[partner] = True
    return float(shared.sum() / (union + pairs.predicted[~chosen].sum()))


NO_INSTANCE = "is undefined: no image has an instance, true or predicted"
AJI = DenseMetric(
    "aji", "AJI", "overlap of true instances with their predictions, by union with all that is left over",
    _aji, NO_INSTANCE, brief=True, on_page=True,
)  # fmt: skip
INSTANCE_METRICS = (
    AJI,
    DenseMetric(
        "pq", "PQ", "mean overlap of matched instances, times their share of all instances",
        lambda pairs: pairs.panoptic, NO_INSTANCE, brief=True, on_page=True,
    ),
    DenseMetric(
        "sq", "SQ", "mean overlap of matched instances",
        lambda pairs: pairs.segmentation, "is undefined: no instance has a match",
    ),
    DenseMetric("rq", "RQ", "share of instances with a match", lambda pairs: pairs.recognition, NO_INSTANCE),
)  # fmt: skip
"""Of one image; over images their mean, in the order of ``metrics.csv``."""


def instance_metrics(truth: LabelMap, predicted: LabelMap) -> dict[str, float]:
    """AJI, PQ, SQ and RQ of one image.

    Args:
        truth: Int, (H, W): 0 is background, every other number one instance.
        predicted: The same for the prediction.

    Returns:
        By the names of ``INSTANCE_METRICS`` a number in [0, 1]. An image without any instance, true or
        predicted, defines none of them; one without a match defines no ``sq``: NaN. A match is a
        pair with an IoU above 0.5.

    Examples:
        >>> truth = np.array([[1, 1, 0, 2]])
        >>> predicted = np.array([[7, 7, 0, 0]])  # one nucleus found, one missed
        >>> {name: round(value, 3) for name, value in instance_metrics(truth, predicted).items()}
        {'aji': 0.667, 'pq': 0.667, 'sq': 1.0, 'rq': 0.667}
    """
    pairs = overlaps(truth, predicted)
    return {
        metric.name: float("nan") if pairs.empty else metric.function(pairs)
        for metric in INSTANCE_METRICS
    }


def components(mask: Int[np.ndarray, "height width"], background: int = 0) -> LabelMap:
    """Instances of a mask of classes: connected pixels of one class (8 neighbours).

    Touching nuclei become one instance, so this is the plain baseline of semantic models, no
    separation of nuclei.

    Args:
        mask: Classes; ``background`` is not an instance.
        background: That class.

    Returns:
        Int, (H, W): 0 is background, instances are 1, 2, ...
    """
    found, total = np.zeros(mask.shape, dtype=np.int32), 0
    for value in np.unique(mask[mask != background]):
        labels, n = ndimage.label(mask == value, structure=np.ones((3, 3)))
        found += np.where(labels > 0, labels + np.int32(total), np.int32(0))
        total += n
    return found
