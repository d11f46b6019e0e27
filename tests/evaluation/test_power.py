"""The smallest difference that is found, against statsmodels."""

import numpy as np
import pytest
from scipy.stats import norm

from pathfuse.evaluation.power import detectable, error_from_interval

# statsmodels 0.15.0: tt_solve_power(nobs=n, alpha=0.05, power=0.8), the effect in standard deviations.
FROM_STATSMODELS = {12: 0.8886543444414026, 40: 0.45425711232469046, 200: 0.19906465946973934}


@pytest.mark.parametrize(("n", "effect"), FROM_STATSMODELS.items())
def test_it_is_that_of_a_paired_t_test(n, effect):
    """The sum of two t quantiles stands for the noncentral t, which it meets within 0.1 %."""
    assert detectable(1 / np.sqrt(n), n - 1) == pytest.approx(effect, rel=1e-3)


def test_a_true_difference_of_that_size_is_found_in_four_of_five_studies():
    rng = np.random.default_rng(0)
    error = 0.013
    found = rng.normal(detectable(error), error, size=200_000)
    assert (np.abs(found) > norm.ppf(0.975) * error).mean() == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("freedom", [5.0, 30.0, np.inf])
def test_the_error_comes_back_from_the_interval(freedom):
    quantile = 1 / error_from_interval(-1, 1, freedom)
    assert error_from_interval(0.1 - quantile * 0.02, 0.1 + quantile * 0.02, freedom) == (
        pytest.approx(0.02)
    )
