"""Judging: folds, missing predictions, paired differences, and what is said where a number is
undefined."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import log_softmax, set_nll
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.multilabel import Multilabel
from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.evaluate import evaluate_task, evaluate_tasks
from pathfuse.evaluation.intervals import (
    Sampled,
    bca_interval,
    standard_error,
    t_p_value,
    t_quantile,
)
from pathfuse.evaluation.judged import Judged, average_patients
from pathfuse.evaluation.metrics.classification import ClassificationScores
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.multiplicity import holm
from pathfuse.evaluation.resampling import draw
from pathfuse.evaluation.rules import Rules
from pathfuse.evaluation.scales import LOG, PLAIN


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
    return evaluate_task(
        Multiclass(tuple("abcdefgh"[:k])), "all", rows, list(contrasts), n_resamples, seed
    )


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


NO_ECE = "ece has no interval: its value on a sample lies above that of all patients, the more so the fewer rows"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def by_hand(log_prob, truth, folds, patients, repeats):
    """NLL, accuracy and macro AUROC on rows repeated literally: inside each fold, averaged by
    patients."""
    there = ~np.isnan(log_prob[:, 0])
    values, shares = [], []
    for fold in np.unique(folds[there]):
        inside = np.flatnonzero(there & (folds == fold))
        shares.append(len(np.unique(patients[inside])))
        rows = np.repeat(inside, repeats[inside])
        prob, y = np.exp(log_prob[rows]), truth[rows]
        whole = len(np.unique(y)) == len(np.unique(truth[inside]))
        auroc = [roc_auc_score(y == c, prob[:, c]) if whole else np.nan for c in np.unique(y)]
        values.append([log_loss(y, prob, labels=range(prob.shape[1])), accuracy_score(y, prob.argmax(1)),
                       np.mean(auroc)])  # fmt: skip
    return np.average(values, axis=0, weights=shares)


@pytest.mark.slow
def test_the_whole_bootstrap_by_hand(rng):
    """Two folds of 20 and 12 patients with 1 to 3 rows each; one method lacks a quarter of the
    rows."""
    n_patients, k = 32, 3
    patients = np.repeat(np.arange(n_patients), rng.integers(1, 4, size=n_patients))
    truth, folds = patients % k, (patients >= 20).astype(int)
    full = noisy(rng, truth)
    gappy = without(noisy(rng, truth), rng.random(len(truth)) < 0.25)
    rows = rows_of(truth, {"full": full, "gappy": gappy}, patients, folds)
    rules = Rules(150, 5, "percentile")
    verdict = evaluate_tasks(Multiclass(("a", "b", "c")), {"all": rows}, [("full", "gappy")], rules)

    counts = draw(patients, folds, 150, 5).counts[:, patients]
    common = without(full, np.isnan(gappy[:, 0]))
    found = {}
    for name, log_prob in (("full", full), ("gappy", gappy), ("common", common)):
        point = by_hand(log_prob, truth, folds, patients, np.ones(len(truth), dtype=int))
        found[name] = (
            point,
            np.array([by_hand(log_prob, truth, folds, patients, c) for c in counts]),
        )
    for name in ("full", "gappy"):
        point, resampled = found[name]
        for column, metric in enumerate(("nll", "accuracy", "auroc")):
            row = metric_of(verdict, name, metric)
            assert row.value == pytest.approx(point[column], abs=1e-12)
            expected = np.nanpercentile(resampled[:, column], [2.5, 97.5])
            assert [row.ci_low, row.ci_high] == pytest.approx(expected, abs=1e-12), metric
    point, resampled = (
        one - other for one, other in zip(found["common"], found["gappy"], strict=True)
    )
    for column, metric in enumerate(("nll", "accuracy", "auroc")):
        row = comparison_of(verdict, "full", "gappy", metric)
        assert row.difference == pytest.approx(point[column], abs=1e-12)
        expected = np.nanpercentile(resampled[:, column], [2.5, 97.5])
        assert [row.ci_low, row.ci_high] == pytest.approx(expected, abs=1e-12), metric
        sides = min((resampled[:, column] <= 1e-14).sum(), (resampled[:, column] >= -1e-14).sum())
        assert row.p_value == pytest.approx(
            min(1.0, 2 * (1 + sides) / (1 + np.isfinite(resampled[:, column]).sum())), abs=1e-12
        )
        assert row.test == "paired bootstrap by patient, 150 resamples"


def test_all_metrics_of_all_methods_are_there(rng):
    truth = np.arange(30) % 3
    predictions = {name: noisy(rng, truth) for name in ("one", "two", "three")}
    verdict = verdict_of(rows_of(truth, predictions), [("three", "one"), ("one", "two")])
    metrics = Multiclass(("a", "b", "c")).metrics
    assert [(m.method, m.metric) for m in verdict.metrics] == [
        (n, m) for n in predictions for m in metrics
    ]
    assert [(c.method, c.reference, c.metric) for c in verdict.comparisons] == [
        (*pair, m) for pair in (("three", "one"), ("one", "two")) for m in metrics
    ]
    assert {m.output for m in verdict.metrics} | {c.output for c in verdict.comparisons} == {"all"}
    assert all(m.ci_low <= m.ci_high for m in verdict.metrics if m.metric != "ece")
    assert np.isnan([m.ci_low for m in verdict.metrics if m.metric == "ece"]).all()
    assert verdict.notes == [NO_ECE]


def test_identical_predictions_do_not_differ_at_all(rng):
    truth, folds = np.arange(60) % 3, np.arange(60) // 3 % 2
    log_prob = without(noisy(rng, truth), rng.random(60) < 0.2)
    verdict = verdict_of(
        rows_of(truth, {"one": log_prob, "same": log_prob.copy()}, folds=folds), [("one", "same")]
    )
    for row in verdict.comparisons:
        if row.metric != "ece":
            assert (row.difference, row.ci_low, row.ci_high, row.p_value) == (0.0, 0.0, 0.0, 1.0), (
                row.metric
            )


def test_differences_are_paired(rng):
    """Two noisy methods with a constant gap: their intervals overlap widely, that of the difference
    has no width."""
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
    verdict = verdict_of(
        rows_of(truth, {"better": np.log(shifted), "other": other}), [("better", "other")], 500
    )
    row = comparison_of(verdict, "better", "other", "nll")
    assert [row.difference, row.ci_low, row.ci_high] == pytest.approx([-0.01] * 3, abs=1e-12)
    assert row.p_value <= 2 / 501
    alone = metric_of(verdict, "better", "nll")
    assert alone.ci_high - alone.ci_low > 0.1


def test_n_counts_scored_rows_and_their_patients(rng):
    truth, patients = np.arange(40) // 2 % 3, np.arange(40) // 2
    absent = np.zeros(40, dtype=bool)
    absent[[0, 1, 2, 7]] = True  # patient 0 wholly, patients 1 and 3 in part
    full = noisy(rng, truth)
    verdict = verdict_of(
        rows_of(truth, {"full": full, "gappy": without(full, absent)}, patients), n_resamples=20
    )
    for metric in Multiclass(("a", "b", "c")).metrics:
        row = metric_of(verdict, "full", metric)
        assert (row.n, row.n_patients) == (40, 20)
        row = metric_of(verdict, "gappy", metric)
        assert (row.n, row.n_patients) == (36, 19)
    observed = np.eye(3, dtype=bool)[truth]
    assert metric_of(verdict, "gappy", "nll").value == pytest.approx(
        set_nll(full, observed)[~absent].mean(), abs=1e-12
    )


def test_comparisons_are_on_the_rows_that_both_predict(rng):
    truth = np.arange(48) % 3
    nll, predictions = {}, {}
    for name, absent in (
        ("one", np.arange(48) < 9),
        ("two", np.arange(48) >= 40),
        ("full", np.zeros(48, dtype=bool)),
    ):
        log_prob = noisy(rng, truth)
        nll[name] = set_nll(log_prob, np.eye(3, dtype=bool)[truth])
        predictions[name] = without(log_prob, absent)
    pairs = [("one", "two"), ("two", "one"), ("full", "one"), ("one", "full")]
    verdict = verdict_of(rows_of(truth, predictions), pairs)
    for name, reference in pairs:
        common = ~np.isnan(predictions[name][:, 0]) & ~np.isnan(predictions[reference][:, 0])
        row = comparison_of(verdict, name, reference, "nll")
        assert row.difference == pytest.approx(
            (nll[name] - nll[reference])[common].mean(), abs=1e-12
        )
        apart = metric_of(verdict, name, "nll").value - metric_of(verdict, reference, "nll").value
        assert abs(row.difference - apart) > 1e-3  # the test could tell
    one, other = (comparison_of(verdict, *pair, "nll") for pair in pairs[:2])
    assert (one.difference, one.ci_low, one.ci_high) == pytest.approx(
        (-other.difference, -other.ci_high, -other.ci_low)
    )
    assert one.p_value == pytest.approx(other.p_value, rel=1e-12)


def test_methods_without_a_common_row_are_not_compared(rng):
    truth = np.arange(60) % 3
    log_prob = noisy(rng, truth)
    predictions = {
        "early": without(log_prob, np.arange(60) >= 30),
        "late": without(log_prob, np.arange(60) < 30),
    }
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
    return log_softmax(
        np.stack([np.zeros(len(log_odds)), np.asarray(log_odds, dtype=float)], axis=1)
    )


def test_folds_are_averaged_and_never_pooled():
    """Each fold ranks its patients perfectly, on a scale of its own; pooled, half of the pairs
    across are wrong."""
    truth = np.tile([0, 0, 1, 1], 5)
    folds = np.repeat([0, 1], [12, 8])
    log_odds = np.where(truth == 1, 1.0, -1.0) + np.where(folds == 1, 5.0, 0.0)
    pooled = roc_auc_score(truth, log_odds)
    rows = rows_of(truth, {"x": binary(log_odds)}, folds=folds, k=2)
    row = metric_of(verdict_of(rows), "x", "auroc")
    assert pooled < 0.8
    assert row.value == 1.0
    assert row.ci_high == 1.0
    together = rows_of(truth, {"x": binary(log_odds)}, k=2)
    assert metric_of(verdict_of(together), "x", "auroc").value == pytest.approx(pooled, abs=1e-12)


def test_folds_weigh_by_their_patients_not_by_their_rows():
    """Fold 0: 8 patients of one row, all ranked right; fold 1: 4 patients of five rows, all ranked
    wrong."""
    patients = np.concatenate([np.arange(8), np.repeat(np.arange(8, 12), 5)])
    truth, folds = patients % 2, (patients >= 8).astype(int)
    log_odds = np.where(truth == 1, 1.0, -1.0) * np.where(folds == 0, 1, -1)
    verdict = verdict_of(rows_of(truth, {"x": binary(log_odds)}, patients, folds, k=2))
    assert metric_of(verdict, "x", "auroc").value == pytest.approx(8 / 12, abs=1e-12)
    assert metric_of(verdict, "x", "accuracy").value == pytest.approx(8 / 12, abs=1e-12)
    right, wrong = np.log1p(np.exp(-1)), np.log1p(np.exp(1))
    assert metric_of(verdict, "x", "nll").value == pytest.approx(
        (8 * right + 4 * wrong) / 12, abs=1e-12
    )


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
    assert metric_of(verdict, "x", "nll").value == pytest.approx(
        -log_prob[np.arange(40), truth].mean(), abs=1e-12
    )


def test_resampling_stays_inside_folds():
    """Within a fold all rows are alike, so only a draw that moved patients between folds could vary
    the mean."""
    folds = np.arange(30) // 10
    truth = np.zeros(30, dtype=int)
    log_prob = log_softmax(np.array([[3.0, 0, 0], [1, 0, 0], [0, 1, 0]]))[folds]
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}, folds=folds)), "x", "nll")
    assert [row.ci_low, row.ci_high] == pytest.approx([row.value] * 2, abs=1e-12)


@pytest.mark.parametrize(("n_patients", "refused"), [(9, True), (10, False)])
def test_intervals_need_ten_patients(rng, n_patients, refused):
    patients = np.repeat(np.arange(n_patients), 6)
    truth = patients % 2
    predictions = {"x": noisy(rng, truth, k=2), "y": noisy(rng, truth, k=2)}
    verdict = verdict_of(rows_of(truth, predictions, patients, k=2), [("x", "y")], 200)
    for row in [*verdict.metrics, *verdict.comparisons]:
        if row.metric != "ece":
            assert np.isnan([row.ci_low, row.ci_high]).tolist() == [refused, refused]
    for row in (c for c in verdict.comparisons if c.metric != "ece"):
        assert np.isnan(row.p_value) == refused
        assert row.test == ("none" if refused else "paired bootstrap by patient, 200 resamples, t")
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
    (note,) = [note for note in verdict.notes if "auroc" in note]
    assert note == "all: auroc of x, y is undefined: the judged rows hold 1 class"
    assert np.isfinite(
        [metric_of(verdict, "x", m).value for m in ("nll", "accuracy", "f1", "brier", "ece")]
    ).all()


def test_the_note_on_folds_of_one_class_does_not_blame_the_rows(rng):
    truth = np.arange(30) % 3
    verdict = verdict_of(rows_of(truth, {"x": noisy(rng, truth)}, folds=truth))
    assert np.isnan(metric_of(verdict, "x", "auroc").value)
    (note,) = [n for n in verdict.notes if "auroc" in n]
    assert "fold" in note


def test_holm_counts_an_expert_once_under_two_names_and_equal_figures_twice(rng):
    truth = np.arange(60) % 2
    own, other = noisy(rng, truth, 2), noisy(rng, truth, 2)
    flipped = own[:, ::-1].copy()
    predictions = {
        "fused": noisy(rng, truth, 2, 3.0),
        "a": own,
        "best_expert": own,
        "b": other,
        "c": flipped,
    }
    contrasts = [("fused", name) for name in list(predictions)[1:]]
    verdict = verdict_of(rows_of(truth, predictions, k=2), contrasts)
    rows = {c.reference: c for c in verdict.comparisons if c.metric == "nll"}
    assert rows["a"].p_holm == rows["best_expert"].p_holm
    expected = holm(np.array([rows[name].p_value for name in ("a", "b", "c")]))
    np.testing.assert_allclose([rows[name].p_holm for name in ("a", "b", "c")], expected)
    twice = {**predictions, "c": other.copy() * [1.0, 1.0]}
    twice["c"][0] += 1e-9  # another expert whose figures are the same: it counts
    verdict = verdict_of(rows_of(truth, twice, k=2), contrasts)
    rows = {c.reference: c for c in verdict.comparisons if c.metric == "accuracy"}
    assert rows["b"].p_value == rows["c"].p_value
    expected = holm(np.array([rows[name].p_value for name in ("a", "b", "c")]))
    np.testing.assert_allclose([rows[name].p_holm for name in ("a", "b", "c")], expected)


def test_degenerate_resamples_are_counted_and_the_interval_stands(rng):
    """The method scored one of ten patients of class 1: a third of the resamples lack it."""
    truth = (np.arange(40) < 10).astype(int)
    gappy = without(noisy(rng, truth, k=2), (truth == 1) & (np.arange(40) > 0))
    verdict = verdict_of(rows_of(truth, {"gappy": gappy}, k=2), n_resamples=300, seed=4)
    lacking = int((draw(np.arange(40), np.zeros(40, dtype=int), 300, 4).counts[:, 0] == 0).sum())
    assert 60 < lacking < 150
    row = metric_of(verdict, "gappy", "auroc")
    assert np.isfinite([row.value, row.ci_low, row.ci_high]).all()
    left_out = f"has {lacking} resamples that did not define it and were left out"
    assert f"all: auroc of gappy {left_out}" in verdict.notes


def test_an_interval_depends_on_patients_not_on_rows(rng):
    """Every row four times over, as four slides of its patient: the same information, the same
    intervals."""
    truth = np.arange(45) % 3
    one, two = noisy(rng, truth), noisy(rng, truth)
    single = verdict_of(rows_of(truth, {"x": one, "y": two}), [("x", "y")])
    fourfold = np.repeat(np.arange(45), 4)
    slides = verdict_of(
        rows_of(truth[fourfold], {"x": one[fourfold], "y": two[fourfold]}, fourfold), [("x", "y")]
    )
    for metric in ("nll", "auroc", "accuracy", "balanced_accuracy", "f1", "brier"):
        a, b = metric_of(single, "x", metric), metric_of(slides, "x", metric)
        assert (a.value, a.ci_low, a.ci_high) == pytest.approx(
            (b.value, b.ci_low, b.ci_high), abs=1e-12
        )
        assert (b.n, b.n_patients) == (180, 45)
        c, d = comparison_of(single, "x", "y", metric), comparison_of(slides, "x", "y", metric)
        assert (c.difference, c.ci_low, c.ci_high) == pytest.approx(
            (d.difference, d.ci_low, d.ci_high), abs=1e-12
        )
        assert c.p_value == pytest.approx(d.p_value, abs=1e-12)


def test_the_interval_of_a_mean_is_that_of_scipy(rng):
    """All patients in one stratum. Each limit has a Monte-Carlo sd of about 2.7 / sqrt(4000) = .04
    standard errors; the tolerance is .25."""
    truth = np.zeros(150, dtype=int)
    log_prob = noisy(rng, truth, skill=0.5)
    nll = set_nll(log_prob, np.eye(3, dtype=bool)[truth])
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}), n_resamples=4000), "x", "nll")
    theirs = bootstrap(
        (nll,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
    )
    error = nll.std(ddof=1) / np.sqrt(150)
    limits = [theirs.confidence_interval.low, theirs.confidence_interval.high]
    assert [row.ci_low, row.ci_high] == pytest.approx(limits, abs=0.25 * error)
    assert row.ci_high - row.ci_low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_the_number_of_patients_of_an_outcome_is_not_held_fixed(rng):
    """Outcomes of unequal sizes and losses: a draw inside outcomes would give an interval half as
    wide."""
    truth = np.repeat([0, 1], [150, 50])
    log_prob = noisy(rng, truth, k=2, skill=np.where(truth == 0, -1.0, 4.0)[:, None])
    nll = set_nll(log_prob, np.eye(2, dtype=bool)[truth])
    row = metric_of(verdict_of(rows_of(truth, {"x": log_prob}, k=2), n_resamples=4000), "x", "nll")
    error = nll.std(ddof=1) / np.sqrt(200)
    assert row.ci_high - row.ci_low == pytest.approx(2 * stats.t.ppf(0.975, 199) * error, rel=0.08)
    inside = sum(
        (truth == c).mean() ** 2 * nll[truth == c].var() / (truth == c).sum() for c in (0, 1)
    )
    assert np.sqrt(inside) < 0.8 * error


def test_an_interval_does_not_depend_on_the_names_of_a_patients_tiles(rng):
    """Patients with tiles of both classes: the order of the rows, which follows their names,
    decides nothing."""
    patients = np.repeat(np.arange(15), 4)
    truth = rng.integers(0, 2, size=60)
    log_prob = noisy(rng, truth, k=2)
    turned = np.arange(60).reshape(15, 4)[:, ::-1].ravel()
    one = verdict_of(rows_of(truth, {"x": log_prob}, patients, k=2))
    other = verdict_of(rows_of(truth[turned], {"x": log_prob[turned]}, patients, k=2))
    for metric in ("nll", "auroc", "f1"):
        a, b = metric_of(one, "x", metric), metric_of(other, "x", metric)
        assert (a.value, a.ci_low, a.ci_high) == pytest.approx(
            (b.value, b.ci_low, b.ci_high), abs=1e-12
        )


def test_intervals_are_t_on_the_metrics_scale(rng):
    """The limits are those of ``evaluation.intervals`` on the judge's own resamples."""
    truth = np.arange(40) % 2
    said = {name: noisy(rng, truth, k=2) for name in ("x", "y")}
    rows = rows_of(truth, said, k=2)
    verdict = verdict_of(rows, [("x", "y")], 300, 7)
    counts, sampled = draw(rows.patients, rows.folds, 300, 7).counts, Sampled(40)
    nll = {name: set_nll(p, rows.observed) for name, p in said.items()}
    left_out = {
        name: np.array([np.delete(own, p).mean() for p in range(40)]) for name, own in nll.items()
    }
    freedom = sampled.freedom_of(left_out["x"])
    error = standard_error(counts @ nll["x"] / 40, sampled)
    expected = LOG.interval(nll["x"].mean(), error, t_quantile(freedom))
    row = metric_of(verdict, "x", "nll")
    assert (row.ci_low, row.ci_high) == pytest.approx(expected, abs=1e-12)
    pair, apart = comparison_of(verdict, "x", "y", "nll"), nll["x"] - nll["y"]
    freedom = sampled.freedom_of(left_out["x"] - left_out["y"])
    error = standard_error(counts @ apart / 40, sampled)
    low, high = PLAIN.interval(apart.mean(), error, t_quantile(freedom))
    assert (pair.ci_low, pair.ci_high) == pytest.approx((low, high), abs=1e-12)
    assert pair.p_value == pytest.approx(t_p_value(apart.mean(), error, freedom), rel=1e-9)
    assert pair.test == "paired bootstrap by patient, 300 resamples, t"
    assert (pair.p_value < 0.05) == (low > 0 or high < 0)


def test_no_interval_reaches_above_what_there_is():
    """One confident error among twelve: the Brier score lies between 0 and 2."""
    truth = np.arange(12) % 2
    sure = np.where(np.eye(2)[truth] == 1, 0.999, 0.001)
    sure[0] = sure[0, ::-1]
    row = metric_of(
        verdict_of(rows_of(truth, {"x": np.log(sure)}, k=2), n_resamples=300), "x", "brier"
    )
    assert 0 < row.ci_low < row.value < row.ci_high <= 2


def test_many_patients_are_left_out_in_parts(rng):
    """Whether a few of 2,000 carry a loss shows in 300 parts as well as in 2,000."""
    truth = np.arange(2000) % 2
    sure = np.where(np.eye(2)[truth] == 1, 0.999, 0.001)
    sure[:2] = sure[:2, ::-1]
    verdict = verdict_of(rows_of(truth, {"x": np.log(sure)}, k=2), n_resamples=300)
    row = metric_of(verdict, "x", "nll")
    assert row.value == pytest.approx(0.0079, abs=1e-4)
    assert row.ci_low < 0.003  # of two errors in 2,000 little is known
    assert row.ci_high > 0.02


def test_a_perfect_figure_of_few_patients_is_not_beyond_doubt():
    """15 of 15 right, which no resample changes: Wilson's interval. Equal calls of two methods
    likewise."""
    truth = np.arange(15) % 2
    sure = np.log(np.where(np.eye(2)[truth] == 1, 0.9, 0.1))
    surer = np.log(np.where(np.eye(2)[truth] == 1, 0.95, 0.05))
    verdict = verdict_of(
        rows_of(truth, {"x": sure, "y": surer, "z": sure}, k=2), [("x", "y"), ("x", "z")]
    )
    least = stats.binomtest(15, 15).proportion_ci(method="wilson").low
    for metric, low in (("auroc", least), ("mcc", 2 * least - 1)):
        row = metric_of(verdict, "x", metric)
        assert (row.value, row.ci_high) == (1.0, 1.0)
        assert row.ci_low == pytest.approx(low)
    pair = comparison_of(verdict, "x", "y", "accuracy")
    assert (pair.difference, pair.p_value) == (0.0, 1.0)
    assert (pair.ci_low, pair.ci_high) == pytest.approx((-(1 - least), 1 - least))
    same = comparison_of(verdict, "x", "z", "accuracy")
    assert (same.ci_low, same.ci_high, same.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("n_resamples", [1, 99])
def test_fewer_than_a_hundred_resamples_give_no_interval(rng, n_resamples):
    truth = np.arange(40) % 2
    rows = rows_of(truth, {name: noisy(rng, truth, k=2) for name in ("x", "y")}, k=2)
    verdict = verdict_of(rows, [("x", "y")], n_resamples)
    assert np.isnan([m.ci_low for m in verdict.metrics]).all()
    assert np.isnan([c.p_value for c in verdict.comparisons]).all()
    assert f"{n_resamples} resamples, fewer than 100: no intervals" in verdict.notes
    assert verdict.intervals == {}


def test_the_mean_over_labels_has_the_interval_of_the_same_labels(rng):
    """One label has two positive patients: a resample without them says nothing about the mean over
    both labels.

    Averaged over whichever labels a resample has, the interval would reach up to the easy label's
    figures.
    """
    easy, hard = np.arange(60) % 2, (np.arange(60) < 2).astype(int)
    tasks = {
        "easy": rows_of(easy, {"x": noisy(rng, easy, k=2, skill=4.0)}, k=2),
        "hard": rows_of(hard, {"x": noisy(rng, hard, k=2, skill=0.0)}, k=2),
    }
    verdict = evaluate_tasks(Multilabel(("easy", "hard")), tasks, [], Rules(400, 3, "percentile"))
    rows = {m.output: m for m in verdict.metrics if m.metric == "auroc"}
    assert rows["all"].value == pytest.approx((rows["easy"].value + rows["hard"].value) / 2)
    assert rows["all"].ci_high <= (rows["easy"].ci_high + rows["hard"].ci_high) / 2 + 0.02
    assert rows["all"].ci_low >= (rows["easy"].ci_low + rows["hard"].ci_low) / 2 - 0.02


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
    patients, truth, folds = (
        np.array([0, 0, 1, 2, 2, 2]),
        np.array([1, 1, 0, 1, 1, 1]),
        np.array([0, 0, 1, 1, 1, 1]),
    )
    prob = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    found = average_patients(rows_of(truth, {"x": np.log(prob)}, patients, folds, k=2))
    # Geometric means: sqrt(.45) to sqrt(.05) is 3 to 1; the cube root of .016 to that of .384 is 1
    # to 24^(1/3).
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
    assert found.predictions["gappy"][0] == pytest.approx(
        log_softmax(full[[1, 4]].mean(axis=0)), abs=1e-12
    )
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
    expected = ClassificationScores(rows.predictions["x"], rows.observed).values(np.ones((1, 12)))[
        "brier"
    ][0]
    assert row.value == pytest.approx(expected, abs=1e-12)


def test_a_patient_with_two_truths_is_refused(rng):
    truth = np.array([0, 1, 1, 2])
    with pytest.raises(InputError, match="one truth per patient"):
        average_patients(rows_of(truth, {"x": noisy(rng, truth)}, [0, 0, 1, 2]))


# Intervals refused for want of outcomes


def values_of(verdict):
    return {(m.method, m.output, m.metric): m.value for m in verdict.metrics}


def assert_refused(verdict, output, refused):
    """Intervals and p-values of one output are there or not; point values always are."""
    metrics = [m for m in verdict.metrics if m.output == output and m.metric != "ece"]
    comparisons = [c for c in verdict.comparisons if c.output == output and c.metric != "ece"]
    assert metrics
    assert comparisons
    assert np.isfinite([m.value for m in metrics]).all()
    assert np.isfinite([c.difference for c in comparisons]).all()
    limits = [x for row in (*metrics, *comparisons) for x in (row.ci_low, row.ci_high)]
    assert np.isnan(limits).all() if refused else np.isfinite(limits).all()
    p_values = [x for c in comparisons for x in (c.p_value, c.p_holm)]
    assert np.isnan(p_values).all() if refused else np.isfinite(p_values).all()
    for test in (t for t in verdict.tests if t.output == output):
        if test.test.startswith("non-inferiority"):
            assert (test.conclusion == "no intervals") == refused
        assert np.isnan(test.p_value) == refused, test


CONTRAST = [("one", "best_expert")]


def survival_rows(rng, n_events, per_patient=1):
    """30 patients, the last of them with an event; the censoring is that of other patients."""
    patients = np.arange(30 * per_patient) // per_patient
    time = 4.0 + 20 * rng.permutation(30)[patients] / 30
    event = (patients >= 30 - n_events).astype(float)
    time = np.where(event == 1, 5.0 + patients % 7, time)  # comparable with most
    edges = (0.0, 10.0, 20.0, np.inf)
    bins = np.searchsorted(edges, time) - 1
    outcome = np.arange(4)
    observed = np.where(event[:, None] == 1, outcome == bins[:, None], outcome > bins[:, None])
    fit = 30 * rng.random(200)
    truth = SurvivalTruth(
        time, event, np.array(edges), (Censoring.fit(fit, (rng.random(200) < 0.5).astype(float)),)
    )
    said = {
        name: event_distribution(rng.normal(size=(len(time), 3))) for name in ("one", "best_expert")
    }
    return Survival(edges), Judged(
        observed, patients, np.zeros(len(time), dtype=np.int64), said, truth
    )


@pytest.mark.parametrize("interval", ["auto", "percentile", "bca"])
@pytest.mark.parametrize(("n_events", "refused"), [(1, True), (2, False), (6, False)])
def test_survival_intervals_need_two_events(rng, n_events, refused, interval):
    endpoint, rows = survival_rows(rng, n_events)
    verdict = evaluate_tasks(endpoint, {"all": rows}, CONTRAST, Rules(400, interval=interval))
    assert_refused(verdict, "all", refused)
    assert [n for n in verdict.notes if "no intervals" in n] == (
        ["all: 1 event, fewer than 2: no intervals"] if refused else []
    )
    bare = evaluate_tasks(endpoint, {"all": rows}, CONTRAST, Rules(0))
    assert values_of(verdict) == values_of(bare)


def test_survival_without_an_event_has_its_nll_and_no_interval(rng):
    endpoint, rows = survival_rows(rng, 0)
    verdict = evaluate_tasks(endpoint, {"all": rows}, CONTRAST, Rules(100))
    assert "all: 0 events, fewer than 2: no intervals" in verdict.notes
    row = metric_of(verdict, "one", "nll")
    assert row.value == pytest.approx(set_nll(rows.predictions["one"], rows.observed).mean())
    assert np.isnan([row.ci_low, row.ci_high, metric_of(verdict, "one", "c_index").value]).all()


@pytest.mark.parametrize(("still_followed", "refused"), [(0.05, True), (0.2, False)])
def test_differences_of_unos_c_are_refused_where_one_event_weighs_most(
    rng, still_followed, refused
):
    """1 / 0.05^2 is 400, 1 / 0.2^2 is 25; figures keep their intervals."""
    endpoint, rows = survival_rows(rng, 8)
    censoring = Censoring(np.array([9.0, 30.0]), np.array([still_followed, still_followed / 2]))
    rows = replace(rows, context=replace(rows.context, censorings=(censoring,)))
    verdict = evaluate_tasks(endpoint, {"all": rows}, CONTRAST, Rules(200))
    said = [note for note in verdict.notes if "c_index_ipcw have no interval" in note]
    assert [f"up to {1 / still_followed**2:.0f} times" in note for note in said] == [True] * refused
    row = comparison_of(verdict, "one", "best_expert", "c_index_ipcw")
    assert np.isnan([row.ci_low, row.ci_high, row.p_value]).tolist() == [refused] * 3
    assert (row.test == "none") == refused
    for there in (
        comparison_of(verdict, "one", "best_expert", "c_index"),
        metric_of(verdict, "one", "c_index_ipcw"),
    ):
        assert np.isfinite([there.ci_low, there.ci_high]).all()


def test_the_weights_of_uno_s_c_are_those_of_each_fold(rng):
    """Half of the rows lie in a fold whose weights would be 400 for the events of the other."""
    endpoint, rows = survival_rows(rng, 8)
    light, heavy = (Censoring(np.array([9.0, 30.0]), np.array([g, g / 2])) for g in (0.2, 0.05))
    folds = (rows.context.event == 0).astype(np.int64)  # all events are in fold 0
    for censorings, refused in (((light, heavy), False), ((heavy, light), True)):
        given = replace(rows, folds=folds, context=replace(rows.context, censorings=censorings))
        said = evaluate_tasks(endpoint, {"all": given}, CONTRAST, Rules(200)).notes
        assert any("c_index_ipcw have no interval" in note for note in said) == refused


def test_the_slides_of_one_patient_are_one_event(rng):
    endpoint, rows = survival_rows(rng, 1, per_patient=3)
    assert rows.context.event.sum() == 3
    verdict = evaluate_tasks(endpoint, {"all": rows}, CONTRAST, Rules(100))
    assert_refused(verdict, "all", refused=True)
    assert "all: 1 event, fewer than 2: no intervals" in verdict.notes


def binary_rows(rng, n_positive, per_patient=1, n_patients=30):
    patients = np.arange(n_patients * per_patient) // per_patient
    truth = (patients < n_positive).astype(int)
    said = {name: noisy(rng, truth, k=2) for name in ("one", "best_expert")}
    return rows_of(truth, said, patients, k=2)


@pytest.mark.parametrize("per_patient", [1, 4])
@pytest.mark.parametrize(
    ("n_positive", "note"),
    [
        (1, "all: only one patient is b, fewer than 2: no intervals"),
        (29, "all: only one patient is a, fewer than 2: no intervals"),
        (2, None),
        (28, None),
    ],
)
def test_two_classes_need_two_patients_each(rng, n_positive, note, per_patient):
    verdict = evaluate_tasks(
        Multiclass(("a", "b")),
        {"all": binary_rows(rng, n_positive, per_patient)},
        CONTRAST,
        Rules(400),
    )
    assert_refused(verdict, "all", refused=note is not None)
    assert [n for n in verdict.notes if "no intervals" in n] == ([note] if note else [])


@pytest.mark.parametrize("interval", ["auto", "percentile", "bca"])
def test_a_rare_label_loses_its_intervals_and_the_mean_over_labels_keeps_its_own(rng, interval):
    tasks = {"common": binary_rows(rng, 12), "rare": binary_rows(rng, 1)}
    verdict = evaluate_tasks(
        Multilabel(("common", "rare")), tasks, CONTRAST, Rules(400, interval=interval)
    )
    assert_refused(verdict, "common", refused=False)
    assert_refused(verdict, "rare", refused=True)
    assert_refused(verdict, "all", refused=False)
    assert [n for n in verdict.notes if "no intervals" in n] == [
        "rare: only one patient is 1, fewer than 2: no intervals"
    ]
    values = values_of(verdict)
    for metric in Multilabel(("common", "rare")).metrics:
        mean = (values["one", "common", metric] + values["one", "rare", metric]) / 2
        assert values["one", "all", metric] == pytest.approx(mean, abs=1e-12)


# Adjusted p-values


def test_p_values_are_adjusted_over_the_references_of_a_method_per_output_and_metric(rng):
    truth = np.arange(60) % 2
    said = {
        name: noisy(rng, truth, k=2, skill=s)
        for name, s in (("x", 1.5), ("y", 0.8), ("z", 0.7), ("w", 1.2))
    }
    tasks = {
        name: rows_of(np.roll(truth, shift), said, k=2) for shift, name in ((0, "a"), (1, "b"))
    }
    contrasts = [("x", "y"), ("x", "z"), ("x", "w"), ("w", "y"), ("w", "z")]
    verdict = evaluate_tasks(Multilabel(("a", "b")), tasks, contrasts, Rules(300))
    found = {}
    for row in verdict.comparisons:
        if row.metric != "ece":
            found.setdefault((row.method, row.output, row.metric), []).append(row)
            assert row.p_holm >= row.p_value
    assert len(found) == 2 * 3 * (len(Multilabel(("common", "rare")).metrics) - 1)
    for (method, *_), rows in found.items():
        assert [r.reference for r in rows] == [b for a, b in contrasts if a == method]
        assert [r.p_holm for r in rows] == pytest.approx(holm(np.array([r.p_value for r in rows])))
    assert any(row.p_holm > 2 * row.p_value for row in verdict.comparisons)


# BCa intervals


def test_bca_intervals_of_means_are_scipys(rng):
    """One row per patient, one stratum: the means of rows, on the judge's own resamples."""
    truth = np.zeros(60, dtype=int)
    said = {"x": noisy(rng, truth, skill=0.5), "y": noisy(rng, truth, skill=1.0)}
    rows = rows_of(truth, said)
    verdict = evaluate_tasks(
        Multiclass(("a", "b", "c")), {"all": rows}, [("x", "y")], Rules(500, 3, "bca")
    )
    nll = {name: set_nll(p, rows.observed) for name, p in said.items()}
    row = comparison_of(verdict, "x", "y", "nll")
    assert row.test == "paired bootstrap by patient, 500 resamples, BCa interval"
    counts = draw(rows.patients, np.zeros(60, dtype=int), 500, 3).counts
    for values, found in ((nll["x"], metric_of(verdict, "x", "nll")), (nll["x"] - nll["y"], row)):
        start = bootstrap(
            (values,), np.mean, n_resamples=2, method="percentile", rng=np.random.default_rng(0)
        )
        ours = replace(start, bootstrap_distribution=counts @ values / 60)
        theirs = bootstrap(
            (values,), np.mean, n_resamples=0, method="BCa", bootstrap_result=ours
        ).confidence_interval
        assert (found.ci_low, found.ci_high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.slow
def test_bca_intervals_leave_whole_patients_out(rng):
    """Two folds, patients of 1 to 3 rows: the judge by hand, with each patient's rows deleted in
    turn."""
    n_patients, k = 24, 2
    patients = np.repeat(np.arange(n_patients), rng.integers(1, 4, size=n_patients))
    truth, folds = patients % k, (patients >= 14).astype(int)
    said = {name: noisy(rng, truth, k=k) for name in ("x", "y")}
    rows = rows_of(truth, said, patients, folds, k=k)
    rules = Rules(140, 5, "bca")
    verdict = evaluate_tasks(Multiclass(("a", "b")), {"all": rows}, [("x", "y")], rules)
    plain = evaluate_tasks(
        Multiclass(("a", "b")), {"all": rows}, [("x", "y")], Rules(140, 5, "percentile")
    )
    counts = draw(patients, folds, 140, 5).counts[:, patients]
    shares = np.array([14, 10])

    def both(name, repeats):
        values = []
        for fold in (0, 1):
            again = np.repeat(np.arange(len(truth)), repeats * (folds == fold))
            prob = np.exp(said[name][again])
            values.append(
                [
                    log_loss(truth[again], prob, labels=[0, 1]),
                    roc_auc_score(truth[again], prob[:, 1]),
                ]
            )
        return np.average(values, axis=0, weights=shares)

    weights = [
        np.ones(len(truth), dtype=int),
        *counts,
        *(1 * (patients != p) for p in range(n_patients)),
    ]
    differences = np.array([both("x", w) - both("y", w) for w in weights])
    for column, metric in enumerate(("nll", "auroc")):
        point, resampled, left_out = np.split(differences[:, column], [1, 141])
        expected = bca_interval(float(point[0]), resampled, left_out)
        row, other = (
            comparison_of(verdict, "x", "y", metric),
            comparison_of(plain, "x", "y", metric),
        )
        assert (row.ci_low, row.ci_high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert (row.difference, row.p_value) == (other.difference, other.p_value)
        assert (row.ci_low, row.ci_high) != (other.ci_low, other.ci_high)


@pytest.mark.parametrize("interval", ["auto", "percentile", "bca"])
def test_a_method_that_is_silent_on_one_label_speaks_for_the_others(rng, interval):
    """An expert may have scored no judged row of one label."""
    tasks = {"a": binary_rows(rng, 12), "b": binary_rows(rng, 15)}
    silent = np.full_like(tasks["b"].predictions["one"], np.nan)
    tasks["b"] = replace(tasks["b"], predictions={**tasks["b"].predictions, "one": silent})
    verdict = evaluate_tasks(Multilabel(("a", "b")), tasks, CONTRAST, Rules(200, interval=interval))
    rows = {m.output: m for m in verdict.metrics if (m.method, m.metric) == ("one", "auroc")}
    assert np.isnan([rows["b"].value, rows["b"].ci_low]).all()
    figures = [(rows[o].value, rows[o].ci_low, rows[o].ci_high) for o in ("a", "all")]
    assert np.isfinite(figures).all()
    assert figures[0] == pytest.approx(figures[1], abs=1e-12)


def test_a_constant_prediction_has_no_doubt_about_its_auroc():
    truth = np.arange(40) % 2
    row = metric_of(
        verdict_of(rows_of(truth, {"x": np.log(np.full((40, 2), 0.5))}, k=2)), "x", "auroc"
    )
    assert (row.value, row.ci_low, row.ci_high) == (0.5, 0.5, 0.5)


def test_resamples_that_lack_a_label_are_counted_for_the_mean(rng):
    tasks = {"common": binary_rows(rng, 12), "rare": binary_rows(rng, 2)}
    verdict = evaluate_tasks(Multilabel(("common", "rare")), tasks, CONTRAST, Rules(400))
    lacking = [n for n in verdict.notes if n.endswith("lack a label or target, and were left out")]
    assert {n.split()[1] for n in lacking} == {"auroc", "auprc", "balanced_accuracy", "f1", "mcc"}


def test_nobody_is_superior_beside_a_test_over_folds_that_shows_nothing(rng):
    """The bootstrap takes the fitted models as given and is sure; four folds are too few for the
    corrected t."""
    truth, folds = np.arange(200) % 2, np.arange(200) // 2 % 4
    good = noisy(rng, truth, k=2)
    gain = np.array([0.05, 0.1, 0.8, 0.95])[folds][:, None]
    poor = log_softmax((1 - gain) * good)
    verdict = verdict_of(
        rows_of(truth, {"one": good, "best_expert": poor}, folds=folds, k=2),
        [("one", "best_expert")],
        500,
    )
    tests = {(t.test.split(",")[0], t.metric): t for t in verdict.tests}
    over_folds, margin = tests["corrected resampled t", "nll"], tests["non-inferiority", "nll"]
    row = comparison_of(verdict, "one", "best_expert", "nll")
    assert row.p_holm < 0.05 < over_folds.p_holm
    assert margin.conclusion != "superior"


def test_equal_calls_of_few_patients_are_not_equivalent():
    """The margin is judged by the same distribution as the interval of the comparison."""
    truth = np.arange(60) % 2
    sure = np.log(np.where(np.eye(2)[truth] == 1, 0.9, 0.1))
    surer = np.log(np.where(np.eye(2)[truth] == 1, 0.95, 0.05))
    verdict = verdict_of(
        rows_of(truth, {"x": sure, "best_expert": surer}, k=2), [("x", "best_expert")], 300
    )
    row = comparison_of(verdict, "x", "best_expert", "auroc")
    assert (row.difference, row.p_value) == (0.0, 1.0)
    assert row.ci_low < -0.01
    (test,) = (
        t for t in verdict.tests if t.metric == "auroc" and t.test.startswith("non-inferiority")
    )
    assert test.conclusion == "unresolved"


def test_predictions_of_one_class_have_no_mcc_and_the_note_names_them(rng):
    truth = np.arange(30) % 2
    always = np.log(np.tile([0.8, 0.1, 0.1], (30, 1)))
    verdict = verdict_of(rows_of(truth, {"x": noisy(rng, truth), "y": always}), [("x", "y")])
    (note,) = [note for note in verdict.notes if "mcc of y is undefined" in note]
    assert note == "all: mcc of y is undefined: all predictions are of one class"
