"""Net benefit against dcurves, and its resamples against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.evaluation.net_benefit import (
    NetBenefitByHorizon,
    NetBenefitOfClass,
    figure_at,
    threshold_grid,
)

ONE = np.ones((1, 60))


def cohort():
    """Made by numpy alone, so that the script below has the same numbers."""
    rng = np.random.default_rng(18)
    n = 60
    y = rng.integers(2, size=n)
    p = np.round(1 / (1 + np.exp(-(1.5 * (y - 0.5) + rng.normal(size=n)))), 2)
    time = np.round(rng.exponential(10, size=n), 1) + 0.1
    event = rng.integers(2, size=n)
    noise = 0.15 * rng.normal(size=n)
    risk = np.round(np.clip(1 / (1 + time / 8) + noise, 0.02, 0.98), 2)
    return y, np.clip(p, 0.01, 0.99), time, event, risk


def at(scores, method, weights=ONE):
    values = scores.values(weights)
    return [float(values[figure_at(method, t)][0]) for t in scores.thresholds]


def test_two_classes_as_dcurves():
    """dcurves 1.1.7, of ``cohort()``:

    dca(DataFrame({"y": y, "p": p}), "y", ["p"], thresholds=[0.1, 0.3, 0.5, 0.7]).net_benefit
    """
    y, p, *_ = cohort()
    scores = NetBenefitOfClass({"p": p}, np.array([0.1, 0.3, 0.5, 0.7]), y == 1)
    assert at(scores, "p") == pytest.approx([0.629630, 0.545238, 0.466667, 0.177778], abs=1e-6)
    everybody = [0.629630, 0.523810, 0.333333, -0.111111]
    assert at(scores, "treat_all") == pytest.approx(everybody, abs=1e-6)
    assert at(scores, "treat_none") == [0.0] * 4


def test_survival_as_dcurves():
    """dcurves 1.1.7, of ``cohort()``:

    dca(DataFrame({"t": time, "e": event, "r": risk}), "e", ["r"], thresholds=[0.1, 0.3, 0.5],
        time=8.0, time_to_outcome_col="t").net_benefit
    """
    *_, time, event, risk = cohort()
    scores = NetBenefitByHorizon({"r": risk}, np.array([0.1, 0.3, 0.5]), time, event, 8.0)
    theirs = [0.2583633265028668, 0.15931188508447885, 0.14874306544206894]
    assert at(scores, "r") == pytest.approx(theirs, abs=1e-9)
    everybody = [0.252270011679388, 0.03863287215921318, -0.3459139789771015]
    assert at(scores, "treat_all") == pytest.approx(everybody, abs=1e-9)


@pytest.mark.parametrize("censored", [False, True])
def test_weights_are_copies_of_rows(censored):
    y, p, time, event, risk = cohort()
    thresholds = np.array([0.1, 0.3, 0.5])
    drawn = np.random.default_rng(0).integers(4, size=(3, 60)).astype(float)

    def scores(rows):
        if censored:
            own = {"m": risk[rows]}
            return NetBenefitByHorizon(own, thresholds, time[rows], event[rows], 8.0)
        return NetBenefitOfClass({"m": p[rows]}, thresholds, y[rows] == 1)

    weighted = scores(np.arange(60)).values(drawn)
    for b, counts in enumerate(drawn.astype(int)):
        rows = np.repeat(np.arange(60), counts)
        copied = scores(rows).values(np.ones((1, len(rows))))
        for name, values in weighted.items():
            assert values[b] == pytest.approx(copied[name][0], abs=1e-12)


def test_without_censoring_both_are_the_same():
    y, p, *_ = cohort()
    thresholds = np.array([0.2, 0.6])
    early = NetBenefitByHorizon({"p": p}, thresholds, np.where(y, 1.0, 9.0), np.ones(60), 5.0)
    plain = NetBenefitOfClass({"p": p}, thresholds, y == 1)
    assert at(early, "p") == pytest.approx(at(plain, "p"))


def test_the_mean_is_that_over_the_range():
    y, p, *_ = cohort()
    scores = NetBenefitOfClass({"p": p}, np.array([0.1, 0.2, 0.4]), y == 1)
    low, middle, high = at(scores, "p")
    area = 0.1 * (low + middle) / 2 + 0.2 * (middle + high) / 2
    assert scores.values(ONE)["p"][0] == pytest.approx(area / 0.3)


def test_a_probability_on_the_threshold_counts():
    log_prob = np.log([0.3])  # comes back as 0.3 or the number next to it
    scores = NetBenefitOfClass({"p": np.exp(log_prob)}, np.array([0.3, 0.31]), np.array([True]))
    assert at(scores, "p", np.ones((1, 1))) == [1.0, 0.0]


@given(st.floats(0.001, 0.99), st.floats(0.001, 0.99))
def test_a_grid_spans_its_range(one, other):
    low, high = sorted((one, other))
    if high - low < 1e-3:
        return
    grid = threshold_grid(f"{low}:{high}")
    assert (grid[0], grid[-1]) == pytest.approx((low, high))
    assert 11 <= len(grid) <= 51
    assert (np.diff(grid) > 0).all()


REFUSED = ("0.5", "0:0.5", "0.5:1", "0.5:0.1", "0.2:0.2", "a:b", "", "1:2:3", "nan:0.5")


@pytest.mark.parametrize("text", REFUSED)
def test_other_ranges_are_refused(text):
    with pytest.raises(InputError, match="two numbers between 0 and 1, the lower first"):
        threshold_grid(text)
