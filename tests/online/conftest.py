"""What the tests of weighing share: sequences of labels, and what methods lose on them."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

LEAST = -16.0


@st.composite
def _tables_with_prior(draw, most_labels=25, most_candidates=5, asleep=False):
    """Log-likelihoods of any labels under any candidates (the adversary chooses), and a prior."""
    n = draw(st.integers(1, most_labels))
    k = draw(st.integers(1, most_candidates))
    cells = st.floats(LEAST, 0.0)
    if asleep:
        cells = st.one_of(cells, st.just(float("nan")))
    table = draw(arrays.arrays(np.float64, (n, k), elements=cells))
    raw = draw(arrays.arrays(np.float64, k, elements=st.floats(0.05, 1.0)))
    return table, raw / raw.sum()


def _losses_of(weigher, table):
    """Loss of the mixture at each label; 0 where all sleep."""
    state, losses = weigher.start(), []
    for said in table:
        awake = ~np.isnan(said)
        weights = weigher.weights(state, awake)
        assert not weights[~awake].any()
        if awake.any():
            assert abs(weights.sum() - 1) < 1e-9
            losses.append(-np.log(weights[awake] @ np.exp(said[awake])))
        else:
            losses.append(0.0)
        state = weigher.learn(state, said)
    return np.array(losses)


def _probability(path, prior, rate):
    """Of a sequence: it keeps its candidate, or draws one (perhaps the same) from the prior."""
    value = prior[path[0]]
    for before, after in pairwise(path):
        value *= rate * prior[after] + (1 - rate) * (before == after)
    return value


def _brute_force(table, prior, rates):
    """The Bayes mixture over all sequences, one by one: its weights before each label."""
    n, k = table.shape
    found = np.zeros((n, k))
    for t in range(n):
        for path in product(range(k), repeat=t + 1):
            seen = np.exp(sum(table[s, path[s]] for s in range(t)))
            found[t, path[t]] += seen * np.mean([_probability(path, prior, a) for a in rates])
    return found / found.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def tables_with_prior():
    return _tables_with_prior


@pytest.fixture(scope="session")
def losses_of():
    return _losses_of


@pytest.fixture(scope="session")
def probability():
    return _probability


@pytest.fixture(scope="session")
def brute_force():
    return _brute_force
