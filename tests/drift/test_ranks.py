"""Ranks among the fit rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathfuse.drift.ranks import KNOTS, Ranking, features


def test_a_rank_is_the_share_of_the_fit_rows_below():
    fit = np.random.default_rng(0).normal(size=(2000, 1))
    values = np.array([[-1.0], [0.0], [2.0]])
    found = Ranking.of(fit).ranks(values)[:, 0]
    expected = [(fit < value).mean() for value in values[:, 0]]
    assert found == pytest.approx(expected, abs=1 / KNOTS)


@given(
    arrays(np.float64, 40, elements=st.floats(-5, 5, width=32)),
    st.sampled_from([lambda x: 3 * x + 7, lambda x: x / 8, np.exp]),
)
def test_units_do_not_matter(values, otherwise):
    fit = np.linspace(-5, 5, 101)[:, None]
    usual = Ranking.of(fit).ranks(values[:, None])
    other = Ranking.of(otherwise(fit)).ranks(otherwise(values)[:, None])
    assert np.abs(usual - other).max() <= 2 / KNOTS  # rounding may move a value over one knot


def test_equal_values_have_the_middle_rank_whatever_their_last_digit():
    fit = np.array([[0.0]] * 90 + [[1.0]] * 10)
    found = Ranking.of(fit).ranks(np.array([[0.0], [1.0], [1.0 + 1e-12], [2.0]]))[:, 0]
    assert found == pytest.approx([0.45, 0.95, 0.95, 1.0], abs=1 / KNOTS)


def test_what_is_not_known_says_nothing():
    fit = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    ranks = Ranking.of(fit).ranks(np.array([[np.nan, 3.0], [1.5, 1.0]]))
    assert np.isnan(ranks[0]).all()
    assert np.isnan(ranks[1, 1])
    assert features(ranks)[0].tolist() == [0, 0, 0, 0]
    assert features(ranks)[1, 0] == 0.0  # between the two: the middle
