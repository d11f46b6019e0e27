"""Weighted correlations of many pairs, against numpy's of repeated rows."""

import numpy as np

from pathfuse.evaluation.pearson import pearson


def test_weights_are_repetitions_and_missing_rows_have_none():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(1000, 1, size=(2, 30, 3))
    truth[4, 0] = predicted[7, 0] = np.nan
    weights = rng.integers(0, 4, size=(5, 30)).astype(float)
    found = pearson(weights, truth, predicted)
    for r, weight in enumerate(weights.astype(int)):
        for k in range(3):
            known = ~(np.isnan(truth[:, k]) | np.isnan(predicted[:, k]))
            rows = np.repeat(np.flatnonzero(known), weight[known])
            wanted = np.corrcoef(truth[rows, k], predicted[rows, k])[0, 1]
            np.testing.assert_allclose(found[r, k], wanted, atol=1e-9)


def test_a_constant_column_has_none():
    truth = np.arange(5.0)[:, None]
    assert np.isnan(pearson(np.ones((1, 5)), truth, np.full((5, 1), 0.1))).all()
    once = np.array([[0.0, 0.0, 3.0, 0.0, 0.0]])
    assert np.isnan(pearson(once, truth, truth)).all()
