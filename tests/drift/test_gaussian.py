"""Figures of a regression, by hand."""

import numpy as np
import pytest

from pathfuse.drift.figures import MOST_OUTCOMES, Figure
from pathfuse.drift.gaussian import gaussian_figures, scale_of
from pathfuse.fusion.gaussian.experts import GaussianExperts

MEAN = np.array([[[1.0, 4.0], [3.0, 8.0]], [[2.0, 6.0], [np.nan, np.nan]]])
EXPERTS = GaussianExperts(MEAN, np.where(np.isnan(MEAN), np.nan, 4.0))
FUSED = np.array([[2.0, 6.0, 1.0, 1.0], [2.0, 6.0, 1.0, 1.0]])
SCALE = np.array([1.0, 2.0])


def test_distance_level_and_stated_deviation():
    found = dict(gaussian_figures(EXPERTS, FUSED, ("a", "b"), ("g", "h"), SCALE))
    assert found[Figure("distance", "a")][0] == pytest.approx((2 / 1 + 4 / 2) / 2)
    assert np.isnan(found[Figure("distance", "a")][1])
    assert found[Figure("level", "b", outcome="h")][0] == 8.0
    assert found[Figure("stated_sd", "a")][0] == pytest.approx(np.log([2 / 1, 2 / 2]).mean())
    assert found[Figure("disagreement")][0] == pytest.approx((1 / 1 + 2 / 2) / 2)
    assert found[Figure("stated_sd")] == pytest.approx([np.log([1, 1 / 2]).mean()] * 2)


def test_scale_is_the_deviation_of_what_is_predicted():
    assert scale_of(EXPERTS) == pytest.approx([np.std([1, 3, 2]), np.std([4, 8, 6])])
    flat = GaussianExperts(np.ones((3, 2, 1)), np.full((3, 2, 1), np.nan))
    assert scale_of(flat).tolist() == [1.0]


def test_with_many_targets_no_single_one_is_watched():
    n = MOST_OUTCOMES + 1
    experts = GaussianExperts(np.zeros((2, 2, n)), np.ones((2, 2, n)))
    names = [f"g{k}" for k in range(n)]
    fused = np.ones((2, 2 * n))
    found = dict(gaussian_figures(experts, fused, ("a", "b"), names, np.ones(n)))
    assert {one.kind for one in found} == {"distance", "stated_sd", "disagreement"}
