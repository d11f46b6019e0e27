"""The batch test: its rate of false alarms, what it finds, and what does not matter."""

import numpy as np
import pytest
from scipy.stats import binom

from pathfuse.drift.batch import Pool, compare, p_value, simulate, threshold

RATE = 0.05


def drawn(rng, n, n_features=6):
    """Uniform features that hang together, as ranks do."""
    common = rng.random((n, 1))
    return np.where(rng.random((n, n_features)) < 0.5, common, rng.random((n, n_features))) - 0.5


def pool_of(features, judged=None):
    return Pool.of(features, np.ones(len(features), dtype=int), judged, named=True)


@pytest.mark.parametrize("n_new", [20, 150])
def test_false_alarms_come_at_the_stated_rate_on_new_draws(n_new):
    rng, n = np.random.default_rng(1), 300
    alarms = 0
    limit = threshold(simulate(pool_of(drawn(rng, 200)), n_new, 2000, 0), RATE)
    for _ in range(n):
        pool = pool_of(drawn(rng, 200))
        alarms += np.abs(compare(pool, drawn(rng, n_new))).max() > limit
    low, high = binom.ppf([0.0005, 0.9995], n, RATE)
    assert low <= alarms <= high


def test_a_shift_of_one_feature_is_found_there():
    rng = np.random.default_rng(2)
    pool, new = pool_of(drawn(rng, 300)), drawn(rng, 200)
    new[:, 4] = np.minimum(new[:, 4] + 0.2, 0.5)
    z = compare(pool, new)
    assert np.abs(z).argmax() == 4
    assert z[4] > threshold(simulate(pool, 200, 1000, 0), 0.01)
    assert p_value(z[4], simulate(pool, 200, 1000, 0)) == pytest.approx(1 / 1001)


def test_the_order_of_samples_does_not_matter():
    rng = np.random.default_rng(3)
    fit, new = drawn(rng, 80), drawn(rng, 40)
    shuffled = compare(pool_of(fit[rng.permutation(80)]), new[rng.permutation(40)])
    assert compare(pool_of(fit), new) == pytest.approx(shuffled)


def test_between_fit_rows_and_judged_rows_nothing_is_new():
    rng = np.random.default_rng(4)
    fit = drawn(rng, 400)
    moved = drawn(rng, 400) + 0.1
    assert np.abs(compare(pool_of(fit), moved)).max() > 4
    assert np.abs(compare(pool_of(fit, moved.mean(axis=0)), moved)).max() == 0
    half = pool_of(fit, (fit.mean(axis=0) + moved.mean(axis=0)) / 2)
    full = pool_of(fit)
    assert np.abs(compare(half, moved)) == pytest.approx(np.abs(compare(full, moved)) / 2)


def test_patients_count_by_their_samples_where_new_ones_are_not_named():
    features, size = np.array([[0.0], [1.0]]), np.array([1, 3])
    named, unnamed = (Pool.of(features, size, named=yes) for yes in (True, False))
    assert named.mean.tolist() == [0.5]
    assert unnamed.mean.tolist() == [0.75]
    assert (named.n_effective, unnamed.n_effective) == pytest.approx((2, 16 / 10))


def test_a_feature_that_never_varies_says_nothing():
    pool = pool_of(np.zeros((50, 2)))
    assert compare(pool, np.zeros((30, 2))).tolist() == [0, 0]
    assert compare(pool, np.full((30, 2), 0.5)).min() > 5
