"""Bounds as formulas; that they hold is tested with each method."""

import numpy as np
import pytest

from pathfuse.online.bounds import bayes_bound, boa_worst_case, fixed_share_bound
from pathfuse.online.fixed_share import FixedShare
from pathfuse.online.stream import arrivals, follow, late_by


def test_fixed_share_pays_for_the_probability_of_the_sequence(probability):
    prior, path = np.array([0.6, 0.4]), [0, 0, 1, 1, 0]
    bound = fixed_share_bound(prior, (0.1, 0.3), path)
    # The bound counts a drawn candidate only where it changed; the chain may draw the same again.
    least = min(-np.log(probability(path, prior, rate)) for rate in (0.1, 0.3))
    assert np.log(2) + least < bound < np.log(2) + least + 1


def test_never_changing_costs_what_the_bayes_mixture_costs():
    prior = np.array([0.5, 0.3, 0.2])
    assert fixed_share_bound(prior, (0.0,), [1] * 100) == pytest.approx(bayes_bound(prior, 1))
    assert fixed_share_bound(prior, (0.0,), [1, 2]) == np.inf


def test_the_worst_case_of_boa_grows_with_the_square_root():
    prior = np.full(2, 0.5)
    calm, long = boa_worst_case(prior, 0, 100), boa_worst_case(prior, 0, 400)
    assert 1.5 < long / calm < 3


def test_delay_has_no_such_bound():
    """As the page says: a sequence that turns every D samples leads one copy astray."""
    turns = np.repeat(np.tile([0, 1], 10), 20)
    table = np.where(turns[:, None] == np.arange(2), np.log(0.9), np.log(0.1))
    prior = np.array([0.5, 0.5])
    awake = np.ones(table.shape, dtype=bool)

    def lost(delay):
        order = arrivals(late_by(len(table), delay))
        weights = follow(FixedShare(prior), table, awake, order).sample_weights
        return -np.log((weights * np.exp(table)).sum(axis=1)).sum()

    bound = fixed_share_bound(prior, FixedShare(prior).rates.tolist(), turns.tolist())
    rival = -table[np.arange(len(table)), turns].sum()
    assert lost(0) <= rival + bound
    assert lost(20) > rival + bound
