"""Many masks against one truth: the counts of ``confusion``."""

import numpy as np
import pytest

from pathfuse.dense.evaluation.confusion import confusion
from pathfuse.dense.fusion.pixel_counts import PixelCounter


@pytest.mark.parametrize("n_classes", [2, 7, 255])
def test_counts_are_those_of_one_mask_at_a_time(n_classes):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, n_classes, size=(30, 40)).astype(np.uint8)
    truth[:4] = 255
    counter = PixelCounter(truth, n_classes)
    for _ in range(2):
        predicted = rng.integers(0, n_classes, size=(30, 40)).astype(np.uint8)
        expected = confusion(truth, predicted, n_classes)
        np.testing.assert_array_equal(counter.confusion(predicted), expected)
