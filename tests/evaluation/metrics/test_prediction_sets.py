"""Coverage and size of prediction sets, by hand."""

import numpy as np
import pytest

from pathfuse.evaluation.metrics.prediction_sets import INTERVAL_WIDTH, SET_METRICS, SetScores

SCORES = SetScores(np.array([True, False, True, True]), np.array([1.0, 2.0, 3.0, 2.0]))


def test_plain_means():
    values = SCORES.values(np.ones((1, 4)))
    assert list(values) == ["coverage", "set_size"]
    assert values["coverage"] == pytest.approx([0.75])
    assert values["set_size"] == pytest.approx([2.0])


def test_weights_are_row_counts_of_resamples():
    values = SCORES.values(
        np.array([[0.0, 3.0, 1.0, 0.0], [2.0, 0.0, 0.0, 1.0], [0.0, 0.5, 0.0, 0.0]])
    )
    np.testing.assert_allclose(values["coverage"], [1 / 4, 1.0, 0.0])
    np.testing.assert_allclose(values["set_size"], [9 / 4, 4 / 3, 2.0])


def test_a_resample_without_rows_is_undefined():
    values = SCORES.values(np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(values["coverage"], [np.nan, 0.5])
    np.testing.assert_array_equal(values["set_size"], [np.nan, 1.5])


def test_some_rows():
    some = SCORES.of(np.array([3, 1]))
    np.testing.assert_array_equal(some.hit, [True, False])
    np.testing.assert_array_equal(some.size, [2.0, 2.0])
    assert some.values(np.array([[1.0, 3.0]]))["coverage"] == pytest.approx([0.25])


def test_intervals_have_a_width_instead():
    intervals = SetScores(np.array([True, False]), np.array([0.5, 2.5]), INTERVAL_WIDTH)
    values = intervals.of(np.array([1, 0])).values(np.array([[1.0, 1.0], [0.0, 2.0]]))
    assert list(values) == ["coverage", "interval_width"]
    np.testing.assert_allclose(values["interval_width"], [1.5, 0.5])
    np.testing.assert_allclose(values["coverage"], [0.5, 1.0])
    assert set(values) <= set(SET_METRICS)
