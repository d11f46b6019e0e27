"""Calibration of survival: Kaplan-Meier against lifelines, D-calibration against SurvivalEVAL."""

import numpy as np
import pytest

from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.survival_calibration import (
    EdgeCalibration,
    d_calibration,
    survival_at_own_time,
)

J = np.arange(40)
TIME = np.round(1 + (17 * J % 41) * 0.9, 1)
EVENT = (J % 3 != 1).astype(float)
HAZARD = np.stack([0.05 + (7 * J % 13) / 40, 0.1 + (5 * J % 11) / 30, 0.15 + (3 * J % 7) / 20], axis=1)  # fmt: skip
SURVIVAL = np.cumprod(1 - HAZARD, axis=1)
EDGES = np.array([0.0, 10.0, 20.0, 30.0])
LOG_PROB = np.log(np.concatenate([-np.diff(SURVIVAL, axis=1, prepend=1.0), SURVIVAL[:, -1:]], axis=1))  # fmt: skip
TRUTH = SurvivalTruth(TIME, EVENT, EDGES, ())
WEIGHTS = np.stack([np.ones(40), 1.0 + J % 3])
# lifelines 0.30.3: 1 - KaplanMeierFitter().fit(TIME, EVENT, weights=...).predict(edge).
OBSERVED = [
    [0.209090909090909, 0.41983471074380185, 0.6826446280991737],
    [0.18203737191078906, 0.40583828468096095, 0.6905407732713338],
]
# SurvivalEVAL 0.9.0: d_calibration(np.interp(min(t, 30), EDGES, [1, *S]), event until 30).
STATISTIC, P_VALUE = 2.4437327368247423, 0.9823585874607446
BINS = [
    5.03329753, 3.23238567, 2.4022011, 3.68835258, 5.98453332, 4.29217542, 4.84176359, 3.42403982, 3.55062548,
    3.55062548,
]  # fmt: skip


def test_observed_by_expected_at_each_edge():
    rows = EdgeCalibration(LOG_PROB, TRUTH)
    observed, expected = rows.values(WEIGHTS)
    assert rows.edges.tolist() == [10, 20, 30]
    assert observed == pytest.approx(np.array(OBSERVED), abs=1e-9)
    assert expected[0] == pytest.approx((1 - SURVIVAL).mean(axis=0), abs=1e-12)
    weighted = np.average(1 - SURVIVAL, axis=0, weights=WEIGHTS[1])
    assert expected[1] == pytest.approx(weighted, abs=1e-12)


def test_edges_that_a_resample_does_not_reach_are_undefined():
    weights = np.where(TIME < 25, 1.0, 0.0)[None]
    observed, _ = EdgeCalibration(LOG_PROB, TRUTH).values(weights)
    assert np.isnan(observed[0]).tolist() == [False, False, True]


def test_d_calibration_agrees_with_survivaleval():
    own, event = survival_at_own_time(LOG_PROB, TRUTH)
    assert event.sum() == 22
    found = d_calibration(own, event, J)
    assert found.statistic == pytest.approx(STATISTIC, abs=1e-9)
    assert found.p_value == pytest.approx(P_VALUE, abs=1e-9)
    assert found.share[::-1] == pytest.approx(np.array(BINS) / 40, abs=1e-9)


def test_rows_of_one_patient_count_as_one():
    own, event = survival_at_own_time(LOG_PROB, TRUTH)
    once = d_calibration(own, event, J)
    thrice = d_calibration(np.tile(own, 3), np.tile(event, 3), np.tile(J, 3))
    assert thrice.statistic == pytest.approx(once.statistic, abs=1e-9)


def test_times_of_the_predictions_themselves_are_calibrated_and_others_are_not():
    rng = np.random.default_rng(0)
    n = 4000
    hazard = rng.uniform(0.1, 0.5, size=(n, 4))
    survival = np.concatenate([np.ones((n, 1)), np.cumprod(1 - hazard, axis=1)], axis=1)
    edges = np.arange(5.0)
    level = rng.random(n)
    reached = [np.interp(-u, -s, edges, right=9.0) for u, s in zip(level, survival, strict=True)]
    end = rng.uniform(0.5, 6, size=n)
    time, event = np.minimum(reached, end), (np.array(reached) <= end).astype(float)
    log_prob = np.log(np.concatenate([-np.diff(survival, axis=1), survival[:, -1:]], axis=1))
    truth = SurvivalTruth(time, event, edges, ())
    found = d_calibration(*survival_at_own_time(log_prob, truth), np.arange(n))
    assert found.p_value > 0.001
    halved = SurvivalTruth(time / 2, event, edges, ())
    assert d_calibration(*survival_at_own_time(log_prob, halved), np.arange(n)).p_value < 1e-6


def test_nobody_is_followed_beyond_the_last_finite_edge():
    truth = SurvivalTruth(np.array([5.0, 99.0]), np.ones(2), np.array([0.0, 10.0, np.inf]), ())
    own, event = survival_at_own_time(np.log(np.full((2, 3), 1 / 3)), truth)
    assert own == pytest.approx([5 / 6, 2 / 3])
    assert event.tolist() == [1, 0]
