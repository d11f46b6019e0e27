"""BOA: by hand, its potential never grows, and its bound on any sequence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfuse.online import boa as room
from pathfuse.online.boa import BOA, LEARNING_RATES
from pathfuse.online.bounds import boa_bound, boa_worst_case


def test_one_label_by_hand(monkeypatch):
    monkeypatch.setattr(room, "LEARNING_RATES", (0.1,))
    boa = BOA(np.array([0.5, 0.5]))
    state = boa.learn(boa.start(), np.array([-1.0, -3.0]))  # losses 1 and 3, mean 2
    lowered = np.exp([0.1 * (1 - 0.1), -0.1 * (1 + 0.1)])
    weights = boa.weights(state, np.ones(2, dtype=bool))
    np.testing.assert_allclose(weights, lowered / lowered.sum())


@settings(max_examples=40)
@given(data=st.data())
def test_it_loses_no_more_than_its_bound(tables_with_prior, losses_of, data):
    table, prior = data.draw(tables_with_prior(asleep=True))
    boa = BOA(prior)
    losses, state, regrets = losses_of(boa, table), boa.start(), []
    for said in table:
        regrets.append(boa.regret(state, said))
        potential = np.exp(state).sum()
        state = boa.learn(state, said)
        assert np.exp(state).sum() <= potential + 1e-9  # the line that the bound rests on
    for k in range(len(prior)):
        awake = ~np.isnan(table[:, k])
        bound = boa_bound(prior, k, np.array(regrets)[awake, k])
        assert losses[awake].sum() <= -table[awake, k].sum() + bound + 1e-9
        assert bound <= boa_worst_case(prior, k, len(table)) + 1e-9


def test_the_bound_knows_how_much_regret_varies():
    """Second order: calm losses have a bound far below the one for losses that may be anything."""
    prior = np.full(4, 0.25)
    assert boa_bound(prior, 0, np.full(1000, 0.1)) < boa_worst_case(prior, 0, 1000) / 3


def test_it_finds_the_better_of_two():
    table = np.tile(np.log([0.9, 0.1]), (2000, 1))
    boa = BOA(np.array([0.5, 0.5]))
    state = boa.start()
    for said in table:
        state = boa.learn(state, said)
    assert boa.weights(state, np.ones(2, dtype=bool))[0] > 0.999
    assert max(LEARNING_RATES) * 2 * room.LARGEST_LOSS == pytest.approx(1)
