"""Which samples lack an expert."""

import numpy as np

from pathfuse.drift.figures import Figure
from pathfuse.drift.missing import missing_figures


def test_a_sample_without_the_expert_counts_1():
    found = dict(missing_figures(np.array([[True, False], [True, True]]), ("a", "b")))
    assert found[Figure("missing", "a")].tolist() == [0, 0]
    assert found[Figure("missing", "b")].tolist() == [1, 0]
