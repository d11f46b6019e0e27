"""Late labels: a prediction knows the labels that came before it, and no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.online.methods import WEIGHERS, prior_of
from pathfuse.online.stream import NEVER, arrivals, follow, late_by, mixed


def made_up(n=40, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return np.log(rng.uniform(0.05, 1, (n, k))), np.ones((n, k), dtype=bool)


def test_order_by_hand():
    order = arrivals(np.array([3, 1 + 1, NEVER, 4, 9]))
    assert order.learned.tolist() == [1, 0, 3]  # the last is due beyond the stream
    assert order.n_known.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("kind", WEIGHERS)
def test_weights_are_those_of_the_labels_that_were_there(kind):
    """Against starting anew for each sample with what it may know."""
    table, awake = made_up()
    due = late_by(40, 0) + np.random.default_rng(1).integers(0, 12, 40)
    weigher, order = kind(prior_of(3)), None
    order = arrivals(due)
    found = follow(weigher, table, awake, order).sample_weights
    for n in range(40):
        state = weigher.start()
        there = np.flatnonzero(due <= n)
        for label in there[np.argsort(due[there], kind="stable")]:
            state = weigher.learn(state, table[label])
        np.testing.assert_array_equal(found[n], weigher.weights(state, awake[n]))


@pytest.mark.parametrize("kind", WEIGHERS)
def test_a_label_that_comes_later_changes_nothing_before(kind):
    table, awake = made_up()
    order = arrivals(late_by(40, 7))
    before = follow(kind(prior_of(3)), table, awake, order).sample_weights
    table[20] = -16.0
    table[20, 0] = 0.0
    after = follow(kind(prior_of(3)), table, awake, order).sample_weights
    np.testing.assert_array_equal(before[: 20 + 8], after[: 20 + 8])
    assert (before[20 + 8 :] != after[20 + 8 :]).all()


@given(st.lists(st.integers(-1, 30), min_size=1, max_size=20))
def test_nobody_knows_their_own_label(lags):
    due = np.array([NEVER if lag < 0 else n + 1 + lag for n, lag in enumerate(lags)])
    order = arrivals(due)
    for n, known in enumerate(order.n_known):
        assert n not in order.learned[:known]
        assert set(order.learned[:known]) == {m for m in range(n) if NEVER < due[m] <= n}


def test_mixtures_are_distributions_and_sleepers_say_nothing():
    log_prob = np.log(np.random.default_rng(0).dirichlet(np.ones(3), (4, 2)))
    log_prob[0, 1] = np.nan
    log_prob[1] = np.nan
    weights = np.array([[1.0, 0.0], [0.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    found = mixed(weights, log_prob)
    np.testing.assert_allclose(found[[0, 3]], [log_prob[0, 0], log_prob[3, 1]])
    np.testing.assert_allclose(np.exp(found[2]), np.exp(log_prob[2]).mean(axis=0))
    assert np.isnan(found[1]).all()
