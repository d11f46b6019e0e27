"""Further paired tests: where each is valid, on which rows, and which way the differences point."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.regression import Regression
from pathfuse.evaluation.corrected_t import corrected_t
from pathfuse.evaluation.delong import delong
from pathfuse.evaluation.estimates import Estimate
from pathfuse.evaluation.intervals import Sampled
from pathfuse.evaluation.judged import Comparison, Judged
from pathfuse.evaluation.multiplicity import holm
from pathfuse.evaluation.noninferiority import non_inferiority
from pathfuse.evaluation.paired_tests import (
    adjusted_p,
    delong_tests,
    family_side,
    fold_tests,
    margin_tests,
)
from pathfuse.evaluation.rules import Rules

BINARY, TERNARY = Multiclass(("no", "yes")), Multiclass(("a", "b", "c"))
CONTRASTS = [("x", "y"), ("x", "z"), ("y", "x")]


def rows_of(n=60, k=2, per_patient=1, folds=1, seed=0):
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // per_patient
    truth = patients % k
    skills = {"x": 1.5, "y": 0.7, "z": 0.2}
    said = {
        name: log_softmax(rng.normal(size=(n, k)) + s * np.eye(k)[truth])
        for name, s in skills.items()
    }
    return Judged(np.eye(k, dtype=bool)[truth], patients, patients // k % folds, said)


def without(judged, name, absent):
    hidden = np.where(absent[:, None], np.nan, judged.predictions[name])
    return replace(judged, predictions={**judged.predictions, name: hidden})


def families(tests):
    return {
        (t.method, t.metric): [u for u in tests if (u.method, u.metric) == (t.method, t.metric)]
        for t in tests
    }


# DeLong


def test_delong_of_every_contrast():
    judged = rows_of()
    tests = delong_tests(BINARY, "egfr", judged, CONTRASTS)
    assert [(t.method, t.reference) for t in tests] == CONTRASTS
    positive = judged.observed[:, 1]
    for test in tests:
        one, other = (judged.predictions[n][:, 1] for n in (test.method, test.reference))
        expected = delong(one, other, positive)
        assert (test.output, test.metric, test.test) == ("egfr", "auroc", "DeLong")
        assert test.difference == pytest.approx(
            roc_auc_score(positive, one) - roc_auc_score(positive, other)
        )
        assert (test.statistic, test.p_value) == pytest.approx((expected.z, expected.p_value))
        assert np.isnan(test.margin)
    assert tests[0].difference > 0 > tests[2].difference


@pytest.mark.parametrize(
    ("endpoint", "judged"),
    [
        (TERNARY, rows_of(k=3)),
        (BINARY, rows_of(per_patient=2)),
        (BINARY, rows_of(folds=2)),
        (
            BINARY,
            replace(rows_of(), patients=np.minimum(np.arange(60), 58)),
        ),  # one patient with two rows
        (Regression(("score",)), rows_of()),
    ],
    ids=["three classes", "two rows per patient", "two folds", "one patient twice", "regression"],
)
def test_delong_only_where_it_is_valid(endpoint, judged):
    assert delong_tests(endpoint, "all", judged, CONTRASTS) == []


def test_delong_is_on_the_rows_that_both_predict():
    judged = rows_of()
    absent = np.arange(60) < 21
    (test,) = delong_tests(BINARY, "all", without(judged, "y", absent), [("x", "y")])
    one, other = (judged.predictions[n][~absent, 1] for n in "xy")
    expected = delong(one, other, judged.observed[~absent, 1])
    assert (test.difference, test.statistic) == pytest.approx((expected.difference, expected.z))
    (everywhere,) = delong_tests(BINARY, "all", judged, [("x", "y")])
    assert abs(test.difference - everywhere.difference) > 1e-3  # the test could tell


def test_no_delong_of_rows_of_one_class_or_of_a_stranger():
    judged = rows_of()
    one_class = without(judged, "y", judged.observed[:, 0])
    assert [
        t.reference
        for t in delong_tests(BINARY, "all", one_class, [("x", "y"), ("x", "z"), ("x", "w")])
    ] == ["z"]


def test_delong_ranks_by_log_odds():
    """Probabilities of 1 - 1e-20 and 1 - 1e-30 are one number; their log-odds are two."""
    judged = rows_of()
    far = np.where(judged.observed[:, 1], 90.0, 60.0)  # p(yes) rounds to 1 everywhere
    sure = replace(
        judged,
        predictions={**judged.predictions, "x": log_softmax(np.stack([0 * far, far], axis=1))},
    )
    (test,) = delong_tests(BINARY, "all", sure, [("x", "y")])
    assert test.difference == pytest.approx(
        1 - roc_auc_score(judged.observed[:, 1], judged.predictions["y"][:, 1])
    )


def test_a_test_without_variance_is_undefined():
    judged = rows_of()
    twins = replace(judged, predictions={**judged.predictions, "y": judged.predictions["x"]})
    first, second = delong_tests(BINARY, "all", twins, [("x", "y"), ("x", "z")])
    assert np.isnan([first.p_value, first.p_holm]).all()
    assert first.conclusion == "undefined"
    assert second.p_holm == second.p_value  # the only one that counts


# Holm and words


@pytest.mark.parametrize(("find", "folds"), [(delong_tests, 1), (fold_tests, 5)])
def test_p_values_are_adjusted_over_the_references_of_a_method_per_metric(find, folds):
    found = families(find(BINARY, "all", rows_of(folds=folds), CONTRASTS))
    assert len(found) == (2 if folds == 1 else 2 * len(BINARY.metrics))
    for (method, _), tests in found.items():
        assert len(tests) == (2 if method == "x" else 1)
        p = np.array([t.p_value for t in tests])
        assert [t.p_holm for t in tests] == pytest.approx(holm(p), nan_ok=True)
    assert any(t.p_holm > 1.5 * t.p_value for tests in found.values() for t in tests)


@pytest.mark.parametrize(("find", "folds"), [(delong_tests, 1), (fold_tests, 5)])
def test_the_word_follows_the_adjusted_p_value(find, folds):
    tests = [
        t
        for seed in range(20)
        for t in find(BINARY, "all", rows_of(folds=folds, seed=seed), CONTRASTS)
    ]
    words = {True: "differs", False: "no difference shown"}
    for test in tests:
        assert test.conclusion == (
            "undefined" if np.isnan(test.p_value) else words[test.p_holm < 0.05]
        )
    assert any(t.p_value < 0.05 <= t.p_holm for t in tests)  # one that only the adjustment spoils
    assert {"differs", "no difference shown"} <= {t.conclusion for t in tests}


# Corrected t


def test_fold_tests_are_of_scikit_learns_metrics_inside_each_fold():
    judged = rows_of(n=100, folds=5, per_patient=1)
    tests = {
        (t.method, t.reference, t.metric): t for t in fold_tests(BINARY, "all", judged, CONTRASTS)
    }
    assert set(tests) == {(*pair, m) for pair in CONTRASTS for m in BINARY.metrics}
    truth = judged.observed.argmax(axis=1)

    def inside(metric, name, fold):
        rows = judged.folds == fold
        prob, y = np.exp(judged.predictions[name][rows]), truth[rows]
        scores = {
            "nll": lambda: log_loss(y, prob),
            "auroc": lambda: roc_auc_score(y, prob[:, 1]),
            "accuracy": lambda: accuracy_score(y, prob.argmax(axis=1)),
            "balanced_accuracy": lambda: balanced_accuracy_score(y, prob.argmax(axis=1)),
            "f1": lambda: f1_score(y, prob.argmax(axis=1), average="macro"),
        }
        return scores[metric]()

    for metric in ("nll", "auroc", "accuracy", "balanced_accuracy", "f1"):
        for name, reference in CONTRASTS:
            differences = np.array(
                [inside(metric, name, f) - inside(metric, reference, f) for f in range(5)]
            )
            expected, found = corrected_t(differences, 0.25), tests[name, reference, metric]
            assert found.test == "corrected resampled t, 5 folds"
            assert found.difference == pytest.approx(expected.difference, abs=1e-12), metric
            assert found.statistic == pytest.approx(expected.t, abs=1e-9), metric
            assert found.statistic == pytest.approx(
                ttest_1samp(differences, 0).statistic / 1.5, abs=1e-9
            ), metric
            assert found.p_value == pytest.approx(expected.p_value, abs=1e-9), metric
            assert np.isnan(found.margin)


def test_folds_count_their_patients_not_their_rows():
    """Fold 0 has 8 patients of three rows, fold 1 has 12 of one: judged per fitted on, 8/12 and
    12/8."""
    patients = np.concatenate([np.repeat(np.arange(8), 3), np.arange(8, 20)])
    judged = rows_of(n=36)
    judged = replace(judged, patients=patients, folds=(patients >= 8).astype(int))
    test = next(t for t in fold_tests(BINARY, "all", judged, [("x", "y")]) if t.metric == "nll")
    nll = {n: -judged.predictions[n][judged.observed] for n in "xy"}
    differences = np.array([(nll["x"] - nll["y"])[judged.folds == f].mean() for f in (0, 1)])
    assert test.statistic == pytest.approx(
        corrected_t(differences, (8 / 12 + 12 / 8) / 2).t, abs=1e-9
    )


def test_no_fold_tests_without_folds_or_of_a_stranger():
    assert fold_tests(BINARY, "all", rows_of(), CONTRASTS) == []
    assert fold_tests(BINARY, "all", rows_of(folds=5), [("x", "w"), ("w", "x")]) == []


def test_fold_tests_take_any_number_of_classes_and_of_rows_per_patient():
    assert len(fold_tests(TERNARY, "all", rows_of(k=3, folds=4), [("x", "y")])) == len(
        TERNARY.metrics
    )
    assert len(fold_tests(BINARY, "all", rows_of(per_patient=2, folds=3), [("x", "y")])) == len(
        BINARY.metrics
    )


def test_a_fold_where_one_side_is_silent_does_not_count():
    judged = rows_of(folds=5)
    silent = without(judged, "y", judged.folds == 2)
    tests = fold_tests(BINARY, "all", silent, [("x", "y")])
    assert {t.test for t in tests} == {"corrected resampled t, 4 folds"}
    full = {t.metric: t for t in fold_tests(BINARY, "all", judged, [("x", "y")])}
    assert all(t.difference != full[t.metric].difference for t in tests)


# Margins

PERCENTILE = Rules(interval="percentile", margin=0.01)


def apart(one, other):
    return {m: one[m].minus(other[m]) for m in BINARY.metrics}


def estimate(point, resampled):
    values = np.array([point, *resampled], dtype=float)
    return Estimate(values[:, None], np.ones(1), len(resampled), Sampled(60))


@pytest.mark.parametrize(("loss", "word"), [(-0.05, "superior"), (0.05, "inferior")])
def test_a_lower_nll_is_a_gain_and_a_lower_auroc_a_loss(loss, word):
    """Both metrics shift by the same amount; only one of them can be better for it."""
    noise = 0.001 * np.random.default_rng(0).normal(size=999)
    shifted = {m: estimate(0.6 + loss, 0.6 + loss + noise) for m in BINARY.metrics}
    still = {m: estimate(0.6, np.full(999, 0.6)) for m in BINARY.metrics}
    nll, auroc = margin_tests(BINARY, "all", "fused", apart(shifted, still), PERCENTILE)
    opposite = {"superior": "inferior", "inferior": "superior"}[word]
    assert (nll.metric, nll.conclusion) == ("nll", word)
    assert (auroc.metric, auroc.conclusion) == ("auroc", opposite)
    for test in (nll, auroc):
        assert test.difference == pytest.approx(
            loss
        )  # in the metric's own direction, as in comparisons.csv
        assert (test.method, test.reference, test.output) == ("fused", "best_expert", "all")
        assert test.test == "non-inferiority, bootstrap by patient, not adjusted"
        assert test.margin == 0.01
        assert np.isnan([test.statistic, test.p_holm]).all()
    assert (nll.p_value, auroc.p_value) == ((0.001, 1.0) if word == "superior" else (1.0, 0.001))


def test_margins_are_judged_on_paired_differences():
    """Both sides vary widely and together; their difference hardly varies."""
    common = np.random.default_rng(0).normal(size=999)
    own = 0.001 * np.random.default_rng(1).normal(size=999)
    one = {m: estimate(0.5, common + own) for m in BINARY.metrics}
    other = {m: estimate(0.5, common) for m in BINARY.metrics}
    for test in margin_tests(BINARY, "all", "fused", apart(one, other), PERCENTILE):
        expected = non_inferiority(own, 0.01)
        assert (test.conclusion, test.conclusion) == (expected.conclusion, "equivalent")
        assert test.p_value == expected.p_value


def test_margins_without_resamples_conclude_nothing():
    values = {m: estimate(0.6, []) for m in BINARY.metrics}
    for test in margin_tests(BINARY, "all", "fused", apart(values, values), PERCENTILE):
        assert test.conclusion == "no intervals"
        assert np.isnan(test.p_value)
        assert test.difference == 0


def test_nobody_is_superior_beside_a_comparison_that_shows_nothing():
    """Issue 15, item 10: the interval alone says superior, the adjusted comparison does not."""
    gain = np.random.default_rng(0).normal(
        0.02, 0.008, size=2000
    )  # of the NLL, whose 95 % interval lies above 0
    one, other = (
        {m: estimate(p, s * gain) for m in BINARY.metrics} for p, s in ((-0.02, -1), (0.0, 0))
    )
    words = [
        {
            t.metric: t.conclusion
            for t in margin_tests(BINARY, "all", "fused", apart(one, other), PERCENTILE, {"nll": p})
        }["nll"]
        for p in (0.03, 0.05, 0.051)
    ]
    assert words == ["superior", "superior", "non-inferior"]


def test_the_null_model_stands_outside_of_the_families():
    def row(method, reference, p):
        return Comparison(method, reference, "all", "nll", 0.0, 0.0, 0.0, p, "", float("nan"))

    rows = [row("fused", "a", 0.01), row("fused", "b", 0.02), row("fused", "null_model", 0.03)]
    rows += [row("logitprod", "null_model", 0.04)]
    names = {name: name for name in ("fused", "logitprod", "a", "b", "null_model")}
    adjusted, largest = adjusted_p(rows, names)
    assert adjusted.tolist() == [0.02, 0.02, 0.03, 0.04]
    assert largest == 2
    assert family_side([("a", "x"), ("b", "x"), ("c", "x"), ("a", "null_model")]) == 1
