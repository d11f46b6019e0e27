"""Sums that do not know how many samples are beside one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.distributions.lanes import added, by_sample, mapped, normalise, weighted
from pathfuse.distributions.likelihood import floor_log_prob, floor_normalised, log_softmax, set_nll

M, K = 11, 19
"""Enough terms for numpy to add them up in another order where it may choose."""


def draw(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(M, K, n)) * 3, rng.random((M, n)), rng.normal(size=(5, M * K))


def works(lanes, weights, matrix):
    """All sums, samples last."""
    n = lanes.shape[2]
    normalised, floored = lanes.transpose(1, 0, 2).copy(), lanes.transpose(1, 0, 2).copy()
    normalise(normalised)
    floor_normalised(floored)
    rows = by_sample(lanes[0])
    observed = np.broadcast_to(np.arange(K) % 3 > 0, rows.shape)
    return [
        added(lanes), weighted(weights, lanes), mapped(matrix, lanes.reshape(-1, n)), normalised, floored,
        log_softmax(rows).T, set_nll(rows, observed)[None],
    ]  # fmt: skip


@given(seed=st.integers(0, 1000), size=st.sampled_from([1, 2, 3, 7, 16, 33]))
def test_a_sample_does_not_depend_on_those_beside_it_to_the_last_bit(seed, size):
    lanes, weights, matrix = draw(40, seed)
    whole = works(lanes, weights, matrix)
    for start in range(0, 40, size):
        part = slice(start, start + size)
        copied = works(
            np.ascontiguousarray(lanes[..., part]), np.ascontiguousarray(weights[:, part]), matrix
        )
        viewed = works(lanes[..., part], weights[:, part], matrix)
        for all_of_it, one, other in zip(whole, copied, viewed, strict=True):
            assert np.array_equal(one, all_of_it[..., part])
            assert np.array_equal(other, all_of_it[..., part])


def test_they_are_the_sums_that_numpy_makes():
    lanes, weights, matrix = draw(6)
    np.testing.assert_allclose(added(lanes), lanes.sum(axis=0), atol=1e-12)
    by_hand = (weights[:, None] * lanes).sum(axis=0)
    np.testing.assert_allclose(weighted(weights, lanes), by_hand, atol=1e-12)
    flat = lanes.reshape(-1, 6)
    np.testing.assert_allclose(mapped(matrix, flat), matrix @ flat, atol=1e-11)


@pytest.mark.parametrize("size", [1.0, 30.0])
def test_flooring_what_is_normalised_is_flooring(size):
    log_prob = log_softmax(draw(50)[0][0].T * size)
    floored = np.array(log_prob.T, order="C")
    floor_normalised(floored)
    np.testing.assert_allclose(floored.T, floor_log_prob(log_prob), atol=1e-13)
    assert (floored < -16 - 1e-4).any() == (size < 1)  # at most the rounding of a normalisation
