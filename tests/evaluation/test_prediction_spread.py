"""Predicted probabilities in a few numbers."""

import numpy as np
import pytest

from pathfuse.evaluation.prediction_spread import LEVELS, N_BINS, spread_of


def test_shares_add_up_and_quantiles_are_numpys():
    prob = np.random.default_rng(0).beta(2, 5, size=1000)
    found = spread_of(prob)
    assert len(found.middle) == len(found.share) == N_BINS
    assert found.share.sum() == pytest.approx(1)
    assert found.middle @ found.share == pytest.approx(prob.mean(), abs=0.01)
    assert found.quantile == pytest.approx(np.quantile(prob, LEVELS))


def test_probabilities_a_rounding_error_above_1_are_counted():
    assert spread_of(np.array([1 + 1e-12, 0.0])).share[[0, -1]].tolist() == [0.5, 0.5]
