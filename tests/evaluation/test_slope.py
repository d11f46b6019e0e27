"""The calibration slope: against scikit-learn and closed forms, and what its interval covers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pathfuse.calibration.temperature import best_temperature
from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.survival import Survival
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.intervals import percentile_interval
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.slope import (
    SLOPE,
    LinearSlope,
    PowerSlope,
    calibration_slope,
    of_hazards,
    two_outcomes,
)

EXACT = {"C": np.inf, "tol": 1e-10, "max_iter": 1000}

CLASSES = Multiclass(("a", "b"))


def binary(n, slope, rng, intercept=0.0):
    logit = rng.normal(scale=2, size=n)
    happened = rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * logit)))
    log_prob = log_softmax(np.stack([np.zeros(n), logit], axis=1))
    return log_prob, np.eye(2, dtype=bool)[happened.astype(int)], logit, happened


def test_two_outcomes_agree_with_logistic_regression():
    log_prob, observed, logit, happened = binary(500, 0.6, np.random.default_rng(0), 0.4)
    scores = two_outcomes(log_prob, observed)
    model = LogisticRegression(**EXACT).fit(logit[:, None], happened)
    assert scores.start == pytest.approx([model.intercept_[0], model.coef_[0, 0]], abs=1e-5)
    weights = np.random.default_rng(1).multinomial(500, np.full(500, 1 / 500), size=5).astype(float)
    expected = [
        LogisticRegression(**EXACT).fit(logit[:, None], happened, w).coef_[0, 0] for w in weights
    ]
    assert scores.values(weights)[SLOPE] == pytest.approx(expected, abs=1e-4)


def test_the_slope_does_not_depend_on_which_class_is_positive():
    log_prob, observed, *_ = binary(200, 1.3, np.random.default_rng(2))
    one, other = (
        two_outcomes(log_prob[:, order], observed[:, order]).start[1] for order in ([0, 1], [1, 0])
    )
    assert one == pytest.approx(other, abs=1e-8)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_of_several_classes_it_is_the_reciprocal_of_the_best_temperature(power):
    rng = np.random.default_rng(3)
    log_prob = log_softmax(rng.normal(size=(800, 4)))
    prob = np.exp(log_softmax(power * log_prob))
    observed = np.eye(4, dtype=bool)[[rng.choice(4, p=p) for p in prob]]
    slope = PowerSlope(log_prob, observed).values(np.ones((1, 800)))[SLOPE][0]
    assert slope == pytest.approx(1 / best_temperature(log_prob, observed), rel=2e-3)


def test_predictions_without_information_have_a_slope_near_zero_not_none():
    rng = np.random.default_rng(4)
    log_prob, observed = (
        log_softmax(rng.normal(size=(400, 3))),
        np.eye(3, dtype=bool)[rng.integers(3, size=400)],
    )
    assert abs(PowerSlope(log_prob, observed).values(np.ones((1, 400)))[SLOPE][0]) < 0.2


def test_separated_rows_define_no_slope():
    logit = np.linspace(-3, 3, 40)
    log_prob = log_softmax(np.stack([np.zeros(40), logit], axis=1))
    observed = np.eye(2, dtype=bool)[(logit > 0).astype(int)]
    assert np.isnan(two_outcomes(log_prob, observed).values(np.ones((1, 40)))[SLOPE]).all()


def test_of_numbers_it_is_the_line_of_least_squares():
    rng = np.random.default_rng(5)
    mean = rng.normal(size=50)
    truth = 0.7 * mean + 3 + rng.normal(size=50)
    weights = np.stack([np.ones(50), rng.integers(0, 3, size=50).astype(float)])
    expected = [np.polyfit(mean, truth, 1, w=np.sqrt(w))[0] for w in weights]
    assert LinearSlope(mean, truth).values(weights)[SLOPE] == pytest.approx(expected)
    assert np.isnan(LinearSlope(np.ones(50), truth).values(weights)[SLOPE]).all()


def follow_up(n, slope, rng):
    """Cases whose true hazard logits are ``slope`` times the predicted ones; some are censored."""
    logit = rng.normal(-1.5, 1, size=(n, 4))
    died = rng.random((n, 4)) < 1 / (1 + np.exp(-slope * logit))
    event_bin = np.where(died.any(axis=1), died.argmax(axis=1), 4)
    leaves = rng.integers(0, 6, size=n)
    event = (event_bin <= leaves) | (event_bin == 4) & (leaves >= 4)
    bins, outcome = np.where(event, event_bin, leaves), np.arange(5)
    observed = np.where(event[:, None], outcome == bins[:, None], outcome > bins[:, None])
    return event_distribution(logit), observed, logit, event & (bins < 4), bins


def test_of_hazards_it_is_logistic_regression_on_the_bins_at_risk():
    log_prob, observed, logit, died, bins = follow_up(600, 0.5, np.random.default_rng(6))
    x = np.concatenate([logit[i, : min(b + 1, 4)] for i, b in enumerate(bins)])
    y = np.concatenate(
        [np.arange(min(b + 1, 4)) == (b if d else -1) for b, d in zip(bins, died, strict=True)]
    )
    expected = LogisticRegression(**EXACT).fit(x[:, None], y).coef_[0, 0]
    assert of_hazards(log_prob, observed).start[1] == pytest.approx(expected, abs=1e-4)


def test_half_a_bin_counts_half():
    log_prob, observed, *_ = follow_up(50, 1.0, np.random.default_rng(7))
    halved = observed.astype(float)
    censored = observed.sum(axis=1) > 1
    halved[censored, observed[censored].argmax(axis=1) - 1] = 0.5
    assert (
        of_hazards(log_prob, halved).share.sum()
        == of_hazards(log_prob, observed).share.sum() - censored.sum() / 2
    )


def judged(log_prob, observed, patients=None, folds=None, context=None):
    n = len(observed)
    patients = np.arange(n) if patients is None else patients
    folds = np.zeros(n, dtype=int) if folds is None else folds
    return Judged(observed, patients, folds, {"fused": log_prob}, context)


@pytest.mark.parametrize(
    ("slope", "side"), [(0.4, "too sure"), (1.0, "neither"), (2.5, "too timid")]
)
def test_the_interval_excludes_one_where_it_should(slope, side):
    log_prob, observed, *_ = binary(400, slope, np.random.default_rng(8))
    found = percentile_interval(
        calibration_slope(CLASSES, judged(log_prob, observed), "fused", 400, 0).resampled
    )
    assert side == ("too sure" if found.high < 1 else "too timid" if found.low > 1 else "neither")


def test_the_interval_covers_the_true_slope_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(9), 0
    for seed in range(100):
        log_prob, observed, *_ = binary(120, 1.0, rng)
        slope = calibration_slope(CLASSES, judged(log_prob, observed), "fused", 200, seed)
        interval = percentile_interval(slope.resampled)
        hits += interval.low <= 1 <= interval.high
    assert 88 <= hits <= 99


def test_whole_patients_are_drawn_so_copies_of_a_sample_do_not_narrow_the_interval():
    log_prob, observed, *_ = binary(80, 1.0, np.random.default_rng(10))
    alone = calibration_slope(CLASSES, judged(log_prob, observed), "fused", 300, 1)
    copied = judged(
        np.repeat(log_prob, 3, axis=0), np.repeat(observed, 3, axis=0), np.repeat(np.arange(80), 3)
    )
    tripled = calibration_slope(CLASSES, copied, "fused", 300, 1)
    assert tripled.resampled == pytest.approx(alone.resampled, rel=1e-3)


@pytest.mark.parametrize(("n", "n_resamples"), [(9, 400), (60, 99), (60, 0)])
def test_few_patients_or_resamples_give_a_value_without_an_interval(n, n_resamples):
    log_prob, observed, *_ = binary(n, 0.1, np.random.default_rng(11))
    slope = calibration_slope(CLASSES, judged(log_prob, observed), "fused", n_resamples, 0)
    assert np.isfinite(slope.point)
    assert not len(slope.resampled)


def test_folds_and_survival_are_judged_together():
    log_prob, observed, _, died, bins = follow_up(200, 1.0, np.random.default_rng(12))
    folds = np.arange(200) % 4
    time = bins + np.where(died, 0.5, 1.0)
    censoring = Censoring.fit(time, died.astype(float))
    context = SurvivalTruth(time, died.astype(float), np.arange(5.0), (censoring,) * 4)
    slope = calibration_slope(
        Survival((0.0, 1.0, 2.0, 3.0)),
        judged(log_prob, observed, None, folds, context),
        "fused",
        100,
        0,
    )
    assert slope.point == pytest.approx(of_hazards(log_prob, observed).start[1])
