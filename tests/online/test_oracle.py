"""Oracles against searches through everything."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

from pathfuse.online.oracle import best_fixed_mixture, best_sequence, oracle_table


def drawn(n, k, seed=0):
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(4), (n, k))[:, :, 0])


@pytest.mark.parametrize("n_switches", [0, 1, 2, 5])
def test_the_best_sequence_is_the_best_of_all(n_switches):
    table = drawn(6, 3)
    losses = {
        path: -table[np.arange(6), path].mean()
        for path in product(range(3), repeat=6)
        if (np.diff(path) != 0).sum() <= n_switches
    }
    path, loss = best_sequence(table, n_switches)
    assert loss == pytest.approx(min(losses.values()))
    assert losses[tuple(path.tolist())] == pytest.approx(loss)


def test_the_best_mixture_is_the_best():
    table = drawn(200, 4)
    weights, loss = best_fixed_mixture(table)
    other = minimize(
        lambda z: -np.log(np.exp(table) @ (np.exp(z) / np.exp(z).sum())).mean(),
        np.zeros(4),
        tol=1e-12,
    )
    assert loss == pytest.approx(other.fun, abs=2e-6)
    assert weights.sum() == pytest.approx(1)


def test_a_mixture_of_what_would_underflow():
    weights, loss = best_fixed_mixture(np.array([[-900.0, -901.0]] * 3))
    assert loss == pytest.approx(900, abs=1e-3)
    assert weights[0] > 0.99


def test_the_table_tells_who_and_from_when():
    table = np.log([[0.9, 0.2]] * 5 + [[0.1, 0.8]] * 5)
    found = oracle_table(table, ("a", "b"), (1,))
    assert [one.what for one in found] == [
        "best candidate: b",
        "best fixed mixture",
        "best sequence with at most 1 change: a, then b from label 6",
    ]
    assert found[2].nll == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)


def test_candidates_that_slept_are_left_out():
    table = np.array([[-1.0, -0.1], [-1.0, np.nan]])
    assert oracle_table(table, ("a", "b"), (1,))[0].nll == 1.0
    assert oracle_table(np.full((2, 1), np.nan), ("a",)) == []
