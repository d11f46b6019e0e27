"""Hodges-Lehmann by brute force and by a textbook; Wilcoxon with zeros by enumeration; cohorts as
the unit."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from scipy import stats

from pathfuse.evaluation.signed_rank import compare, hodges_lehmann, holm_over, signed_rank_p

BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])


def brute_median(d):
    return np.median([(a + b) / 2 for a, b in combinations_with_replacement(d, 2)])


def exact_p(d):
    """Two-sided p of the signed-rank sum after Pratt, over all signs; zeros keep their ranks and
    have no sign."""
    rank = stats.rankdata(np.abs(d))[d != 0]
    centre = rank.sum() / 2
    seen = abs(rank[d[d != 0] > 0].sum() - centre)
    sums = [np.dot(signs, rank) for signs in product((0, 1), repeat=len(rank))]
    return np.mean([abs(s - centre) >= seen - 1e-9 for s in sums])


def test_depression_scores_of_hollander_and_wolfe():
    """Nonparametric Statistical Methods, table 3.1: shift 0.46, interval 0.010 to 0.786, p 0.039."""
    shift = hodges_lehmann(BEFORE - AFTER)
    assert (shift.median, shift.low, shift.high) == pytest.approx((0.46, 0.010, 0.786))
    assert signed_rank_p(BEFORE - AFTER) == pytest.approx(0.0390625)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 21])
def test_median_by_brute_force(n):
    d = np.random.default_rng(n).normal(size=n)
    assert hodges_lehmann(d).median == pytest.approx(brute_median(d))


@pytest.mark.parametrize("n", [6, 7, 9, 12])
def test_the_interval_is_what_the_test_cannot_reject(n):
    d = np.random.default_rng(n).normal(0.3, 1, size=n)
    shift = hodges_lehmann(d)
    for limit, side in ((shift.low, -1), (shift.high, 1)):
        assert exact_p(d - (limit + side * 1e-6)) <= 0.05
        assert exact_p(d - (limit - side * 1e-6)) > 0.05


def test_too_few_differences_have_no_interval():
    assert np.isnan(
        [hodges_lehmann(np.arange(1.0, 6)).low, hodges_lehmann(np.arange(1.0, 6)).high]
    ).all()
    shift = hodges_lehmann(np.arange(1.0, 7))
    assert (shift.low, shift.high) == (1, 6)
    assert np.isnan(hodges_lehmann(np.zeros(0)).median)


def test_many_differences_use_the_normal_approximation():
    """It takes over without a jump, and turning the signs turns the interval."""
    d = np.random.default_rng(0).normal(0.2, 1, size=201)
    shift, mirrored, exact = hodges_lehmann(d), hodges_lehmann(-d), hodges_lehmann(d[:200])
    assert (shift.low, shift.high) == pytest.approx((-mirrored.high, -mirrored.low))
    assert shift.high - shift.low == pytest.approx(exact.high - exact.low, rel=0.02)


def test_zeros_are_ranked_and_then_dropped():
    d = np.array([0.0, 0.0, 1.0, 2.0, 3.0, -4.0, 5.0, 6.0, 7.0])
    assert signed_rank_p(d) == pytest.approx(exact_p(d))
    assert signed_rank_p(d) != pytest.approx(exact_p(d[d != 0]))


@pytest.mark.parametrize("seed", range(4))
def test_counting_agrees_with_scipy(seed):
    d = np.random.default_rng(seed).integers(-3, 6, size=4 + seed).astype(float)
    expected = stats.wilcoxon(d, zero_method="pratt").pvalue
    assert signed_rank_p(d) == pytest.approx(expected)


def test_longer_ties_are_left_to_scipy():
    d = np.concatenate([[0.0, 0.0], np.random.default_rng(0).integers(-3, 6, size=14)])
    assert signed_rank_p(d) == stats.wilcoxon(d, zero_method="pratt").pvalue
    assert signed_rank_p(d) != stats.wilcoxon(d, zero_method="wilcox").pvalue


def test_equal_methods_and_too_few_studies():
    assert signed_rank_p(np.zeros(5)) == 1
    assert np.isnan(signed_rank_p(np.array([0.3])))
    assert signed_rank_p(np.array([0.1, 0.2])) == pytest.approx(0.5)


def test_complete_cases_only():
    values = np.array([[0.8, 0.7, 0.1], [0.9, np.nan, 0.1], [0.6, 0.6, 0.1], [0.5, 0.7, 0.1]])
    pair = compare(values, (0, 1), np.arange(4), higher_is_better=True)
    assert (pair.n, pair.n_cohorts, pair.wins, pair.ties, pair.losses) == (3, 3, 1, 1, 1)
    assert pair.shift.median == pytest.approx(brute_median([0.1, 0, -0.2]))


def test_lower_is_better_turns_wins_but_not_differences():
    values = np.array([[0.2, 0.3], [0.2, 0.4], [0.9, 0.8]])
    pair = compare(values, (0, 1), np.arange(3), higher_is_better=False)
    assert (pair.wins, pair.losses) == (2, 1)
    assert pair.shift.median == pytest.approx(brute_median([-0.1, -0.2, 0.1]))


def test_differences_that_only_rounding_tells_apart_tie():
    values = np.array([[0.3, 0.2], [0.8, 0.7], [0.6, 0.7], [1.1, 1.0]])
    assert len(np.unique(np.abs(values[:, 0] - values[:, 1]))) > 1
    assert compare(values, (0, 1), np.arange(4), higher_is_better=True).p_value == pytest.approx(
        exact_p(np.array([1.0, 1, -1, 1]))
    )


def test_cohorts_are_averaged_first():
    """Ten studies in two cohorts: p shrinks with copies only where studies pass as independent."""
    gains = np.array([0.1, 0.3, 0.2, 0.2, 0.2, -0.4, -0.1, -0.1, 0.3, 0.1])
    values = np.column_stack([0.5 + gains, np.full(10, 0.5)])
    cohorts = np.repeat([0, 1], 5)
    pair = compare(values, (0, 1), cohorts, higher_is_better=True)
    assert (pair.n, pair.n_cohorts) == (10, 2)
    assert pair.shift_cohorts.median == pytest.approx(np.mean([0.2, -0.04]))
    assert pair.p_value_cohorts == 1
    assert pair.p_value == pytest.approx(exact_p(gains))


def test_own_cohorts_change_nothing():
    values = np.random.default_rng(5).normal(size=(9, 2))
    pair = compare(values, (0, 1), np.arange(9)[::-1].copy(), higher_is_better=True)
    assert pair.p_value == pair.p_value_cohorts
    assert pair.shift == pair.shift_cohorts


def test_no_common_study():
    values = np.array([[0.5, np.nan], [np.nan, 0.4]])
    pair = compare(values, (0, 1), np.arange(2), higher_is_better=True)
    assert (pair.n, pair.n_cohorts) == (0, 0)
    assert np.isnan([pair.p_value, pair.p_value_cohorts, pair.shift.median]).all()


def test_holm_runs_over_all_pairs():
    values = np.column_stack([np.arange(8.0) + 9, np.arange(8.0), np.arange(8.0) % 3])
    pairs = [
        compare(values, p, np.arange(8) // 2, higher_is_better=True)
        for p in ((0, 1), (0, 2), (1, 2))
    ]
    by_study, by_cohort = holm_over(pairs)
    assert by_study[0] == pytest.approx(3 * 2**-7)
    assert by_cohort[0] == pytest.approx(3 * 2**-3)
