"""Judging: folds, missing predictions, paired differences, and what is said where a number is undefined."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from pathfuse.endpoints.likelihood import log_softmax, set_nll
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError
from pathfuse.evaluation.classification import ClassificationScores
from pathfuse.evaluation.judge import judge
from pathfuse.evaluation.judged import Judged, average_patients
from pathfuse.evaluation.resampling import draw


def rows_of(truth, predictions, patients=None, folds=None, k=3):
    """The rows to judge; by default one patient per row and no folds."""
    n = len(truth)
    return Judged(
        observed=np.eye(k, dtype=bool)[truth],
        patients=np.arange(n) if patients is None else np.asarray(patients),
        folds=np.zeros(n, dtype=np.int64) if folds is None else np.asarray(folds),
        predictions=predictions,
    )


def verdict_of(rows, contrasts=(), n_resamples=200, seed=0):
    k = rows.observed.shape[1]
    return judge(Multiclass(tuple("abcdefgh"[:k])), "all", rows, list(contrasts), n_resamples, seed)


def metric_of(verdict, method, metric):
    (found,) = [m for m in verdict.metrics if (m.method, m.metric) == (method, metric)]
    return found


def comparison_of(verdict, method, reference, metric):
    wanted = (method, reference, metric)
    (found,) = [c for c in verdict.comparisons if (c.method, c.reference, c.metric) == wanted]
    return found


def noisy(rng, truth, k=3, skill=1.0):
    return log_softmax(rng.normal(size=(len(truth), k)) + skill * np.eye(k)[truth])


def without(log_prob, absent):
    return np.where(np.asarray(absent)[:, None], np.nan, log_prob)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def by_hand(log_prob, truth, folds, patients, repeats):
    """NLL, accuracy and macro AUROC on rows repeated literally: inside each fold, averaged by patients."""
    there = ~np.isnan(log_prob[:, 0])
    values, shares = [], []
    for fold in np.unique(folds[there]):
        inside = np.flatnonzero(there & (folds == fold))
        shares.append(len(np.unique(patients[inside])))
        rows = np.repeat(inside, repeats[inside])
        prob, y = np.exp(log_prob[rows]), truth[rows]
        auroc = [roc_auc_score(y == c, prob[:, c]) for c in np.unique(y)]
        values.append([log_loss(y, prob, labels=range(prob.shape[1])), accuracy_score(y, prob.argmax(1)),
                       np.mean(auroc)])  # fmt: skip
    return np.average(values, axis=0, weights=shares)


def test_the_whole_bootstrap_by_hand(rng):
    """Two folds of 20 and 12 patients with 1 to 3 rows each; one method lacks a quarter of the rows."""
    n_patients, k = 32, 3
    patients = np.repeat(np.arange(n_patients), rng.integers(1, 4, size=n_patients))
    truth, folds = patients % k, (patients >= 20).astype(int)
    full = noisy(rng, truth)
    gappy = without(noisy(rng, truth), rng.random(len(truth)) < 0.25)
    verdict = verdict_of(rows_of(truth, {"full": full, "gappy": gappy}, patients, folds), [("full", "gappy")], 30, 5)

    counts = draw(patients, folds * k + truth, 30, 5).counts[:, patients]
    common = without(full, np.isnan(gappy[:, 0]))
    found = {}
    for name, log_prob in (("full", full), ("gappy", gappy), ("common", common)):
        point = by_hand(log_prob, truth, folds, patients, np.ones(len(truth), dtype=int))
        found[name] = point, np.array([by_hand(log_prob, truth, folds, patients, c) for c in counts])
    for name in ("full", "gappy"):
        point, resampled = found[name]
        for column, metric in enumerate(("nll", "accuracy", "auroc")):
            row = metric_of(verdict, name, metric)
            assert row.value == pytest.approx(point[column], abs=1e-12)
            expected = np.percentile(resampled[:, column], [2.5, 97.5])
            assert [row.ci_low, row.ci_high] == pytest.approx(expected, abs=1e-12), metric
    point, resampled = (one - other for one, other in zip(found["common"], found["gappy"], strict=True))
    for column, metric in enumerate(("nll", "accuracy", "auroc")):
        row = comparison_of(verdict, "full", "gappy", metric)
        assert row.difference == pytest.approx(point[column], abs=1e-12)
        expected = np.percentile(resampled[:, column], [2.5, 97.5])
        assert [row.ci_low, row.ci_high] == pytest.approx(expected, abs=1e-12), metric
        sides = min((resampled[:, column] <= 1e-14).sum(), (resampled[:, column] >= -1e-14).sum())
        assert row.p_value == pytest.approx(min(1.0, 2 * (1 + sides) / 31), abs=1e-12)
        assert row.test == "paired bootstrap by patient, 30 resamples"


def test_all_metrics_of_all_methods_are_there(rng):
    truth = np.arange(30) % 3
    predictions = {name: noisy(rng, truth) for name in ("one", "two", "three")}
    verdict = verdict_of(rows_of(truth, predictions), [("three", "one"), ("one", "two")])
    metrics = Multiclass(("a", "b", "c")).metrics
    assert [(m.method, m.metric) for m in verdict.metrics] == [(n, m) for n in predictions for m in metrics]
    assert [(c.method, c.reference, c.metric) for c in verdict.comparisons] == [
        (*pair, m) for pair in (("three", "one"), ("one", "two")) for m in metrics
    ]
    assert {m.output for m in verdict.metrics} | {c.output for c in verdict.comparisons} == {"all"}
    assert all(m.ci_low <= m.ci_high for m in verdict.metrics)
    assert verdict.notes == []


def test_identical_predictions_do_not_differ_at_all(rng):
    truth, folds = np.arange(60) % 3, np.arange(60) // 3 % 2
    log_prob = without(noisy(rng, truth), rng.random(60) < 0.2)
    verdict = verdict_of(rows_of(truth, {"one": log_prob, "same": log_prob.copy()}, folds=folds), [("one", "same")])
    for row in verdict.comparisons:
        assert (row.difference, row.ci_low, row.ci_high, row.p_value) == (0.0, 0.0, 0.0, 1.0), row.metric


def test_differences_are_paired(rng):
    """Two noisy methods with a constant gap: their intervals overlap widely, that of the difference has no width."""
    truth = np.arange(60) % 3
    other = noisy(rng, truth, skill=0.0)
    gap = np.full(60, 0.01)
    nll = set_nll(other, np.eye(3, dtype=bool)[truth])
    # Shift the truth's probability so that each row's NLL is lower by exactly the gap.
    prob = np.exp(other)
    target = np.exp(-(nll - gap))
    own = prob[np.arange(60), truth]
    shifted = prob * ((1 - target) / (1 - own))[:, None]
    shifted[np.arange(60), truth] = target
    assert (target < 1).all()
    verdict = verdict_of(rows_of(truth, {"better": np.log(shifted), "other": other}), [("better", "other")], 500)
    row = comparison_of(verdict, "better", "other", "nll")
    assert [row.difference, row.ci_low, row.ci_high] == pytest.approx([-0.01] * 3, abs=1e-12)
    assert row.p_value == pytest.approx(2 / 501)
    alone = metric_of(verdict, "better", "nll")
    assert alone.ci_high - alone.ci_low > 0.1


def test_n_counts_scored_rows_and_their_patients(rng):
    truth, patients = np.arange(40) // 2 % 3, np.arange(40) // 2
    absent = np.zeros(40, dtype=bool)
    absent[[0, 1, 2, 7]] = True  # patient 0 wholly, patients 1 and 3 in part
    full = noisy(rng, truth)
    verdict = verdict_of(rows_of(truth, {"full": full, "gappy": without(full, absent)}, patients), n_resamples=20)
    for metric in Multiclass(("a", "b", "c")).metrics:
        row = metric_of(verdict, "full", metric)
        assert (row.n, row.n_patients) == (40, 20)
        row = metric_of(verdict, "gappy", metric)
        assert (row.n, row.n_patients) == (36, 19)
    observed = np.eye(3, dtype=bool)[truth]
    assert metric_of(verdict, "gappy", "nll").value == pytest.approx(set_nll(full, observed)[~absent].mean(), abs=1e-12)


def test_comparisons_are_on_the_rows_that_both_predict(rng):
    truth = np.arange(48) % 3
    nll, predictions = {}, {}
    for name, absent in (("one", np.arange(48) < 9), ("two", np.arange(48) >= 40), ("full", np.zeros(48, dtype=bool))):
        log_prob = noisy(rng, truth)
        nll[name] = set_nll(log_prob, np.eye(3, dtype=bool)[truth])
        predictions[name] = without(log_prob, absent)
    pairs = [("one", "two"), ("two", "one"), ("full", "one"), ("one", "full")]
    verdict = verdict_of(rows_of(truth, predictions), pairs)
    for name, reference in pairs:
        common = ~np.isnan(predictions[name][:, 0]) & ~np.isnan(predictions[reference][:, 0])
        row = comparison_of(verdict, name, reference, "nll")
        assert row.difference == pytest.approx((nll[name] - nll[reference])[common].mean(), abs=1e-12)
        apart = metric_of(verdict, name, "nll").value - metric_of(verdict, reference, "nll").value
        assert abs(row.difference - apart) > 1e-3  # the test could tell
    one, other = (comparison_of(verdict, *pair, "nll") for pair in pairs[:2])
    assert (one.difference, one.ci_low, one.ci_high) == pytest.approx(
        (-other.difference, -other.ci_high, -other.ci_low)
    )
    assert one.p_value == other.p_value


def test_methods_without_a_common_row_are_not_compared(rng):
    truth = np.arange(60) % 3
    log_prob = noisy(rng, truth)
    predictions = {"early": without(log_prob, np.arange(60) >= 30), "late": without(log_prob, np.arange(60) < 30)}
    verdict = verdict_of(rows_of(truth, predictions), [("early", "late")])
    assert verdict.comparisons == []
    assert any("early and late have no sample in common" in note for note in verdict.notes)


def test_a_method_that_scored_nothing_has_empty_cells_and_a_note(rng):
    truth = np.arange(30) % 3
    rows = rows_of(truth, {"full": noisy(rng, truth), "silent": np.full((30, 3), np.nan)})
    verdict = verdict_of(rows, [("full", "silent")])
    row = metric_of(verdict, "silent", "nll")
    assert (row.n, row.n_patients) == (0, 0)
    assert np.isnan([row.value, row.ci_low, row.ci_high]).all()
    assert any("nll of silent is undefined" in note for note in verdict.notes)
    assert verdict.comparisons == []
    assert any("full and silent have no sample in common" in note for note in verdict.notes)


def binary(log_odds):
    return log_softmax(np.stack([np.zeros(len(log_odds)), np.asarray(log_odds, dtype=float)], axis=1))


def test_folds_are_averaged_and_never_pooled():
    """Each fold ranks its patients perfectly, on a scale of its own; pooled, half of the pairs across are wrong."""
    truth = np.tile([0, 0, 1, 1], 5)
    folds = np.repeat([0, 1], [12, 8])
    log_odds = np.where(truth == 1, 1.0, -1.0) + np.where(folds == 1, 5.0, 0.0)
    pooled = roc_auc_score(truth, log_odds)
    rows = rows_of(truth, {"x": binary(log_odds)}, folds=folds, k=2)
    row = metric_of(verdict_of(rows), "x", "auroc")
    assert pooled < 0.8
    assert row.value == 1.0
    assert (row.ci_low, row.ci_high) == (1.0, 1.0)
    together = rows_of(truth, {"x": binary(log_odds)}, k=2)
    assert metric_of(verdict_of(together), "x", "auroc").value == pytest.approx(pooled, abs=1e-12)


def test_folds_weigh_by_their_patients_not_by_their_rows():
    """Fold 0: 8 patients of one row, all ranked right; fold 1: 4 patients of five rows, all ranked wrong."""
    patients = np.concatenate([np.arange(8), np.repeat(np.arange(8, 12), 5)])
    truth, folds = patients % 2, (patients >= 8).astype(int)
    log_odds = np.where(truth == 1, 1.0, -1.0) * np.where(folds == 0, 1, -1)
    verdict = verdict_of(rows_of(truth, {"x": binary(log_odds)}, patients, folds, k=2))
    assert metric_of(verdict, "x", "auroc").value == pytest.approx(8 / 12, abs=1e-12)
    assert metric_of(verdict, "x", "accuracy").value == pytest.approx(8 / 12, abs=1e-12)
    right, wrong = np.log1p(np.exp(-1)), np.log1p(np.exp(1))
    assert metric_of(verdict, "x", "nll").value == pytest.approx((8 * right + 4 * wrong) / 12, abs=1e-12)


def test_fold_shares_are_those_of_the_patients_that_a_method_scored():
    truth, folds = np.arange(24) % 2, (np.arange(24) >= 12).astype(int)
    log_odds = np.where(truth == 1, 1.0, -1.0) * np.where(folds == 0, 1, -1)
    gappy = without(binary(log_odds), (np.arange(24) >= 4) & (folds == 0))
    verdict = verdict_of(rows_of(truth, {"gappy": gappy}, folds=folds, k=2))
    assert metric_of(verdict, "gappy", "auroc").value == pytest.approx(4 / 16, abs=1e-12)


def test_a_fold_that_does_not_define_a_metric_is_left_out_of_its_mean(rng):
    truth, folds = np.where(np.arange(40) < 20, 0, np.arange(40) % 2), np.arange(40) // 20
    log_prob = noisy(rng, truth, k=2)
    verdict = verdict_of(rows_of(truth, {"x": log_prob}, folds=folds, k=2))
    alone = roc_auc_score(truth[20:], log_prob[20:, 1] - log_prob[20:, 0])
    assert metric_of(verdict, "x", "auroc").value == pytest.approx(alone, abs=1e-12)
    assert metric_of(verdict, "x", "nll").value == pytest.approx(-log_prob[np.arange(40), truth].mean(), abs=1e-12)


def test_resampling_stays_inside_folds():
    """Within a fold all rows are alike, so only a draw that moved patients between folds could vary the mean."""
    folds = np.arange(30) // 10
    truth = np.zeros(30, dtype=int)
    log_prob = log_softmax(np.array([[3.0, 0, 0], [1, 0, 0], [0, 1, 0]]))[folds]
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}, folds=folds)), "x", "nll")
    assert [row.ci_low, row.ci_high] == pytest.approx([row.value] * 2, abs=1e-12)


def test_resampling_stays_inside_outcomes():
    truth = np.arange(40) % 2
    log_prob = log_softmax(np.array([[3.0, 0], [1, 0]]))[truth]
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}, k=2)), "x", "nll")
    assert [row.ci_low, row.ci_high] == pytest.approx([row.value] * 2, abs=1e-12)


@pytest.mark.parametrize(("n_patients", "refused"), [(9, True), (10, False)])
def test_intervals_need_ten_patients(rng, n_patients, refused):
    patients = np.repeat(np.arange(n_patients), 6)
    truth = patients % 2
    predictions = {"x": noisy(rng, truth, k=2), "y": noisy(rng, truth, k=2)}
    verdict = verdict_of(rows_of(truth, predictions, patients, k=2), [("x", "y")], 100)
    for row in [*verdict.metrics, *verdict.comparisons]:
        assert np.isnan([row.ci_low, row.ci_high]).tolist() == [refused, refused]
    for row in verdict.comparisons:
        assert np.isnan(row.p_value) == refused
        assert row.test == ("none" if refused else "paired bootstrap by patient, 100 resamples")
    assert any("9 patients" in n and "no intervals" in n for n in verdict.notes) == refused
    expected = set_nll(predictions["x"], np.eye(2, dtype=bool)[truth]).mean()
    assert metric_of(verdict, "x", "nll").value == pytest.approx(expected, abs=1e-12)


def test_an_undefined_metric_is_nan_with_a_note(rng):
    truth = np.full(30, 1)
    predictions = {"x": noisy(rng, truth), "y": noisy(rng, truth)}
    verdict = verdict_of(rows_of(truth, predictions), [("x", "y")])
    row = metric_of(verdict, "x", "auroc")
    assert np.isnan([row.value, row.ci_low, row.ci_high]).all()
    assert (row.n, row.n_patients) == (30, 30)
    row = comparison_of(verdict, "x", "y", "auroc")
    assert np.isnan([row.difference, row.ci_low, row.ci_high, row.p_value]).all()
    assert sorted(verdict.notes) == [
        f"all: auroc of {name} is undefined: the judged rows hold 1 class" for name in ("x", "y")
    ]
    assert np.isfinite([metric_of(verdict, "x", m).value for m in ("nll", "accuracy", "f1", "brier", "ece")]).all()


def test_the_note_on_folds_of_one_class_does_not_blame_the_rows(rng):
    truth = np.arange(30) % 3
    verdict = verdict_of(rows_of(truth, {"x": noisy(rng, truth)}, folds=truth))
    assert np.isnan(metric_of(verdict, "x", "auroc").value)
    (note,) = verdict.notes
    assert "fold" in note


def test_degenerate_resamples_are_counted_and_the_interval_stands(rng):
    """The method scored one of ten patients of class 1: a third of the resamples lack it."""
    truth = (np.arange(40) < 10).astype(int)
    gappy = without(noisy(rng, truth, k=2), (truth == 1) & (np.arange(40) > 0))
    verdict = verdict_of(rows_of(truth, {"gappy": gappy}, k=2), n_resamples=300, seed=4)
    lacking = int((draw(np.arange(40), truth, 300, 4).counts[:, 0] == 0).sum())
    assert 60 < lacking < 150
    row = metric_of(verdict, "gappy", "auroc")
    assert np.isfinite([row.value, row.ci_low, row.ci_high]).all()
    assert verdict.notes == [f"all: auroc of gappy: {lacking} resamples did not define it and were left out"]


def test_an_interval_depends_on_patients_not_on_rows(rng):
    """Every row four times over, as four slides of its patient: the same information, the same intervals."""
    truth = np.arange(45) % 3
    one, two = noisy(rng, truth), noisy(rng, truth)
    single = verdict_of(rows_of(truth, {"x": one, "y": two}), [("x", "y")])
    fourfold = np.repeat(np.arange(45), 4)
    slides = verdict_of(rows_of(truth[fourfold], {"x": one[fourfold], "y": two[fourfold]}, fourfold), [("x", "y")])
    for metric in ("nll", "auroc", "accuracy", "balanced_accuracy", "f1", "brier"):
        a, b = metric_of(single, "x", metric), metric_of(slides, "x", metric)
        assert (a.value, a.ci_low, a.ci_high) == pytest.approx((b.value, b.ci_low, b.ci_high), abs=1e-12)
        assert (b.n, b.n_patients) == (180, 45)
        c, d = comparison_of(single, "x", "y", metric), comparison_of(slides, "x", "y", metric)
        assert (c.difference, c.ci_low, c.ci_high) == pytest.approx((d.difference, d.ci_low, d.ci_high), abs=1e-12)
        assert c.p_value == pytest.approx(d.p_value, abs=1e-12)


def test_the_interval_of_a_mean_is_that_of_scipy(rng):
    """All patients in one stratum. Each limit has a Monte-Carlo sd of about 2.7 / sqrt(4000) = .04 standard errors;
    the tolerance is .25."""
    truth = np.zeros(150, dtype=int)
    log_prob = noisy(rng, truth, skill=0.5)
    nll = set_nll(log_prob, np.eye(3, dtype=bool)[truth])
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}), n_resamples=4000), "x", "nll")
    theirs = bootstrap((nll,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1))
    error = nll.std(ddof=1) / np.sqrt(150)
    limits = [theirs.confidence_interval.low, theirs.confidence_interval.high]
    assert [row.ci_low, row.ci_high] == pytest.approx(limits, abs=0.25 * error)
    assert row.ci_high - row.ci_low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_the_interval_of_a_stratified_mean_has_its_analytic_width(rng):
    """Outcomes of unequal sizes and spreads; the width is within 8 % of the analytic one."""
    truth = np.repeat([0, 1], [150, 50])
    log_prob = noisy(rng, truth, k=2, skill=np.where(truth == 0, -1.0, 4.0)[:, None])
    nll = set_nll(log_prob, np.eye(2, dtype=bool)[truth])
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}, k=2), n_resamples=4000), "x", "nll")
    variance = sum((truth == c).mean() ** 2 * nll[truth == c].var() / (truth == c).sum() for c in (0, 1))
    assert row.ci_high - row.ci_low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.08)
    assert abs(np.sqrt(variance) / (nll.std() / np.sqrt(200)) - 1) > 0.2  # an unstratified draw would show


def test_the_seed_decides_and_the_company_does_not(rng):
    truth = np.arange(30) % 3
    one, two = noisy(rng, truth), noisy(rng, truth)

    def limits(predictions, seed):
        row = metric_of(verdict_of(rows_of(truth, predictions), seed=seed), "one", "nll")
        return row.ci_low, row.ci_high

    assert limits({"one": one}, 0) == limits({"one": one}, 0) == limits({"two": two, "one": one}, 0)
    assert limits({"one": one}, 0) != limits({"one": one}, 1)


def test_judging_does_not_touch_the_predictions(rng):
    truth = np.arange(30) % 3
    log_prob = without(noisy(rng, truth), np.arange(30) == 4)
    kept = log_prob.copy()
    rows = rows_of(truth, {"x": log_prob})
    verdict_of(rows)
    average_patients(rows)
    assert np.array_equal(log_prob, kept, equal_nan=True)


def test_patients_are_averaged_in_log_probability_and_normalised():
    patients, truth, folds = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 1, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])
    prob = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    found = average_patients(rows_of(truth, {"x": np.log(prob)}, patients, folds, k=2))
    # Geometric means: sqrt(.45) to sqrt(.05) is 3 to 1; the cube root of .016 to that of .384 is 1 to 24^(1/3).
    third = 24 ** (1 / 3)
    expected = [[0.75, 0.25], [0.7, 0.3], [1 / (1 + third), third / (1 + third)]]
    assert np.exp(found.predictions["x"]) == pytest.approx(np.array(expected), abs=1e-12)
    assert found.observed.tolist() == [[False, True], [True, False], [False, True]]
    assert found.patients.tolist() == [0, 1, 2]
    assert found.folds.tolist() == [0, 1, 1]


def test_rows_that_a_method_lacks_do_not_enter_its_average(rng):
    patients, truth = np.array([1, 0, 1, 2, 0]), np.array([2, 0, 2, 1, 0])
    full = noisy(rng, truth)
    gappy = without(full, [True, False, False, True, False])
    found = average_patients(rows_of(truth, {"full": full, "gappy": gappy}, patients))
    assert found.predictions["gappy"][0] == pytest.approx(log_softmax(full[[1, 4]].mean(axis=0)), abs=1e-12)
    assert found.predictions["gappy"][1] == pytest.approx(full[2], abs=1e-12)
    assert np.isnan(found.predictions["gappy"][2]).all()
    assert found.predictions["full"][2] == pytest.approx(full[3], abs=1e-12)
    assert found.observed.argmax(axis=1).tolist() == [0, 2, 1]


def test_averaged_patients_are_the_unit_of_every_metric(rng):
    patients = np.repeat(np.arange(12), np.tile([1, 3], 6))
    truth = patients % 3
    rows = average_patients(rows_of(truth, {"x": noisy(rng, truth)}, patients))
    row = metric_of(verdict_of(rows), "x", "brier")
    assert (row.n, row.n_patients) == (12, 12)
    expected = ClassificationScores(rows.predictions["x"], rows.observed).values(np.ones((1, 12)))["brier"][0]
    assert row.value == pytest.approx(expected, abs=1e-12)


def test_a_patient_with_two_truths_is_refused(rng):
    truth = np.array([0, 1, 1, 2])
    with pytest.raises(InputError, match="one truth per patient"):
        average_patients(rows_of(truth, {"x": noisy(rng, truth)}, [0, 0, 1, 2]))
