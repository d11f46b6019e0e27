"""Reliability curves: by hand, against scikit-survival, and on simulated predictions that are
right."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import norm
from sksurv.nonparametric import kaplan_meier_estimator

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.reliability import (
    LEVELS,
    classification_curve,
    grouped,
    interval_curve,
    kaplan_meier,
    middle_edge,
    survival_curve,
)


def members(groups):
    return [sorted(rows.tolist()) for rows in groups]


def near_the_diagonal(curve, variance=None):
    """Within four standard errors of a share."""
    variance = curve.expected * (1 - curve.expected) if variance is None else variance
    return np.abs(curve.observed - curve.expected) <= 4 * np.sqrt(variance / curve.n)


# Groups


def test_groups_of_equal_size_by_prediction():
    assert members(grouped(np.array([0.9, 0.1, 0.5, 0.3, 0.2, 0.8]), 3)) == [[1, 4], [2, 3], [0, 5]]


def test_equal_predictions_share_a_group():
    assert members(grouped(np.array([0.1, 0.5, 0.5, 0.5, 0.9, 0.95]), 3)) == [
        [0],
        [1, 2, 3],
        [4, 5],
    ]
    assert members(grouped(np.full(7, 0.4), 3)) == [list(range(7))]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=60), st.integers(1, 10))
def test_groups_are_a_partition_in_the_order_of_predictions(values, n_groups):
    expected = np.array(values) / 8
    groups = grouped(expected, n_groups)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(values)))
    assert len(groups) <= n_groups
    for one, other in pairwise(groups):
        assert expected[one].max() < expected[other].min()


# Classes


def test_confidence_against_accuracy_by_hand():
    """Fewer rows than groups: every distinct confidence is a point; the third and fourth row share
    one."""
    prob = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.6, 0.2, 0.2]])
    curve = classification_curve(np.log(prob), np.eye(3, dtype=bool)[[0, 0, 2, 1]])
    np.testing.assert_allclose(curve.expected, [0.5, 0.6, 0.8])
    np.testing.assert_allclose(curve.observed, [1.0, 0.5, 0.0])
    assert curve.n.tolist() == [1, 2, 1]


def test_two_classes_show_the_second():
    prob = np.array([0.1, 0.3, 0.3, 0.9])
    curve = classification_curve(
        np.log(np.stack([1 - prob, prob], axis=1)), np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    )
    np.testing.assert_allclose(curve.expected, [0.1, 0.3, 0.9])
    np.testing.assert_allclose(curve.observed, [0.0, 0.5, 1.0])
    assert curve.n.tolist() == [1, 2, 1]


@pytest.mark.parametrize("k", [2, 4])
def test_calibrated_predictions_lie_on_the_diagonal_and_sharper_ones_below(k):
    rng = np.random.default_rng(k)
    log_prob = log_softmax(1.5 * rng.normal(size=(4000, k)), axis=1)
    truth = (np.exp(log_prob).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    observed = np.eye(k, dtype=bool)[truth]
    curve = classification_curve(log_prob, observed)
    assert curve.n.tolist() == [400] * 10
    assert near_the_diagonal(curve).all()
    shouting = classification_curve(log_softmax(3 * log_prob, axis=1), observed)
    assert shouting.n.sum() == 4000
    assert not near_the_diagonal(shouting).all()
    assert shouting.observed[-2] < shouting.expected[-2]


# Survival


@given(
    st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1, max_size=40).filter(
        lambda rows: any(event for _, event in rows)
    )
)
def test_kaplan_meier_is_that_of_scikit_survival(rows):
    """Few distinct times: deaths tie with deaths and with censorings."""
    time, event = np.array([t for t, _ in rows], dtype=float), np.array([e for _, e in rows])
    at = np.arange(0, 10, 0.5)
    times, survival = kaplan_meier_estimator(event, time)
    theirs = np.concatenate([[1.0], survival])[np.searchsorted(times, at, side="right")]
    np.testing.assert_allclose(kaplan_meier(time, event.astype(float), at), theirs, atol=1e-12)


def test_kaplan_meier_by_hand():
    """At time 2 one of four dies and one leaves; at 3 one of two dies."""
    time, event = np.array([2.0, 2.0, 3.0, 5.0]), np.array([1.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(
        kaplan_meier(time, event, np.array([0, 1.9, 2, 2.9, 3, 9])),
        [1, 1, 0.75, 0.75, 0.375, 0.375],
    )


def followed(time, event, edges):
    time, event = np.array(time, dtype=float), np.array(event, dtype=float)
    return SurvivalTruth(time, event, np.array(edges), (Censoring.fit(time, event),))


def test_a_survival_curve_by_hand():
    """Ten patients in five pairs of like prediction; the pair's Kaplan-Meier at edge 10 is 0, 1/2
    or 1."""
    time = np.array([3, 10, 4, 12, 10, 11, 13, 14, 12, 12])
    event = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0, 0])
    alive = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
    prob = np.stack([(1 - alive) / 2, (1 - alive) / 2, alive / 4, 3 * alive / 4], axis=1)
    order = np.random.default_rng(0).permutation(10)
    truth = followed(time[order], event[order], [0.0, 5.0, 10.0, 20.0])
    curve = survival_curve(np.log(prob[order]), truth, 10.0)
    np.testing.assert_allclose(curve.expected, [0.15, 0.35, 0.55, 0.725, 0.85])
    np.testing.assert_allclose(
        curve.observed, [0, 0.5, 0.5, 1, 1]
    )  # a death at the edge is a death by the edge
    assert curve.n.tolist() == [2] * 5


def test_right_survival_predictions_lie_on_the_diagonal():
    rng = np.random.default_rng(1)
    log_prob = log_softmax(rng.normal(size=(3000, 4)), axis=1)
    bins = (np.exp(log_prob).cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    death, leaving = 10 * bins + 10 * rng.random(3000), rng.exponential(40, size=3000)
    truth = followed(np.minimum(death, leaving), death <= leaving, [0.0, 10.0, 20.0, 30.0, np.inf])
    curve = survival_curve(log_prob, truth, 20.0)
    # Greenwood's variance is at most that of the share among those who could not leave before the
    # edge
    assert near_the_diagonal(curve, curve.expected * (1 - curve.expected) / np.exp(-20 / 40)).all()
    early = survival_curve(log_prob, truth, 10.0)
    np.testing.assert_allclose(
        np.average(early.expected, weights=early.n), survival_at_edges(log_prob)[:, 0].mean()
    )
    assert not near_the_diagonal(survival_curve(log_prob[::-1], truth, 20.0)).all()


def test_the_middle_edge():
    time, event = [1, 2, 3, 4, 5, 6, 7, 8], [1] * 8
    assert (
        middle_edge(followed(time, event, [0.0, 2.0, 5.0, 7.5, np.inf])) == 5.0
    )  # survival 0.75, 0.375, 0.125
    assert middle_edge(followed(time, event, [0.0, 2.0, 7.5, np.inf])) == 2.0
    assert (
        middle_edge(followed(time, event, [0.0, 9.0, np.inf])) is None
    )  # nobody is followed that long


# Numbers


def test_coverage_of_central_intervals_by_hand():
    """z-scores 0, 0.5, -1, 2: the interval of level p reaches to z with P(|Z| <= z) = p."""
    moments, target = np.tile([5.0, 4.0], (4, 1)), 5 + 2 * np.array([0.0, 0.5, -1.0, 2.0])
    curve = interval_curve(moments, target)
    np.testing.assert_allclose(curve.expected, np.arange(0.1, 0.95, 0.1))
    np.testing.assert_allclose(
        curve.observed, [0.25] * 3 + [0.5] * 3 + [0.75] * 3
    )  # reached at 0.383, 0.683, 0.954
    assert curve.n.tolist() == [4] * 9


def test_right_gaussians_lie_on_the_diagonal_and_too_sure_ones_below():
    rng = np.random.default_rng(2)
    moments = np.stack([rng.normal(size=5000), rng.uniform(0.1, 4, size=5000)], axis=1)
    target = moments[:, 0] + np.sqrt(moments[:, 1]) * rng.normal(size=5000)
    assert near_the_diagonal(interval_curve(moments, target)).all()
    sure = interval_curve(moments * [1.0, 0.25], target)
    assert not near_the_diagonal(sure).any()
    inside = 2 * norm.cdf(norm.ppf((1 + LEVELS) / 2) / 2) - 1
    assert (np.abs(sure.observed - inside) <= 4 * np.sqrt(inside * (1 - inside) / 5000)).all()
