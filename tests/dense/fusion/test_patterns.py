"""Combinations of decisions: counted exactly, in parts, however many models and classes there are."""

import numpy as np
import pytest

from pathfuse.dense.fusion.patterns import Patterns


@pytest.mark.parametrize(("n_models", "n_classes"), [(3, 2), (5, 7), (17, 22), (2, 255)])
def test_every_combination_is_counted_and_found_again(n_models, n_classes):
    rng = np.random.default_rng(0)
    few = rng.integers(0, n_classes, size=(n_models, 40)).astype(np.uint8)
    decisions = few[:, rng.integers(0, 40, size=900)]
    patterns = Patterns(n_classes)
    for part in np.array_split(decisions, 4, axis=1):
        patterns.add(part)
    known, counts = np.unique(decisions, axis=1, return_counts=True)
    order = np.lexsort(patterns.decisions[::-1])
    np.testing.assert_array_equal(patterns.decisions[:, order], known)
    np.testing.assert_array_equal(patterns.counts[order], counts)
    np.testing.assert_array_equal(patterns.decisions[:, patterns.index(decisions)], decisions)
