"""``null_model``: the best constant prediction of the fit rows, whatever the endpoint."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.distributions.likelihood import set_nll
from pathfuse.evaluation.reliability import kaplan_meier
from pathfuse.fusion.null_model import for_all, null_log_prob, null_moments


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60))
def test_of_classes_it_is_their_frequencies(labels):
    observed = np.eye(4, dtype=bool)[[*labels, 0, 1, 2, 3]]
    assert np.exp(null_log_prob(observed)) == pytest.approx(observed.mean(axis=0), abs=1e-9)


def test_of_censored_follow_up_it_is_kaplan_meier_on_the_bins():
    rng = np.random.default_rng(0)
    edges, n = np.arange(1.0, 6.0), 300
    # Events lie inside bins, censoring on their ends: then "outlived its bin" is all that a
    # censored case says.
    bins, event = rng.integers(0, 6, size=n), rng.random(n) < 0.6
    event |= bins == 5  # beyond the last edge
    outcome = np.arange(6)
    observed = np.where(event[:, None], outcome == bins[:, None], outcome > bins[:, None])
    time = np.where(event, bins + 0.5, bins + 1.0)
    died = event & (bins < 5)
    prob = np.exp(null_log_prob(observed))
    survival = 1 - np.cumsum(prob)[:5]
    assert survival == pytest.approx(kaplan_meier(time, died.astype(float), edges), abs=1e-6)


def test_no_other_constant_has_a_higher_likelihood_when_half_a_bin_was_seen():
    rng = np.random.default_rng(1)
    observed = np.array([[0, 1, 0], [1, 0, 0], [0.5, 1, 1], [0, 0.5, 1], [0, 0, 1]], dtype=float)
    best = set_nll(for_all(null_log_prob(observed), 5), observed).mean()
    for other in np.log(rng.dirichlet(np.ones(3), size=200)):
        assert best <= set_nll(for_all(other, 5), observed).mean() + 1e-9


def test_an_outcome_without_a_row_counts_as_half_a_row():
    prob = np.exp(null_log_prob(np.eye(3, dtype=bool)[[0, 0, 1, 1]]))
    assert prob == pytest.approx(np.array([0.5, 0.5, 0.125]) / 1.125, abs=1e-9)


def test_moments_are_those_of_the_known_values():
    target = np.array([[1.0, np.nan, np.nan], [3.0, 4.0, np.nan], [5.0, 8.0, np.nan]])
    assert null_moments(target).tolist() == pytest.approx(
        [3.0, 6.0, np.nan, 8 / 3, 4.0, np.nan], nan_ok=True
    )
