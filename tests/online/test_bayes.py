"""The Bayes mixture: by hand, and its bound on any sequence."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfuse.online.bayes import BayesMixture
from pathfuse.online.bounds import bayes_bound

FEW = settings(max_examples=40)


def test_by_hand():
    mixture = BayesMixture(np.array([0.5, 0.25, 0.25]))
    state = mixture.learn(mixture.start(), np.log([0.2, 0.8, 0.4]))
    weights = mixture.weights(state, np.ones(3, dtype=bool))
    np.testing.assert_allclose(weights, np.array([0.1, 0.2, 0.1]) / 0.4)


@FEW
@given(data=st.data())
def test_it_loses_no_more_than_its_bound(tables_with_prior, losses_of, data):
    table, prior = data.draw(tables_with_prior())
    losses = losses_of(BayesMixture(prior), table)
    for k in range(len(prior)):
        assert losses.sum() <= -table[:, k].sum() + bayes_bound(prior, k) + 1e-9


@FEW
@given(data=st.data())
def test_against_a_sleeper_it_is_judged_where_that_was_awake(tables_with_prior, losses_of, data):
    table, prior = data.draw(tables_with_prior(asleep=True))
    losses = losses_of(BayesMixture(prior), table)
    k = data.draw(st.integers(0, len(prior) - 1))
    awake = ~np.isnan(table[:, k])
    assert losses[awake].sum() <= -table[awake, k].sum() + bayes_bound(prior, k) + 1e-9
