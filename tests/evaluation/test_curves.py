"""Curves: by hand, against scikit-learn and against scikit-survival."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score, roc_curve
from sksurv.compare import compare_survival
from sksurv.nonparametric import kaplan_meier_estimator

from pathfuse.evaluation.curves import (
    GRID,
    binned,
    divergence,
    log_rank,
    mean_roc,
    risk_groups,
    roc_points,
    spread,
    survivors,
    thinned,
)


def follow_up(n, seed, decimals):
    rng = np.random.default_rng(seed)
    return (
        rng.exponential(size=n).round(decimals) + 0.1,
        (rng.random(n) < 0.6).astype(float),
        rng.integers(3, size=n),
    )


def surv(time, event):
    return np.array(
        list(zip(event == 1, time, strict=True)), dtype=[("event", bool), ("time", float)]
    )


@given(st.integers(0, 1000), st.integers(3, 80), st.sampled_from([0, 1, 8]))
def test_roc_equals_scikit_learn(seed, n, decimals):
    rng = np.random.default_rng(seed)
    score, positive = rng.normal(size=n).round(decimals), rng.random(n) < 0.4
    positive[:2] = True, False
    curve = roc_points(score, positive)
    x, y, _ = roc_curve(positive, score)
    np.testing.assert_allclose(curve.false_positive, x)
    np.testing.assert_allclose(curve.true_positive, y)
    assert np.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(
        roc_auc_score(positive, score)
    )


def test_roc_by_hand():
    curve = roc_points(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False]))
    assert curve.false_positive.tolist() == [0, 0, 0.5, 0.5, 1]
    assert curve.true_positive.tolist() == [0, 0.5, 0.5, 1, 1]
    tied = roc_points(np.zeros(4), np.array([True, False, True, False]))
    assert (tied.false_positive.tolist(), tied.true_positive.tolist()) == ([0, 1], [0, 1])


@pytest.mark.parametrize("positive", [np.ones(3, dtype=bool), np.zeros(3, dtype=bool)])
def test_roc_of_one_class_is_undefined(positive):
    assert roc_points(np.arange(3.0), positive) is None
    assert mean_roc(np.arange(3.0), positive, np.zeros(3, dtype=int), np.arange(3)) is None


def test_folds_are_averaged_and_never_pooled():
    # Within each fold the ranking is perfect; pooled it is not, since the folds differ in level.
    score = np.array([1.0, 0.0, 11.0, 10.0])
    positive, folds = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    curve = mean_roc(score, positive, folds, np.arange(4))
    assert np.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(1)
    assert roc_auc_score(positive, score) < 1


def test_folds_weigh_by_patients_and_folds_of_one_class_are_left_out():
    score = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 5.0])
    positive = np.array([True, False, False, True, False, True])
    folds, patients = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 3, 4, 5])
    curve = mean_roc(score, positive, folds, patients)
    # Fold 0 is perfect (3 patients), fold 1 is all wrong (2 patients): 3/5.
    assert np.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(0.6, abs=0.01)
    assert (curve.false_positive[0], curve.true_positive[0]) == (0, 0)


def test_long_curves_are_thinned():
    rng = np.random.default_rng(0)
    positive = rng.random(5000) < 0.5
    curve = roc_points(rng.normal(size=5000) + positive, positive)
    thin = thinned(curve)
    assert len(thin.false_positive) == len(GRID) + 1 < len(curve.false_positive)
    area = np.trapezoid(thin.true_positive, thin.false_positive)
    assert area == pytest.approx(np.trapezoid(curve.true_positive, curve.false_positive), abs=1e-3)
    assert thinned(thin) is not curve
    short = roc_points(np.arange(4.0), np.array([True, False, True, False]))
    assert thinned(short) is short


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("seed", range(3))
def test_survivors_equal_scikit_survival(seed, decimals):
    time, event, _ = follow_up(80, seed, decimals)
    curve = survivors(time, event)
    times, survival = kaplan_meier_estimator(event == 1, time)
    np.testing.assert_allclose(curve.times, times)
    np.testing.assert_allclose(curve.survival, survival)
    assert curve.at_risk.tolist() == [(time >= t).sum() for t in times]


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("seed", range(3))
def test_log_rank_equals_scikit_survival(seed, decimals):
    time, event, group = follow_up(90, seed, decimals)
    test = log_rank(time, event, group, np.zeros(90, dtype=int))
    statistic, p_value = compare_survival(surv(time, event), group)
    assert test.statistic == pytest.approx(statistic)
    assert test.p_value == pytest.approx(p_value)
    assert test.degrees == 2


def test_a_stratified_log_rank_adds_up_over_strata():
    """Two strata of equal content: excess deaths and variances double, so the statistic doubles."""
    time, event, group = follow_up(60, 1, 1)
    once = log_rank(time, event, group, np.zeros(60, dtype=int))
    twice = log_rank(np.tile(time, 2), np.tile(event, 2), np.tile(group, 2), np.repeat([0, 1], 60))
    assert twice.statistic == pytest.approx(2 * once.statistic)


def test_log_rank_needs_groups_and_events():
    time, strata = np.arange(1.0, 5), np.zeros(4, dtype=int)
    assert log_rank(time, np.ones(4), np.zeros(4, dtype=int), strata) is None
    assert log_rank(time, np.zeros(4), np.array([0, 0, 1, 1]), strata) is None


def test_risk_groups_are_thirds_inside_each_fold():
    risk = np.array([1.0, 2, 3, 4, 5, 6, 100, 200, 300])
    folds = np.array([0] * 6 + [1] * 3)
    assert risk_groups(risk, folds).tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2]
    assert set(risk_groups(np.ones(5), np.zeros(5, dtype=int)).tolist()) == {1}


def test_divergence_by_hand():
    one, other = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    mean = (one + other) / 2
    expected = (entropy(one, mean) + entropy(other, mean)) / 2
    said = np.log(np.stack([one, other]))[None]
    assert divergence(said) == pytest.approx([expected])
    assert divergence(np.log(np.stack([one, one]))[None]) == pytest.approx([0], abs=1e-15)
    opposite = np.maximum(np.log(np.eye(2) + 1e-300), -16)[None]
    assert divergence(opposite)[0] == pytest.approx(np.log(2), abs=1e-4)


def test_absent_experts_say_nothing():
    said = np.log(np.array([[[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]]))
    gap = said.copy()
    gap[0, 2] = np.nan
    assert divergence(gap) == pytest.approx(divergence(said[:, :2]))
    gap[0, 1] = np.nan
    assert np.isnan(divergence(gap)).all()
    values = np.array([[1.0, 3.0, np.nan], [1.0, np.nan, np.nan]])
    np.testing.assert_allclose(spread(values), [1.0, np.nan])


def test_bins_are_alike_in_the_first_measure():
    rng = np.random.default_rng(0)
    x = rng.random(100)
    bins = binned(np.append(x, np.nan), np.append(3 * x, 1.0))
    assert bins.n.tolist() == [10] * 10
    np.testing.assert_allclose(bins.y, 3 * bins.x)
    assert (np.diff(bins.x) > 0).all()
    assert len(binned(np.full(3, np.nan), np.ones(3)).n) == 0
