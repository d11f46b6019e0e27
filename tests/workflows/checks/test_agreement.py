"""The AUROCs behind ``swapped columns``, against scikit-learn."""

import numpy as np
from sklearn.metrics import roc_auc_score

from pathfuse.workflows.checks.agreement import aurocs


def test_each_column_against_each_class():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=60)
    scores = rng.normal(size=(60, 4)).round(1)  # with ties
    found = aurocs(scores, truth)
    assert found.shape == (4, 4)
    assert np.isnan(found[3]).all()
    for k in range(3):
        for j in range(4):
            np.testing.assert_allclose(found[k, j], roc_auc_score(truth == k, scores[:, j]))
