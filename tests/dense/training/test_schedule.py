"""The published curve, which climbs back, and the one that ends where training does (defect 2)."""

import math
from itertools import pairwise

import pytest

from pathfuse.dense.training.schedule import rate_share


def curve(epochs, **how):
    return [rate_share(epoch, epochs, **how) for epoch in range(epochs)]


def test_the_published_curve_climbs_back():
    rates = curve(150, parity="paper")
    assert rates[0] == 0  # the first epoch learns nothing
    assert rates[1] == 0.5
    assert max(rates) == rates[2] == 1
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert all(a < b for a, b in pairwise(rates[100:]))
    assert rates[-1] == pytest.approx(0.5)


def test_the_right_curve_falls_to_the_end():
    rates = curve(150)
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(a > b for a, b in pairwise(rates[2:]))
    assert rates[-1] == pytest.approx((1 - math.cos(math.pi / 148)) / 2)
    assert rates[-1] < 2e-4
    assert rates[76] == pytest.approx(0.5)  # half way between epochs 2 and 150


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 100, 400])
@pytest.mark.parametrize("warmup", [0, 2, 5])
def test_any_length(epochs, warmup):
    rates = curve(epochs, warmup=warmup)
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == 1
    top = rates.index(1)
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)
