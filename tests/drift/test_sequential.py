"""The sequential test: false alarms within its horizon, delay, and where it says the change began."""

import numpy as np
import pytest
from scipy.stats import binom

from pathfuse.drift.batch import Pool
from pathfuse.drift.sequential import (
    MOST_STEPS,
    limit_of,
    simulate_streams,
    step_of,
    watch,
)


def drawn(rng, n, n_features=6):
    common = rng.random((n, 1))
    return np.where(rng.random((n, n_features)) < 0.5, common, rng.random((n, n_features))) - 0.5


def pool_of(features, judged=None):
    return Pool.of(features, np.ones(len(features), dtype=int), judged, named=True)


@pytest.fixture(scope="module")
def limit():
    pool = pool_of(drawn(np.random.default_rng(0), 200))
    return limit_of(simulate_streams(pool, 150, 0), 0.05)


def test_streams_without_a_change_give_alarms_at_the_stated_rate():
    rng, n, pool = np.random.default_rng(1), 120, pool_of(drawn(np.random.default_rng(0), 200))
    limit = limit_of(simulate_streams(pool, 60, 0), 0.1)
    alarms = sum(
        watch(pool_of(drawn(rng, 200)), drawn(rng, 60), limit, 1).first >= 0 for _ in range(n)
    )
    low, high = binom.ppf([0.0005, 0.9995], n, 0.1)
    assert low <= alarms <= high


def test_a_change_is_found_soon_and_its_beginning_is_named(limit):
    rng, delays, onsets = np.random.default_rng(2), [], []
    for _ in range(20):
        new = drawn(rng, 150)
        new[80:, 3] = np.minimum(new[80:, 3] + 0.4, 0.5)
        found = watch(pool_of(drawn(rng, 200)), new, limit, 1)
        assert found.first == 3
        delays.append(found.alarm[3] - 79)
        onsets.append(found.onset[3])
    assert 1 <= np.median(delays) <= 15
    assert np.median(np.abs(np.array(onsets) - 80)) <= 4


def test_less_of_a_feature_is_found_as_well(limit):
    rng = np.random.default_rng(3)
    new = np.maximum(drawn(rng, 100) - 0.4, -0.5)
    assert watch(pool_of(drawn(rng, 200)), new, limit, 1).first >= 0


def test_one_patient_gives_no_alarm(limit):
    """A sample without an expert that was never missing before is no drift; many are."""
    rng = np.random.default_rng(4)
    fit = np.column_stack([drawn(rng, 200, 1), np.zeros(200)])
    new = np.column_stack([drawn(rng, 100, 1), np.zeros(100)])
    new[50, 1] = 0.5
    assert watch(pool_of(fit), new, limit, 1).first == -1
    new[50:60, 1] = 0.5
    assert watch(pool_of(fit), new, limit, 1).first == 1


def test_what_the_judged_rows_showed_already_adds_nothing(limit):
    rng = np.random.default_rng(5)
    fit, new = drawn(rng, 200), drawn(rng, 150) + 0.25
    assert watch(pool_of(fit), new, limit, 1).first >= 0
    assert watch(pool_of(fit, np.full(6, 0.25)), new, limit, 1).first == -1


def test_long_streams_are_looked_at_in_steps():
    assert step_of(MOST_STEPS) == 1
    assert step_of(MOST_STEPS + 1) == 2
    rng = np.random.default_rng(6)
    pool, new = pool_of(drawn(rng, 200)), drawn(rng, 401)
    new[200:] += 0.3
    found = watch(pool, new, limit_of(simulate_streams(pool, 401, 0, 200), 0.01), 4)
    assert len(found.path) == 101
    assert 200 <= found.alarm[found.first] < 260
    assert found.onset[found.first] % 4 == 0
    assert found.alarm.max() <= 400


def test_the_limit_grows_with_the_horizon_and_falls_with_the_rate():
    pool = pool_of(drawn(np.random.default_rng(7), 100))
    short, long = (simulate_streams(pool, n, 0, 200) for n in (50, 400))
    assert limit_of(short, 0.05) < limit_of(long, 0.05) < limit_of(long, 0.01)
    assert np.array_equal(short, simulate_streams(pool, 50, 0, 200))
