"""Confusion matrices of many masks against one truth: the truth is brought into place once, and
each mask costs one addition and one count per pixel.
"""

import numpy as np
from jaxtyping import UInt8

from pathfuse.dense.data.records import IGNORE
from pathfuse.dense.evaluation.confusion import Confusion


class PixelCounter:
    """The truth of some pixels.

    Args:
        truth: Classes 0..K-1, or 255 where a pixel does not count.
        n_classes: K.

    Examples:
        >>> PixelCounter(np.array([0, 1, 255], dtype=np.uint8), 2).confusion(np.array([0, 0, 1])).tolist()
        [[1, 0], [1, 0]]
    """

    def __init__(self, truth: UInt8[np.ndarray, "*pixel"], n_classes: int) -> None:
        self._k = n_classes
        rows = np.where(truth == IGNORE, np.uint8(n_classes), truth).ravel()
        self._first = rows.astype(np.intp) * n_classes

    def confusion(self, predicted: UInt8[np.ndarray, "*pixel"]) -> Confusion:
        """(K, K): rows are true, columns predicted classes, which are 0..K-1."""
        k = self._k
        cells = np.bincount(self._first + predicted.ravel(), minlength=k * (k + 1))
        return cells[: k * k].reshape(k, k).astype(np.int64)
