"""Coarse experts: docs/design/fusion.md, section 6.4."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.base import spread_groups


@st.composite
def coarse(draw):
    """An expert's own log-probabilities, what its classes contain, and the frequencies; every own
    class is used."""
    n_own = draw(st.integers(2, 4))
    extra = draw(st.lists(st.integers(-1, n_own - 1), max_size=4))
    group = np.array(draw(st.permutations([*range(n_own), *extra])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frequency = rng.dirichlet(np.full(len(group), 2.0))
    return log_softmax(3 * rng.normal(size=(5, n_own))), group, frequency


@given(coarse())
def test_a_proper_distribution(case):
    log_prob, group, frequency = case
    np.testing.assert_allclose(
        np.exp(spread_groups(log_prob, group, frequency)).sum(axis=1), 1, rtol=1e-10
    )


@given(coarse())
def test_inside_a_group_proportional_to_the_frequencies(case):
    log_prob, group, frequency = case
    prob = np.exp(spread_groups(log_prob, group, frequency))
    for own in set(group.tolist()) - {-1}:
        inside = group == own
        share = prob[:, inside] / prob[:, inside].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(
            share, np.tile(frequency[inside] / frequency[inside].sum(), (len(prob), 1)), rtol=1e-9
        )


@given(coarse())
def test_an_unknown_class_keeps_its_frequency_and_the_others_share_the_rest_as_the_expert_says(
    case,
):
    log_prob, group, frequency = case
    prob = np.exp(spread_groups(log_prob, group, frequency))
    unknown = group == -1
    np.testing.assert_allclose(
        prob[:, unknown], np.tile(frequency[unknown], (len(prob), 1)), rtol=1e-9
    )
    rest = 1 - frequency[unknown].sum()
    for own in set(group.tolist()) - {-1}:
        np.testing.assert_allclose(
            prob[:, group == own].sum(axis=1), rest * np.exp(log_prob[:, own]), rtol=1e-9
        )


def test_by_hand():
    # The expert knows "benign" (classes 0 and 2) and "malignant" (class 1), and nothing of class 3.
    said = spread_groups(
        np.log([[0.25, 0.75]]), np.array([0, 1, 0, -1]), np.array([0.1, 0.4, 0.3, 0.2])
    )
    np.testing.assert_allclose(
        np.exp(said), [[0.8 * 0.25 * 0.25, 0.8 * 0.75, 0.8 * 0.25 * 0.75, 0.2]], rtol=1e-12
    )


def test_an_expert_that_knows_every_class_is_left_alone_to_the_last_bit():
    log_prob = log_softmax(np.random.default_rng(0).normal(size=(6, 3)))
    said = spread_groups(log_prob, np.array([2, 0, 1]), np.array([0.5, 0.25, 0.25]))
    assert np.array_equal(said, log_prob[:, [2, 0, 1]])


def test_no_row_stays_no_row():
    assert spread_groups(np.empty((0, 2)), np.array([0, 1, 1]), np.full(3, 1 / 3)).shape == (0, 3)
