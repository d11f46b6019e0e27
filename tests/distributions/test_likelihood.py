import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax as reference_log_softmax

from pathfuse.distributions.likelihood import (
    LOG_PROB_FLOOR,
    count_floored,
    floor_log_prob,
    log_softmax,
    set_nll,
)

finite = st.floats(-50, 50)
tables = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=finite)


@given(tables)
def test_log_softmax_is_scipys(scores):
    np.testing.assert_allclose(
        log_softmax(scores), reference_log_softmax(scores, axis=-1), rtol=1e-12, atol=1e-12
    )


@given(tables, finite)
def test_a_constant_added_to_a_sample_changes_nothing(scores, constant):
    np.testing.assert_allclose(log_softmax(scores + constant), log_softmax(scores), atol=1e-10)


def test_log_softmax_works_on_the_last_axis_of_any_shape():
    scores = np.random.default_rng(0).normal(size=(3, 4, 5))
    np.testing.assert_allclose(np.exp(log_softmax(scores)).sum(axis=-1), 1)
    assert np.array_equal(log_softmax(scores)[1], log_softmax(scores[1]))


@pytest.mark.parametrize("size", [1e4, 1e100, 1.7e308])
def test_huge_logits_do_not_overflow(size):
    said = log_softmax(np.array([[size, 0.0, -size]]))
    assert said[0, 0] == 0
    assert (said[0, 1:] <= -1e4).all()
    assert np.exp(floor_log_prob(said)).sum() == pytest.approx(1)


@given(tables, st.integers(0, 5))
def test_a_row_does_not_depend_on_the_rows_beside_it_to_the_last_bit(scores, row):
    row %= len(scores)
    assert np.array_equal(floor_log_prob(scores)[row], floor_log_prob(scores[row : row + 1])[0])


def test_a_probability_of_zero_is_floored_and_the_row_normalised_again():
    with np.errstate(divide="ignore"):
        said = floor_log_prob(np.log(np.array([[1.0, 0.0]])))
    z = np.log1p(np.exp(-16.0))  # by hand: (1, e^-16) normalised
    np.testing.assert_allclose(said, [[-z, -16 - z]], rtol=0, atol=1e-15)
    assert LOG_PROB_FLOOR == -16


def test_the_floor_leaves_ordinary_probabilities_alone():
    p = np.log(np.array([[0.2, 0.3, 0.5], [1e-6, 1e-6, 1 - 2e-6]]))
    np.testing.assert_allclose(floor_log_prob(p), p, atol=1e-12)
    assert count_floored(p) == 0


def test_count_floored_counts_cells_and_no_absent_rows():
    assert (
        count_floored(
            np.array([[-20.0, 0.0, -np.inf], [np.nan, np.nan, np.nan], [-16.0, -15.9, -1.0]])
        )
        == 2
    )


def test_set_nll_by_hand():
    log_prob = np.log(np.array([[0.2, 0.3, 0.5]] * 4))
    observed = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]], dtype=bool)
    np.testing.assert_allclose(
        set_nll(log_prob, observed), -np.log([0.2, 0.8, 0.5, 1.0]), atol=1e-15
    )


def test_set_nll_does_not_underflow():
    assert set_nll(np.array([[-1e4, -1e4, 0.0]]), np.array([[True, True, False]])) == pytest.approx(
        1e4 - np.log(2)
    )


@given(tables, st.randoms(use_true_random=False))
def test_allowing_more_never_costs(scores, random):
    log_prob = log_softmax(scores)
    k = scores.shape[1]
    small = np.array([[random.random() < 0.5 for _ in range(k)] for _ in scores])
    small[:, 0] = True
    large = small | np.array([[random.random() < 0.5 for _ in range(k)] for _ in scores])
    assert (set_nll(log_prob, large) <= set_nll(log_prob, small) + 1e-12).all()
    assert (set_nll(log_prob, large) >= -1e-12).all()
