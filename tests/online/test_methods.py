"""The methods by name, and what all of them keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.online.bayes import BayesMixture
from pathfuse.online.boa import BOA
from pathfuse.online.fixed_share import FixedShare
from pathfuse.online.methods import NAMES, WEIGHERS, prior_of, weigher_named


def test_names_are_found_and_others_are_not():
    assert [type(weigher_named(name, np.ones(1))) for name in NAMES] == list(WEIGHERS)
    with pytest.raises(
        InputError, match="'hedge' is unknown; choose one of fixed_share, bayes, boa"
    ):
        weigher_named("hedge", np.ones(1))


@pytest.mark.parametrize("kind", WEIGHERS)
def test_one_candidate_is_that_candidate(losses_of, kind):
    table = np.array([[-1.0], [-16.0], [0.0]])
    np.testing.assert_allclose(losses_of(kind(prior_of(1)), table), -table[:, 0], atol=1e-12)


@pytest.mark.parametrize("kind", WEIGHERS)
@settings(max_examples=20)
@given(data=st.data())
def test_the_order_of_candidates_does_not_matter(tables_with_prior, losses_of, kind, data):
    table, prior = data.draw(tables_with_prior(asleep=True))
    turned = losses_of(kind(prior[::-1]), table[:, ::-1])
    np.testing.assert_allclose(losses_of(kind(prior), table), turned, atol=1e-8)


@pytest.mark.parametrize(
    "kind",
    [BayesMixture, BOA, lambda prior: FixedShare(prior, (0.05,))],
    ids=["bayes", "boa", "share"],
)
def test_a_candidate_that_never_wakes_changes_nothing(losses_of, kind):
    table = np.log(np.random.default_rng(0).uniform(0.1, 1, (30, 3)))
    three, four = np.array([0.5, 0.25, 0.25]), np.array([0.4, 0.2, 0.2, 0.2])
    with_sleeper = np.column_stack([table, np.full(30, np.nan)])
    np.testing.assert_allclose(losses_of(kind(four), with_sleeper), losses_of(kind(three), table))
