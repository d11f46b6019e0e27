"""Intervals and p-values: against numpy, scipy and figures worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri
from scipy.stats import bootstrap

from pathfuse.evaluation.intervals import (
    Sampled,
    bca_interval,
    described,
    percentile_interval,
    standard_error,
    t_p_value,
    t_quantile,
    two_sided_p,
)
from pathfuse.evaluation.resampling import draw
from pathfuse.evaluation.scales import LOG, PLAIN, SHARE, wilson


def test_percentiles_are_numpys():
    values = np.random.default_rng(0).normal(size=1999)
    interval = percentile_interval(values)
    assert (interval.low, interval.high) == pytest.approx(
        tuple(np.percentile(values, [2.5, 97.5])), abs=1e-15
    )


@pytest.mark.parametrize(
    ("level", "low", "high"), [(0.95, 25, 975), (0.9, 50, 950), (0.5, 250, 750)]
)
def test_percentiles_by_hand(level, low, high):
    interval = percentile_interval(
        np.random.default_rng(0).permutation(1001).astype(float), (1 - level) / 2
    )
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


def test_undefined_resamples_are_skipped():
    values = np.arange(1001.0)
    spoiled = np.insert(values, [0, 500, 1001], np.nan)
    clean, interval = percentile_interval(values), percentile_interval(spoiled)
    assert (interval.low, interval.high) == (clean.low, clean.high)


@pytest.mark.parametrize(
    ("n_defined", "n_undefined", "refused"),
    [(500, 500, False), (499, 501, True), (100, 0, False), (99, 0, True)],
)
def test_an_interval_needs_half_of_the_resamples_and_a_hundred(n_defined, n_undefined, refused):
    interval = percentile_interval(
        np.concatenate([np.linspace(0, 1, n_defined), np.full(n_undefined, np.nan)])
    )
    assert np.isnan([interval.low, interval.high]).tolist() == [refused, refused]


def test_no_resamples_give_no_interval():
    interval = percentile_interval(np.zeros(0))
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([-1, 1, 2, 3], 2 * (1 + 1) / 5),
        ([1] * 99, 2 * 1 / 100),
        ([-1] * 1999, 2 * 1 / 2000),
        ([-2, -1, 1, 2], 1.0),  # twice 3/5, cut at 1
        ([0, 1, 1, 1, 1, 1, 1], 2 * (1 + 1) / 8),  # a zero counts on both sides
        ([0, 0, 0], 1.0),
        ([np.nan, 1, 1, np.nan, 1], 2 * 1 / 4),  # undefined ones do not count
    ],
)
def test_p_value_by_hand(differences, expected):
    assert two_sided_p(np.array(differences, dtype=float)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("differences", [[], [np.nan, np.nan]])
def test_p_value_of_nothing_is_undefined(differences):
    assert np.isnan(two_sided_p(np.array(differences, dtype=float)))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_p_value_has_two_equal_sides_and_is_never_zero(differences):
    values = np.array(differences, dtype=float)
    p = two_sided_p(values)
    assert p == two_sided_p(-values)
    assert 2 / (len(values) + 1) <= p <= 1 or p == 1


# Bias-corrected and accelerated intervals


@pytest.fixture
def skewed():
    """80 patients of one row, their mean on 2,000 resamples of ours, and without each of them."""
    values = np.random.default_rng(0).exponential(size=80)
    resamples = draw(np.arange(80), np.zeros(80, dtype=int), 2000, seed=1)
    return values, resamples.counts @ values / 80, (values.sum() - values) / 79


def scipy_bca(values, resampled, level=0.95):
    """Scipy's interval of a mean, on resamples of ours."""
    start = bootstrap(
        (values,), np.mean, n_resamples=2, method="percentile", rng=np.random.default_rng(0)
    )
    ours = replace(start, bootstrap_distribution=resampled)
    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=0,
        method="BCa",
        bootstrap_result=ours,
        confidence_level=level,
    )
    return found.confidence_interval


def limits(interval):
    return interval.low, interval.high


@pytest.mark.parametrize("level", [0.95, 0.9, 0.5])
def test_bca_is_scipys(skewed, level):
    values, resampled, left_out = skewed
    found = bca_interval(values.mean(), resampled, left_out, (1 - level) / 2)
    theirs = scipy_bca(values, resampled, level)
    assert limits(found) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_bca_leans_towards_the_long_tail(skewed):
    """The mean of skewed values lies below the truth more often than above it, and then by more."""
    values, resampled, left_out = skewed
    found, plain = bca_interval(values.mean(), resampled, left_out), percentile_interval(resampled)
    assert found.low > plain.low + 0.005
    assert found.high > plain.high + 0.01
    mirrored = bca_interval(-values.mean(), -resampled, -left_out)
    assert limits(mirrored) == pytest.approx((-found.high, -found.low), abs=1e-12)


def test_bca_without_bias_or_skew_is_the_percentile_interval():
    resampled, left_out = np.arange(-1000.0, 1001.0), np.array([-1.0, 0, 1])
    assert limits(bca_interval(0.0, resampled, left_out)) == pytest.approx(
        limits(percentile_interval(resampled))
    )


def test_bca_by_hand():
    """Resamples 0..999 around the point 599.5, so 60 % below; pulls 2, -1, -1, acceleration 6 / (6
    x 6^1.5)."""
    resampled, left_out = np.arange(1000.0), np.array([3.0, 6, 6])
    shift, acceleration = ndtri(0.6), 1 / 6**1.5
    z = shift + np.array([-1.0, 1.0]) * ndtri(0.975)
    expected = ndtr(shift + z / (1 - acceleration * z)) * 999
    assert limits(bca_interval(599.5, resampled, left_out)) == pytest.approx(expected, abs=1e-9)


def test_bca_leaves_out_what_is_undefined(skewed):
    values, resampled, left_out = skewed
    clean = bca_interval(values.mean(), resampled, left_out)
    spoiled = np.insert(resampled, [0, 700, 2000], np.nan)
    found = bca_interval(values.mean(), spoiled, np.insert(left_out, 3, np.nan))
    assert limits(found) == pytest.approx(limits(clean), abs=1e-12)


@pytest.mark.parametrize(
    ("point", "left_out"),
    [
        (5.0, [1.0, 2.0, 4.0]),  # above all resamples
        (-1.0, [1.0, 2.0, 4.0]),  # below all resamples
        (0.5, [0.5, 0.5, 0.5]),  # no patient matters
    ],
)
def test_bca_falls_back_on_percentiles(point, left_out):
    resampled = np.linspace(0, 1, 101)
    assert bca_interval(point, resampled, np.array(left_out)) == percentile_interval(resampled)


def test_bca_of_a_constant_is_that_constant():
    found = bca_interval(0.5, np.full(100, 0.5), np.array([0.5, 0.5, 0.6]))
    assert limits(found) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("resampled", "left_out"),
    [
        ([], [1.0, 2.0]),
        ([np.nan] * 201 + [0.5, 0.6] * 100, [1.0, 2.0, 4.0]),
        ([0.5, 0.6] * 49, [1.0, 2.0, 4.0]),
        ([0.4, 0.5, 0.6] * 100, [np.nan, np.nan]),
    ],
)
def test_bca_is_refused_where_too_little_is_defined(resampled, left_out):
    found = bca_interval(0.5, np.array(resampled, dtype=float), np.array(left_out))
    assert np.isnan(limits(found)).all()


# t, the patients that carry a figure, and shares that no resample moves


@pytest.mark.parametrize("n", [10, 15, 60])
def test_the_t_interval_of_a_mean_is_the_textbooks(n):
    """Resamples of the exact bootstrap distribution of a mean have the standard deviation
    sd(ddof=0) / sqrt(n)."""
    values = np.random.default_rng(n).normal(size=n)
    draws = values.mean() + values.std() / np.sqrt(n) * ndtri((np.arange(20000) + 0.5) / 20000)
    error = standard_error(draws, Sampled(n))
    found = PLAIN.interval(values.mean(), error, t_quantile(Sampled(n).freedom))
    theirs = stats.ttest_1samp(values, 0.0)
    assert found == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-3)
    assert t_p_value(values.mean(), error, Sampled(n).freedom) == pytest.approx(
        theirs.pvalue, rel=2e-2
    )
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(n), rel=1e-3)


def test_folds_spend_degrees_of_freedom():
    assert (Sampled(60, 5).freedom, Sampled(60).freedom) == (55, 59)
    assert Sampled(60, 5).inflation == pytest.approx(np.sqrt(60 / 55))


@pytest.mark.parametrize(("n", "tail"), [(10, 0.0086), (20, 0.0160), (40, 0.0203), (100, 0.0231)])
def test_wider_tails_are_those_of_hesterberg(n, tail):
    """Hesterberg 2015, table 6: what to cut off in place of 2.5 % so that a mean has its t
    interval."""
    assert Sampled(n).tail() == pytest.approx(tail, abs=2e-4)


def test_wider_tails_become_those_of_a_normal():
    assert Sampled(10**7).tail() == pytest.approx(0.025, abs=1e-6)


@pytest.mark.parametrize(("point", "n"), [(1.0, 15), (0.0, 15), (0.9, 40), (0.5, 12)])
def test_shares_have_wilsons_interval(point, n):
    theirs = stats.binomtest(round(point * n), n).proportion_ci(method="wilson")
    assert wilson(point, n, ndtri(0.975)) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_degrees_of_freedom_by_hand():
    """Ten patients pull by -1 or +1: fourth moments 10, so 10 carriers and no doubt. One of ten
    pulls: 1 carrier."""
    even, one = np.tile([-1.0, 1.0], 5), np.eye(10)[0]
    assert Sampled(10).freedom_of(even) == 9
    assert Sampled(10).freedom_of(one) == 4  # 2 / (1 / 1.23 - 1 / 10) - 3 is below 4
    assert Sampled(4).freedom_of(one[:4]) == 3  # and never more than a mean has
    pulls = np.array([3.0, -3, 1, -1] * 10)
    carriers = (10 * (9 + 9 + 1 + 1)) ** 2 / (10 * (81 + 81 + 1 + 1))
    assert Sampled(500).freedom_of(pulls) == pytest.approx(2 / (1 / carriers - 1 / 40) - 3)
    assert Sampled(500).freedom_of(np.append(pulls, np.nan)) == Sampled(500).freedom_of(pulls)


def test_degrees_of_freedom_of_normal_values_are_nearly_those_of_t():
    """Satterthwaite's of normal values are n; three are spent."""
    values = np.random.default_rng(0).normal(size=300)
    left_out = (values.sum() - values) / 299
    assert Sampled(300).freedom_of(left_out) == pytest.approx(297, rel=0.15)
    assert Sampled(300).freedom_of(np.ones(300)) == 299  # nothing moves the figure
    assert Sampled(300).freedom_of(np.full(300, np.nan)) == 299


def test_a_loss_of_few_patients_reaches_far_up_and_never_below_nothing():
    values = np.full(60, 0.01)
    values[:2] = 3.0
    counts = draw(np.arange(60), np.zeros(60, dtype=int), 1000, seed=1).counts
    left_out = (values.sum() - values) / 59
    freedom = Sampled(60).freedom_of(left_out)
    assert freedom == 4
    draws = counts @ values / 60
    low, high = LOG.interval(values.mean(), standard_error(draws, Sampled(60)), t_quantile(freedom))
    plain = bca_interval(values.mean(), draws, left_out)
    assert 0 < low < values.mean()
    assert plain.high < high < 16 * values.mean()


@pytest.mark.parametrize("n", [40, 200])
@pytest.mark.parametrize("errors", [1, 2, 4, 8])
def test_a_share_with_few_errors_has_nearly_wilsons_interval_of_its_patients(n, errors):
    hits = np.ones(n)
    hits[:errors] = 0.0
    draws = draw(np.arange(n), np.zeros(n, dtype=int), 4000, seed=2).counts @ hits / n
    freedom = Sampled(n).freedom_of((hits.sum() - hits) / (n - 1))
    low, high = SHARE.interval(hits.mean(), standard_error(draws, Sampled(n)), t_quantile(freedom))
    theirs = stats.binomtest(n - errors, n).proportion_ci(method="wilson")
    assert low <= theirs.low + 0.005
    assert high >= theirs.high - 0.005
    assert high - low < 1.8 * (theirs.high - theirs.low)


def test_words_say_which_interval_was_used():
    assert "log of losses; Wilson's for shares" in described("auto")["figures"]
    assert described("auto", "sample")["differences"].endswith(
        "how many samples carry it (Satterthwaite)"
    )
    assert set(described("percentile").values()) == {"percentile"}
    assert set(described("bca").values()) == {"BCa, leaving each patient out in turn"}
