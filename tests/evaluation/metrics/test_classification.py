"""Metrics under row weights: against scikit-learn, against repeated rows, against pairs counted one
by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    roc_auc_score,
)

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.evaluation.metrics.classification import (
    AUPRC,
    MCC,
    QUADRATIC_KAPPA,
    ClassificationScores,
    WeightedClasses,
    calibration_error,
    f1_of_class,
    macro_auroc,
    weighted_auroc,
)

NAMES = ("nll", "auroc", "accuracy", "balanced_accuracy", "f1", "brier", "ece", "auprc", "mcc")


def scores_of(log_prob, truth):
    return ClassificationScores(log_prob, np.eye(log_prob.shape[1], dtype=bool)[truth])


def values_of(log_prob, truth, weights=None):
    """One number per metric for one vector of row weights."""
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=float)
    values = scores_of(log_prob, truth).values(weights[None, :])
    assert {name: v.shape for name, v in values.items()} == dict.fromkeys(values, (1,))
    return {name: float(v[0]) for name, v in values.items()}


def a_case(seed, n=120, k=4, distinct=None):
    """Predictions better than chance and a truth that holds every class; ``distinct`` prediction
    rows make ties."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % k)
    logits = rng.normal(size=(n, k)) + np.eye(k)[truth]
    if distinct:
        logits = rng.normal(size=(distinct, k))[rng.integers(distinct, size=n)]
    return log_softmax(logits), truth


def sklearn_values(log_prob, truth):
    prob, called, classes = (
        np.exp(log_prob),
        log_prob.argmax(axis=1),
        list(range(log_prob.shape[1])),
    )
    binary = len(classes) == 2
    return {
        "nll": log_loss(truth, prob, labels=classes),
        "auroc": roc_auc_score(
            truth, prob[:, 1] if binary else prob, multi_class="ovr", average="macro"
        ),
        "accuracy": accuracy_score(truth, called),
        "balanced_accuracy": balanced_accuracy_score(truth, called),
        "f1": f1_score(truth, called, average="macro"),
        "brier": brier_score_loss(truth, prob, labels=classes, scale_by_half=False),
        "auprc": np.mean(
            [average_precision_score(truth == k, prob[:, k]) for k in ([1] if binary else classes)]
        ),
        "mcc": matthews_corrcoef(truth, called),
    }


@pytest.mark.parametrize("k", [2, 3, 8])
@pytest.mark.parametrize("distinct", [None, 7])
def test_unit_weights_give_the_values_of_scikit_learn(k, distinct):
    log_prob, truth = a_case(k, k=k, distinct=distinct)
    ours, theirs = values_of(log_prob, truth), sklearn_values(log_prob, truth)
    assert tuple(ours) == NAMES == Multiclass(tuple("abcdefgh"[:k])).metrics
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("k", [2, 3, 6])
def test_weighted_values_are_those_of_scikit_learn(k):
    """Average precision, Matthews' correlation and quadratic kappa take the weights of rows as
    scikit-learn does."""
    log_prob, truth = a_case(k + 20, k=k, distinct=30)
    weights = np.random.default_rng(k).integers(0, 4, len(truth)).astype(float)
    rows, prob, called = scores_of(log_prob, truth), np.exp(log_prob), log_prob.argmax(axis=1)
    weighted = WeightedClasses(rows, weights[None, :])
    wanted = [1] if k == 2 else range(k)
    precision = [
        average_precision_score(truth == c, prob[:, c], sample_weight=weights) for c in wanted
    ]
    assert float(AUPRC.function(weighted)[0]) == pytest.approx(np.mean(precision), abs=1e-12)
    assert float(MCC.function(weighted)[0]) == pytest.approx(
        matthews_corrcoef(truth, called, sample_weight=weights), abs=1e-12
    )
    kappa = cohen_kappa_score(
        truth, called, weights="quadratic", sample_weight=weights, labels=list(range(k))
    )
    assert float(QUADRATIC_KAPPA.function(weighted)[0]) == pytest.approx(kappa, abs=1e-12)


def test_auprc_is_that_of_the_positive_class():
    log_prob, truth = a_case(5, k=2)
    observed, ones = np.eye(2, dtype=bool)[truth], np.ones((1, len(truth)))
    for positive in (0, 1):
        found = ClassificationScores(log_prob, observed, positive).values(ones)["auprc"][0]
        theirs = average_precision_score(truth == positive, np.exp(log_prob[:, positive]))
        assert float(found) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("metric", [MCC, QUADRATIC_KAPPA])
def test_agreement_with_calls_of_one_class_is_undefined(metric):
    sure = log_softmax(np.array([[3.0, 0.0]] * 4))
    same = np.zeros(4, dtype=int)
    assert np.isnan(metric.function(WeightedClasses(scores_of(sure, same), np.ones((1, 4))))).all()


def test_f1_and_balanced_accuracy_of_a_class_never_predicted():
    log_prob, truth = a_case(1, k=3)
    log_prob = log_softmax(log_prob - np.array([0.0, 0.0, 50.0]))
    assert 2 not in log_prob.argmax(axis=1)
    ours = values_of(log_prob, truth)
    called = log_prob.argmax(axis=1)
    assert ours["f1"] == pytest.approx(f1_score(truth, called, average="macro"), abs=1e-12)
    assert ours["f1"] == pytest.approx(
        f1_score(truth, called, average=None, labels=[0, 1, 2]).sum() / 3, abs=1e-12
    )
    assert ours["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, called), abs=1e-12
    )


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_f1_and_balanced_accuracy_of_a_class_absent_from_the_truth():
    log_prob, _ = a_case(2, k=3)
    truth = np.arange(len(log_prob)) % 2
    called = log_prob.argmax(axis=1)
    assert 2 in called
    ours = values_of(log_prob, truth)
    assert ours["f1"] == pytest.approx(f1_score(truth, called, average="macro"), abs=1e-12)
    assert ours["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, called), abs=1e-12
    )


def test_a_class_neither_true_nor_predicted_does_not_count():
    log_prob = log_softmax(np.array([[2.0, 0, -60], [0, 2, -60], [2, 0, -60], [2, 0, -60]]))
    ours = values_of(log_prob, np.array([0, 1, 1, 0]))
    assert ours["f1"] == pytest.approx((2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 2, abs=1e-12)
    assert ours["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_brier_runs_from_0_to_2_for_every_number_of_classes(k):
    truth = np.arange(3 * k) % k
    sure = log_softmax(30.0 * np.eye(k)[truth])
    assert values_of(sure, truth)["brier"] == pytest.approx(0, abs=1e-9)
    assert values_of(sure, (truth + 1) % k)["brier"] == pytest.approx(2, abs=1e-9)
    unsure = log_softmax(np.zeros((3 * k, k)))
    assert values_of(unsure, truth)["brier"] == pytest.approx(
        (1 - 1 / k) ** 2 + (k - 1) / k**2, abs=1e-12
    )


def test_macro_auroc_is_over_the_classes_with_both_outcomes():
    log_prob, _ = a_case(3, k=4)
    truth = np.arange(len(log_prob)) % 3
    alone = [roc_auc_score(truth == c, log_prob[:, c]) for c in range(3)]
    assert values_of(log_prob, truth)["auroc"] == pytest.approx(np.mean(alone), abs=1e-12)


def test_a_resample_that_lacks_a_class_defines_no_mean_over_the_classes():
    """The mean over the other classes would be the mean of something else."""
    log_prob, truth = a_case(4, k=3)
    lacking = values_of(log_prob, truth, (truth != 2).astype(float))
    assert np.isnan([lacking[name] for name in ("auroc", "balanced_accuracy")]).all()
    assert np.isfinite([lacking[name] for name in ("nll", "accuracy", "brier")]).all()
    kept = truth != 2
    alone = [roc_auc_score(truth[kept] == c, log_prob[kept, c]) for c in range(2)]
    assert values_of(log_prob[kept], truth[kept])["auroc"] == pytest.approx(
        np.mean(alone), abs=1e-12
    )


def test_auroc_of_one_class_is_undefined_and_not_a_half():
    log_prob, _ = a_case(5, k=3)
    for k in (2, 3):
        assert np.isnan(
            values_of(log_softmax(log_prob[:, :k]), np.ones(len(log_prob), dtype=int))["auroc"]
        )
    everything, nothing = np.ones((1, 4)), np.zeros((1, 4))
    score, positive = np.arange(4.0), np.array([False, True, True, False])
    assert np.isnan(weighted_auroc(score, np.ones(4, dtype=bool), everything)).all()
    assert np.isnan(weighted_auroc(score, np.zeros(4, dtype=bool), everything)).all()
    assert np.isnan(weighted_auroc(score, positive, nothing)).all()
    assert np.isnan(weighted_auroc(score, positive, positive[None, :].astype(float))).all()


def test_auroc_of_a_constant_prediction_is_a_half():
    assert values_of(log_softmax(np.zeros((9, 3))), np.arange(9) % 3)["auroc"] == 0.5


def test_a_resample_of_nothing_defines_no_metric():
    log_prob, truth = a_case(6)
    assert all(np.isnan(v) for v in values_of(log_prob, truth, np.zeros(len(truth))).values())


def test_two_classes_are_ranked_where_probabilities_round_to_one():
    log_prob = log_softmax(np.array([[0.0, 45.0], [0.0, 50.0], [0.0, 41.0], [0.0, 60.0]]))
    assert (np.exp(log_prob)[:, 1] == 1).all()
    assert macro_auroc(log_prob, np.array([0, 1, 0, 1]), np.ones((1, 4)))[0] == 1.0


def test_resamples_do_not_touch_each_other():
    log_prob, truth = a_case(7)
    weights = np.random.default_rng(0).integers(0, 3, size=(5, len(truth))).astype(float)
    together = scores_of(log_prob, truth).values(weights)
    for b, row in enumerate(weights):
        for name, value in values_of(log_prob, truth, row).items():
            assert together[name][b] == pytest.approx(value, abs=1e-12), name


@st.composite
def weighted_rows(draw):
    """Few distinct predictions, so that scores tie; any truth, so that classes are missing; weights
    of 0 to 3."""
    k, n = draw(st.integers(2, 4)), draw(st.integers(1, 24))
    logits = draw(
        st.lists(st.lists(st.integers(-3, 3), min_size=k, max_size=k), min_size=1, max_size=6)
    )
    rows = draw(st.lists(st.integers(0, len(logits) - 1), min_size=n, max_size=n))
    truth = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    weights = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    return log_softmax(np.array(logits, dtype=float))[rows], np.array(truth), np.array(weights)


@settings(max_examples=200, deadline=None)
@given(weighted_rows())
@pytest.mark.slow
def test_integer_weights_equal_repeated_rows(case):
    log_prob, truth, weights = case
    repeated = np.repeat(np.arange(len(truth)), weights)
    ours, theirs = (
        values_of(log_prob, truth, weights),
        values_of(log_prob[repeated], truth[repeated]),
    )
    for name in set(NAMES) - {"ece"}:  # its bins are those of the rows, whatever is drawn
        if not np.isnan(ours[name]):  # it lacks a class
            assert ours[name] == pytest.approx(theirs[name], abs=1e-12), name
    if len(np.unique(truth[repeated])) == len(np.unique(truth)):
        assert np.isfinite(
            [ours[name] for name in ("nll", "accuracy", "balanced_accuracy", "brier")]
        ).all()


@settings(max_examples=200, deadline=None)
@given(weighted_rows(), st.integers(0, 2**32 - 1))
def test_auroc_equals_the_share_of_weighted_pairs_in_order(case, seed):
    log_prob, truth, integers = case
    score, positive = log_prob[:, 0], truth == 0
    weights = np.stack(
        [integers, np.random.default_rng(seed).exponential(size=len(truth)), np.ones(len(truth))]
    )
    found = weighted_auroc(score, positive, weights.astype(float))
    for w, value in zip(weights, found, strict=True):
        won = total = 0.0
        for i in np.flatnonzero(positive):
            for j in np.flatnonzero(~positive):
                total += w[i] * w[j]
                won += (
                    w[i]
                    * w[j]
                    * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
                )
        assert value == pytest.approx(won / total if total else np.nan, abs=1e-12, nan_ok=True)


def test_auroc_of_four_pairs_by_hand():
    score, positive = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])
    # pairs: .9 > .4 (1), .9 > .1 (1), .4 = .4 (1/2), .4 > .1 (1)
    weights = np.array([[1, 1, 1, 1], [1, 2, 3, 1], [0, 1, 1, 0]], dtype=float)
    assert weighted_auroc(score, positive, weights) == pytest.approx(
        [3.5 / 4, (3 + 1 + 3 + 2) / 12, 0.5]
    )


CONFIDENCE = np.repeat(0.55 + 0.03 * np.arange(15), 2)
"""Thirty rows: fifteen bins of two."""


def error_of(confidence, hit, weights=None):
    weights = np.ones(len(hit)) if weights is None else weights
    return float(calibration_error(confidence, np.asarray(hit, dtype=bool), weights[None, :])[0])


@pytest.mark.parametrize(
    ("hit", "expected"),
    [
        (
            np.tile([True, False], 15),
            0.76 - 0.5,
        ),  # every bin is right half the time; mean confidence .76
        (np.ones(30), 1 - 0.76),
        (np.zeros(30), 0.76),
        # 8 bins of .55 to .76 all right: 8 - 5.24 = 2.76; 7 bins of .79 to .97 all wrong: 6.16.
        # Bins of equal width, or 10 or 20 of equal mass, would let some of these errors cancel.
        (np.arange(30) < 16, (2.76 + 6.16) / 15),
    ],
)
def test_ece_of_fifteen_equal_mass_bins_by_hand(hit, expected):
    assert error_of(CONFIDENCE, hit) == pytest.approx(expected, abs=1e-12)
    order = np.random.default_rng(0).permutation(15)  # of bins: the ties inside keep their order
    rows = (2 * order[:, None] + [0, 1]).ravel()
    assert error_of(CONFIDENCE[rows], np.asarray(hit)[rows]) == pytest.approx(expected, abs=1e-12)


def test_ece_of_fewer_rows_than_bins_takes_each_row_alone():
    assert error_of(np.array([0.9, 0.5, 0.7]), [True, False, False]) == pytest.approx(
        (0.1 + 0.5 + 0.7) / 3
    )


def test_ece_weighs_bins_by_their_drawn_rows():
    # .55 to .76 right and drawn three times, the rest wrong and drawn once
    right = np.arange(30) < 16
    expected = (3 * 2 * 2.76 + 2 * 6.16) / (3 * 16 + 14)
    assert error_of(CONFIDENCE, right, np.where(right, 3.0, 1.0)) == pytest.approx(
        expected, abs=1e-12
    )
    assert np.isnan(error_of(CONFIDENCE, right, np.zeros(30)))


def test_ece_is_that_of_the_top_label():
    truth = np.where(np.arange(30) % 2 == 0, 0, 1)
    prob = np.stack([CONFIDENCE, (1 - CONFIDENCE) / 3, 2 * (1 - CONFIDENCE) / 3], axis=1)
    assert values_of(np.log(prob), truth)["ece"] == pytest.approx(0.26, abs=1e-12)
    assert values_of(np.log(prob[:, [2, 0, 1]]), (truth + 1) % 3)["ece"] == pytest.approx(
        0.26, abs=1e-12
    )


def test_f1_of_one_class_is_scikit_learns():
    rng = np.random.default_rng(5)
    truth, called = rng.integers(3, size=(2, 50))
    for k in range(3):
        assert f1_of_class(truth, called, k) == pytest.approx(
            f1_score(truth == k, called == k), abs=1e-12
        )
    assert np.isnan(f1_of_class(truth, called, 7))
