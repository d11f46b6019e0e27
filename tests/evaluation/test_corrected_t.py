"""The corrected resampled t: by hand, beside scipy's t where nothing is corrected, and where it has
nothing to say."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from pathfuse.evaluation.corrected_t import corrected_t

DIFFERENCES = np.array([0.02, 0.05, -0.01, 0.03, 0.04])


def test_by_hand():
    """Three folds, 1/2 patient judged per patient fitted on: mean 2, variance 1, factor 1/3 + 1/2 =
    5/6.

    t = 2 / sqrt(5/6) on 2 degrees of freedom, whose two-sided p-value is 1 - t / sqrt(t^2 + 2).
    """
    found = corrected_t(np.array([1.0, 2.0, 3.0]), 0.5)
    assert found.difference == 2
    assert found.t == pytest.approx(2 / np.sqrt(5 / 6), abs=1e-14)
    assert found.degrees_of_freedom == 2
    assert found.p_value == pytest.approx(1 - np.sqrt(4.8 / 6.8), abs=1e-14)


def test_five_folds_have_the_factor_point_45():
    """1/5 + 1/4 in place of 1/5: the standard error is 1.5 times the naive one."""
    found = corrected_t(DIFFERENCES, 1 / 4)
    assert found.t == pytest.approx(
        DIFFERENCES.mean() / np.sqrt(0.45 * DIFFERENCES.var(ddof=1)), abs=1e-14
    )
    assert found.t == pytest.approx(ttest_1samp(DIFFERENCES, 0).statistic / 1.5, abs=1e-14)
    assert found.p_value == pytest.approx(2 * student.sf(found.t, 4), abs=1e-14)
    assert found.p_value > 1.5 * ttest_1samp(DIFFERENCES, 0).pvalue


def test_without_training_it_is_the_naive_t():
    theirs = ttest_1samp(DIFFERENCES, 0)
    found = corrected_t(DIFFERENCES, 0.0)
    assert (found.t, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-14)
    assert found.degrees_of_freedom == theirs.df


def test_two_equal_sides():
    one, other = corrected_t(DIFFERENCES, 0.25), corrected_t(-DIFFERENCES, 0.25)
    assert (other.difference, other.t, other.p_value) == (-one.difference, -one.t, one.p_value)


def test_folds_that_define_nothing_do_not_count():
    with_gaps = np.array([0.02, np.nan, 0.05, -0.01, np.nan, 0.03, 0.04])
    assert corrected_t(with_gaps, 0.25) == corrected_t(DIFFERENCES, 0.25)


@pytest.mark.parametrize(
    ("differences", "mean"), [([], np.nan), ([np.nan] * 5, np.nan), ([np.nan, 0.3, np.nan], 0.3)]
)
def test_fewer_than_two_folds_have_no_test(differences, mean):
    found = corrected_t(np.array(differences, dtype=float), 0.25)
    assert found.difference == pytest.approx(mean, nan_ok=True)
    assert np.isnan([found.t, found.p_value]).all()
    assert found.degrees_of_freedom == 0


@pytest.mark.parametrize("value", [0.0, 0.1, -0.3, 1000.1, 123456.7, 1e-9])
@pytest.mark.parametrize("k", [2, 3, 5, 7, 10])
def test_folds_that_do_not_differ_have_no_test(value, k):
    """Whatever the unit (an rmse may be in the thousands) and whatever rounding makes of the mean."""
    found = corrected_t(np.full(k, value), 0.25)
    assert found.difference == pytest.approx(value, rel=1e-12)
    assert np.isnan([found.t, found.p_value]).all()
    assert found.degrees_of_freedom == k - 1


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_does_not_count(unit):
    one, scaled = corrected_t(DIFFERENCES, 0.25), corrected_t(unit * DIFFERENCES, 0.25)
    assert scaled.t == pytest.approx(one.t, rel=1e-9)
