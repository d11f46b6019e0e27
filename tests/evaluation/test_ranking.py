"""Ranks, Friedman and critical differences: by hand, against scipy, against Demsar's table."""

import numpy as np
import pytest
from scipy import stats

from pathfuse.evaluation.ranking import (
    cliques,
    cohort_means,
    critical_difference,
    first_places,
    friedman,
    in_reach,
    mean_rank_intervals,
    ranks,
)

BENEFIT = np.array([[0.9, 0.8, 0.8, 0.1], [0.2, np.nan, 0.5, 0.5], [0.3, 0.3, 0.3, 0.3]])


def test_ranks_average_ties_and_leave_absent_methods_out():
    expected = [[1, 2.5, 2.5, 4], [3, np.nan, 1.5, 1.5], [2.5, 2.5, 2.5, 2.5]]
    np.testing.assert_array_equal(ranks(BENEFIT), expected)


def test_ranks_by_order():
    expected = [[1, 2, 3, 4], [3, np.nan, 1, 2], [1, 2, 3, 4]]
    np.testing.assert_array_equal(ranks(BENEFIT, by_order=True), expected)


def test_a_shared_first_place_counts_for_each():
    np.testing.assert_array_equal(first_places(BENEFIT).sum(axis=0), [2, 1, 2, 2])


def test_in_reach_is_the_upper_limit_against_the_winners_lower():
    low = np.array([[0.70, 0.5, 0.5, np.nan], [np.nan, 0.1, 0.1, 0.1]])
    high = np.array([[0.90, 0.70, 0.69, np.nan], [np.nan, 0.9, 0.9, 0.9]])
    reached = in_reach(low, high, np.array([0, 0]))
    np.testing.assert_array_equal(
        reached, [[True, True, False, False], [True, False, False, False]]
    )


def test_cohort_means():
    values = np.array([[1.0, 0.0], [3.0, 1.0], [10.0, 5.0]])
    np.testing.assert_array_equal(
        cohort_means(values, np.array([1, 1, 0])), [[10.0, 5.0], [2.0, 0.5]]
    )


def test_friedman_by_hand():
    """Two studies that agree and one that does not: mean ranks 4/3, 5/3, 3."""
    table = np.array([[1.0, 2, 3], [1, 2, 3], [2, 1, 3]])
    found = friedman(table)
    # 12 N / (K (K+1)) * (sum of squares - K (K+1)^2 / 4) = 3 * (16/9 + 25/9 + 9 - 12) = 14/3
    assert found.chi2 == pytest.approx(14 / 3)
    # (N-1) chi2 / (N (K-1) - chi2) = (28/3) / (6 - 14/3) = 7, with 2 and 4 df
    assert found.f == pytest.approx(7)
    assert found.f_p_value == pytest.approx((1 + 2 * 7 / 4) ** -2)  # F(2, 4) has this closed tail
    assert found.p_value == pytest.approx(np.exp(-7 / 3))


@pytest.mark.parametrize("decimals", [1, 6])
def test_friedman_agrees_with_scipy_with_and_without_ties(decimals):
    values = np.random.default_rng(3).normal(size=(12, 5)).round(decimals)
    found, expected = friedman(ranks(values)), stats.friedmanchisquare(*values.T)
    assert found.chi2 == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_friedman_at_its_ends():
    agreed = friedman(np.tile([1.0, 2, 3], (4, 1)))
    assert agreed.chi2 == pytest.approx(8)
    assert (agreed.f, agreed.f_p_value) == (np.inf, 0)
    tied = friedman(np.full((4, 3), 2.0))
    assert (tied.chi2, tied.p_value, tied.f, tied.f_p_value) == (0, 1, 0, 1)


def test_critical_difference_of_22_tasks_and_10_methods():
    assert round(critical_difference(10, 22), 2) == 2.89  # docs/design/statistics.md, section 8


@pytest.mark.parametrize(
    ("n_methods", "q"),
    [
        (2, 1.960),
        (3, 2.343),
        (4, 2.569),
        (5, 2.728),
        (6, 2.850),
        (7, 2.949),
        (8, 3.031),
        (9, 3.102),
    ],
)
def test_critical_values_of_demsar(n_methods, q):
    """Demsar, JMLR 7 (2006), table 5(a), level 0.05."""
    n_studies = 14
    factor = np.sqrt(n_methods * (n_methods + 1) / (6 * n_studies))
    assert critical_difference(n_methods, n_studies) / factor == pytest.approx(q, abs=1.1e-3)


def test_critical_difference_at_another_level():
    assert critical_difference(5, 1, 0.10) == pytest.approx(
        2.459 * np.sqrt(5), abs=3e-3
    )  # the same table, 0.10


def test_cliques_are_the_longest_runs():
    assert cliques([1.0, 1.5, 2.9, 3.2, 6.0], 2.0) == [(0, 2), (1, 3)]
    assert cliques([1.0, 2.0, 3.0], 2.0) == [(0, 2)]
    assert cliques([1.0, 4.0], 2.0) == []


def test_mean_rank_intervals_count_cohorts_not_studies():
    """Ten studies copied five times: the interval of the 50 studies must be that of the ten."""
    table = ranks(np.random.default_rng(0).normal(size=(10, 4)))
    alone = mean_rank_intervals(table, np.arange(10), 400, seed=1)
    copied = mean_rank_intervals(
        np.repeat(table, 5, axis=0), np.repeat(np.arange(10), 5), 400, seed=1
    )
    np.testing.assert_allclose(copied, alone, rtol=1e-12)
    independent = mean_rank_intervals(np.repeat(table, 5, axis=0), np.arange(50), 400, seed=1)
    assert ((independent[:, 1] - independent[:, 0]) < 0.7 * (alone[:, 1] - alone[:, 0])).all()
    assert (alone[:, 0] <= table.mean(axis=0)).all()
    assert (alone[:, 1] >= table.mean(axis=0)).all()
    assert not np.array_equal(alone, mean_rank_intervals(table, np.arange(10), 400, seed=2))


def test_mean_rank_intervals_with_absent_methods():
    table = np.tile([1.0, 2.0], (12, 1))
    table[:6, 1] = np.nan
    np.testing.assert_array_equal(
        mean_rank_intervals(table, np.arange(12), 200, 0), [[1, 1], [2, 2]]
    )


def test_few_cohorts_get_no_interval():
    table = ranks(np.random.default_rng(0).normal(size=(20, 3)))
    assert np.isnan(mean_rank_intervals(table, np.arange(20) % 9, 100, 0)).all()
    assert not np.isnan(mean_rank_intervals(table, np.arange(20) % 10, 100, 0)).any()
