"""Thresholds and decisions against scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_curve

from pathfuse.errors import InputError
from pathfuse.evaluation.operating_points import (
    FIGURES,
    DecisionScores,
    Rule,
    called,
    choose_threshold,
    confusion,
    figure_of,
    parse_rule,
)


def scored(seed, n=80):
    """With ties: probabilities have two digits."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2)
    p = np.clip(np.round(expit(1.5 * (y - 0.5) + rng.normal(size=n)), 2), 0.01, 0.99)
    return y == 1, p


@pytest.mark.parametrize("seed", range(5))
def test_thresholds_are_those_of_a_roc_curve(seed):
    y, p = scored(seed)
    false, true, thresholds = roc_curve(y, p, drop_intermediate=False)
    theirs = {
        Rule("youden"): thresholds[(true - false > (true - false).max() - 1e-9).argmax()],
        Rule("sensitivity", 0.9): thresholds[np.flatnonzero(true >= 0.9 - 1e-9)[0]],
        Rule("specificity", 0.8): thresholds[np.flatnonzero(1 - false >= 0.8 - 1e-9)[-1]],
    }
    for rule, threshold in theirs.items():
        assert expit(choose_threshold(logit(p), y, rule)) == pytest.approx(threshold), rule


def test_decisions_as_scikit_learn():
    y, p = scored(0)
    flagged = called(logit(p), logit(0.4))
    scores = DecisionScores(flagged[:, None], y[:, None], ["yes"])
    assert [one.name for one in scores.metrics] == [figure_of(f, "yes") for f in FIGURES]
    weights = np.random.default_rng(1).integers(3, size=(2, len(y))).astype(float)
    found = scores.values(weights)
    for b, w in enumerate(weights):
        theirs = [
            recall_score(y, flagged, sample_weight=w),
            recall_score(~y, ~flagged, sample_weight=w),
            precision_score(y, flagged, sample_weight=w),
            precision_score(~y, ~flagged, sample_weight=w),
        ]
        own = [found[figure_of(figure, "yes")][b] for figure in FIGURES]
        assert own == pytest.approx(theirs)


def test_a_share_of_nobody_is_undefined():
    nobody = np.zeros((3, 1), dtype=bool)
    values = DecisionScores(nobody, np.array([[True], [False], [False]]), ["yes"])
    found = {name: values.values(np.ones((1, 3)))[figure_of(name, "yes")][0] for name in FIGURES}
    assert np.isnan(found["ppv"])
    assert found["sensitivity"] == 0
    assert found["npv"] == pytest.approx(2 / 3)


def test_confusion_as_scikit_learn():
    rng = np.random.default_rng(3)
    truth, predicted = rng.integers(4, size=(2, 50))
    ours = confusion(truth, predicted, 5)
    assert (ours == confusion_matrix(truth, predicted, labels=range(5))).all()


@pytest.mark.parametrize(
    ("score", "rule"),
    [
        ([1.0, 1.0, 1.0, 1.0], Rule("sensitivity", 0.9)),  # only by calling every row
        ([0.0, 1.0, 0.0, 1.0], Rule("specificity", 0.9)),  # only by calling no positive row
        ([0.0, 1.0, 0.0, 1.0], Rule("youden")),  # no threshold is better than none
    ],
)
def test_what_cannot_be_reached_has_no_threshold(score, rule):
    positive = np.array([True, False, True, False])
    assert choose_threshold(np.array(score), positive, rule) is None


def test_a_probability_needs_no_rows():
    nothing = np.zeros(0)
    assert choose_threshold(nothing, nothing > 0, Rule("probability", 0.3)) == pytest.approx(
        logit(0.3)
    )


@pytest.mark.parametrize("text", ["youden", "sensitivity=0.95", "specificity=1", "0.3"])
def test_rules_as_they_are_given(text):
    assert parse_rule(text).text == text


REFUSED = ("", "best", "sensitivity", "sensitivity=2", "sensitivity=a", "ppv=0.9", "1", "0", "nan")


@pytest.mark.parametrize("text", [*REFUSED, "probability=0.3", "youden=1"])
def test_other_rules_are_refused(text):
    with pytest.raises(InputError, match=r"--operating-point .* is unknown: give youden"):
        parse_rule(text)
