"""Slope, intercepts and O:E against statsmodels; intervals; what chance alone shows."""

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import norm

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.evaluation.calibration_figures import (
    NumberCalibration,
    OutcomeCalibration,
    enough_of_both,
    interval_of,
    log_odds,
)
from pathfuse.evaluation.intervals import Sampled

I = np.arange(60)  # noqa: E741
P = np.round((37 * I % 61 + 0.5) / 61, 2).clip(0.02, 0.98)
Y = ((7 * I * I + 3 * I) % 11 / 11 < P**1.4).astype(float)
WEIGHTS = np.stack([np.ones(60), 1.0 + I % 3])
# statsmodels 0.15.0: GLM(Y, add_constant(logit(P)), Binomial(), freq_weights=...).fit(tol=1e-14) for
# slope and its intercept; GLM(Y, ones, Binomial(), offset=logit(P), freq_weights=...) for intercept.
SLOPE = [0.49366995468896024, 0.45419363191821194]
INTERCEPT_OF_SLOPE = [0.5462912191581106, 0.4033510859046905]
INTERCEPT = [0.7065142585777799, 0.5354354104962044]
OBSERVED_TO_EXPECTED = [1.229235880398671, 1.1737477268970078]
NOTHING = np.empty(0)


def figures(weights=WEIGHTS):
    return OutcomeCalibration(logit(P), Y).values(weights, NOTHING)[0]


def test_slope_and_intercepts_agree_with_statsmodels():
    found = figures()
    assert found["slope"] == pytest.approx(SLOPE, abs=1e-6)
    assert found["intercept_of_slope"] == pytest.approx(INTERCEPT_OF_SLOPE, abs=1e-6)
    assert found["intercept"] == pytest.approx(INTERCEPT, abs=1e-6)
    assert found["observed_to_expected"] == pytest.approx(OBSERVED_TO_EXPECTED, abs=1e-12)


def test_at_the_level_found_as_many_happen_as_are_predicted():
    rng = np.random.default_rng(0)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=30).astype(float)
    level = figures(weights)["intercept"]
    moved = 1 / (1 + np.exp(-(level[:, None] + logit(P))))
    assert (weights * (Y - moved)).sum(axis=1) == pytest.approx(np.zeros(30), abs=1e-4)


def test_one_outcome_alone_defines_no_slope_and_no_intercept():
    found = OutcomeCalibration(logit(P), np.ones(60)).values(np.ones((1, 60)), NOTHING)[0]
    assert np.isnan([found["slope"][0], found["intercept"][0]]).all()
    assert found["observed_to_expected"][0] == pytest.approx(60 / P.sum())


def test_log_odds_of_one_class_against_the_rest():
    log_prob = log_softmax(np.random.default_rng(1).normal(size=(20, 4)) * 5)
    assert log_odds(log_prob, 2) == pytest.approx(logit(np.exp(log_prob[:, 2])), abs=1e-6)


def test_perfect_predictions_show_the_ici_of_chance():
    rng = np.random.default_rng(2)
    values, expected = [], []
    for seed in range(30):
        p = rng.beta(2, 2, size=150)
        rows = OutcomeCalibration(logit(p), (rng.random(150) < p).astype(float))
        values.append(rows.values(np.ones((1, 150)), NOTHING)[0]["ici"][0])
        expected.append(rows.if_calibrated(np.arange(150), seed)["ici_if_calibrated"])
    error = np.std(values) / np.sqrt(30)
    assert abs(np.mean(values) - np.mean(expected)) < 4 * error
    assert min(expected) > 0.01


def test_patients_with_many_rows_of_one_outcome_leave_more_to_chance():
    p = np.repeat(np.linspace(0.1, 0.9, 40), 10)
    patients, happened = np.repeat(np.arange(40), 10), np.repeat(np.arange(40) % 2, 10)
    rows = OutcomeCalibration(logit(p), happened.astype(float))
    together = rows.if_calibrated(patients, 0)["ici_if_calibrated"]
    apart = rows.if_calibrated(np.arange(400), 0)["ici_if_calibrated"]
    assert together > 1.5 * apart


def test_figures_that_chance_makes_larger_have_no_intervals():
    draws = np.random.default_rng(3).normal(0.08, 0.01, size=300)
    values = np.concatenate([[0.08], draws])
    for name in ("ici", "reliability", "resolution"):
        assert np.isnan(interval_of(name, values, Sampled(50), "auto").low)
    found = interval_of("brier", values, Sampled(50), "auto")
    assert found.low < 0.08 < found.high
    assert np.isnan(interval_of("brier", values[:1], Sampled(50), "auto").low)


def test_two_patients_on_either_side_are_enough():
    happened = np.array([True, True, False, False])
    assert enough_of_both(happened, np.array([0, 1, 2, 3]))
    assert not enough_of_both(happened, np.array([0, 0, 2, 3]))


def test_numbers_have_a_line_a_mean_error_and_shares_below_quantiles():
    rng = np.random.default_rng(4)
    mean = rng.normal(size=200)
    truth = 0.5 + 0.8 * mean + rng.normal(scale=0.7, size=200)
    moments = np.stack([mean, np.full(200, 0.49)], axis=1)
    weights = np.stack([np.ones(200), 1.0 + np.arange(200) % 2])
    found = NumberCalibration(moments, truth).values(weights)
    for k, own in enumerate(weights):
        slope, intercept = np.polyfit(mean, truth, 1, w=np.sqrt(own))
        assert found["slope"][k] == pytest.approx(slope, abs=1e-9)
        assert found["intercept_of_slope"][k] == pytest.approx(intercept, abs=1e-9)
        error = np.average(truth - mean, weights=own)
        assert found["intercept"][k] == pytest.approx(error, abs=1e-12)
        reach = mean + 0.7 * norm.ppf(0.9)
        assert found["below_q90"][k] == pytest.approx(np.average(truth <= reach, weights=own))
