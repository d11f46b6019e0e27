"""Fixed share is the Bayes mixture over all sequences of candidates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.online.bayes import BayesMixture
from pathfuse.online.bounds import fixed_share_bound
from pathfuse.online.fixed_share import RATES, FixedShare

FEW = settings(max_examples=40)


@pytest.mark.parametrize("rates", [(0.3,), (0.0, 0.5), RATES])
def test_it_is_the_mixture_over_all_sequences(brute_force, rates):
    rng = np.random.default_rng(len(rates))
    prior, table = np.array([0.5, 0.3, 0.2]), np.log(rng.uniform(0.05, 1, (6, 3)))
    share, everybody = FixedShare(prior, rates), np.ones(3, dtype=bool)
    state, found = share.start(), []
    for said in table:
        found.append(share.weights(state, everybody))
        state = share.learn(state, said)
    np.testing.assert_allclose(found, brute_force(table, prior, rates), rtol=1e-12)


def test_one_label_by_hand():
    share = FixedShare(np.array([0.5, 0.5]), (0.2,))
    state = share.learn(share.start(), np.log([0.9, 0.1]))
    weights = share.weights(state, np.ones(2, dtype=bool))
    np.testing.assert_allclose(weights, [0.8 * 0.9 + 0.1, 0.8 * 0.1 + 0.1])


@FEW
@given(data=st.data())
def test_with_no_change_it_is_the_bayes_mixture(tables_with_prior, losses_of, data):
    table, prior = data.draw(tables_with_prior(asleep=True))
    np.testing.assert_allclose(
        losses_of(FixedShare(prior, (0.0,)), table),
        losses_of(BayesMixture(prior), table),
        atol=1e-9,
    )


@FEW
@given(data=st.data())
def test_it_loses_no_more_than_its_bound_to_any_sequence(tables_with_prior, losses_of, data):
    table, prior = data.draw(tables_with_prior())
    path = data.draw(
        st.lists(st.integers(0, len(prior) - 1), min_size=len(table), max_size=len(table))
    )
    rival = -table[np.arange(len(table)), path].sum()
    bound = fixed_share_bound(prior, RATES, path)
    assert losses_of(FixedShare(prior), table).sum() <= rival + bound + 1e-9


def test_the_bound_is_not_idle(losses_of):
    """Against candidates that take turns, staying with one loses far more than the bound allows."""
    table = np.log(np.tile([[0.99, 0.01], [0.01, 0.99]], (50, 1))).repeat(20, axis=0)[:400]
    path = (np.arange(400) // 20) % 2
    rival = -table[np.arange(400), path].sum()
    prior = np.array([0.5, 0.5])
    bound = fixed_share_bound(prior, RATES, path.tolist())
    assert losses_of(FixedShare(prior), table).sum() < rival + bound
    assert losses_of(BayesMixture(prior), table).sum() > rival + 3 * bound


@pytest.mark.parametrize("rates", [(), (-0.1,), (1.0,), (float("nan"),)])
def test_rates_out_of_range(rates):
    with pytest.raises(InputError, match="rates of change"):
        FixedShare(np.array([0.5, 0.5]), rates)


def test_a_label_that_all_slept_through_changes_nothing():
    share = FixedShare(np.array([0.5, 0.5]))
    state = share.learn(share.start(), np.log([0.9, 0.2]))
    np.testing.assert_array_equal(share.learn(state, np.full(2, np.nan)), state)
