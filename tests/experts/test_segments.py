"""Sums, means and softmax by bag, against loops in numpy and scipy."""

import numpy as np
import pytest
from scipy.special import softmax

torch = pytest.importorskip("torch")

from pathfuse.experts.segments import segment_mean, segment_softmax, segment_sum  # noqa: E402

SIZES = (1, 4, 2)
INDEX = np.repeat(np.arange(3), SIZES)


def each(values, how):
    return np.stack([how(values[k == INDEX]) for k in range(3)])


def test_against_loops():
    values = np.random.default_rng(0).normal(size=(7, 2))
    packed, index = torch.from_numpy(values), torch.from_numpy(INDEX)
    np.testing.assert_allclose(segment_sum(packed, index, 3), each(values, lambda v: v.sum(0)))
    np.testing.assert_allclose(segment_mean(packed, index, 3), each(values, lambda v: v.mean(0)))
    wanted = np.concatenate([softmax(values[k == INDEX], axis=0) for k in range(3)])
    np.testing.assert_allclose(segment_softmax(packed, index, 3), wanted)


def test_softmax_of_large_scores():
    got = segment_softmax(torch.tensor([[1e4], [1e4], [-1e4]]), torch.tensor([0, 0, 1]), 2)
    assert got[:, 0].tolist() == [0.5, 0.5, 1.0]


def test_gradients():
    values = torch.randn(
        7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    index = torch.from_numpy(INDEX)
    for function in (segment_sum, segment_mean, segment_softmax):
        assert torch.autograd.gradcheck(lambda v, f=function: f(v, index, 3), (values,))
