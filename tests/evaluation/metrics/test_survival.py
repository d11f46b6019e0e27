"""Survival metrics by hand, by their invariances, and beside scikit-survival (GPL: here and nowhere
else)."""

import numpy as np
import pytest
from scipy.stats import rankdata

from pathfuse.distributions.discrete_time import event_distribution, survival_at_edges
from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.survival import Survival
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.evaluate import evaluate_task
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.metrics.survival import (
    SurvivalScores,
    SurvivalTruth,
    concordance,
    harrell_pairs,
)

EDGES = (0.0, 5.0, 11.0, 20.0, 30.0, np.inf)
METRICS = (
    "nll",
    "c_index",
    "c_index_ipcw",
    "ibs",
    "auc_at_5",
    "auc_at_11",
    "auc_at_20",
    "auc_at_30",
)


def follow_up(n, seed, longest=40):
    """Whole numbers: many ties, of events with events and of events with censorings."""
    rng = np.random.default_rng(seed)
    death, leaving = np.ceil(rng.exponential(18, n)), np.ceil(rng.exponential(30, n))
    time = np.minimum(np.minimum(death, leaving), longest)
    return time, ((death <= leaving) & (death <= longest)).astype(float)


def truth_of(time, event, edges=EDGES, fit=None):
    return SurvivalTruth(time, event, np.array(edges), (Censoring.fit(*(fit or (time, event))),))


def observed_of(time, event, edges=EDGES):
    columns = Columns("memory", [str(i) for i in range(len(time))], {})
    columns.values["time"] = np.array([repr(float(t)) for t in time], dtype=object)
    columns.values["event"] = np.array([repr(float(e)) for e in event], dtype=object)
    return Survival(tuple(edges)).truth(columns)["all"].observed


def scores_of(log_prob, time, event, edges=EDGES, fit=None):
    return SurvivalScores(
        log_prob, observed_of(time, event, edges), truth_of(time, event, edges, fit)
    )


def predictions(time, seed, edges=EDGES, noise=1.0):
    """Hazards that know something of the time; one in four has the very risk of another."""
    rng = np.random.default_rng(seed)
    level = -1.5 - 0.06 * (time - time.mean()) + noise * rng.normal(size=len(time))
    logits = level[:, None] + rng.normal(size=(len(time), len(edges) - 1)) * 0.3
    twins = rng.random(len(time)) < 0.25
    logits[twins] = logits[rng.integers(len(time), size=twins.sum())]
    return event_distribution(logits)


@pytest.fixture(params=range(5))
def cohorts(request):
    """Fit rows, judged rows and their predictions; fit rows are followed longer."""
    seed = request.param
    fit = follow_up(150, seed, longest=50)
    time, event = follow_up(90, 100 + seed, longest=38)
    return fit, time, event, predictions(time, 200 + seed)


def as_survival(time, event):
    return pytest.importorskip("sksurv.util").Surv.from_arrays(event.astype(bool), time)


# By hand


def test_kaplan_meier_of_censoring_by_hand():
    #                       died at 2; one died and one left at 3; left at 5; died at 7
    censoring = Censoring.fit(
        np.array([2.0, 3.0, 3.0, 5.0, 7.0]), np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    )
    # at 3 the dead leave the risk set first: of the 3 remaining one is censored; at 5 one of 2
    np.testing.assert_allclose(censoring.at(np.array([0.0, 2.0, 2.9, 3.0, 4.0, 5.0, 7.0, 99.0])),
                               [1, 1, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3])  # fmt: skip
    np.testing.assert_allclose(censoring.before(np.array([3.0, 5.0, 5.1])), [1, 2 / 3, 1 / 3])
    assert censoring.horizon == 7


def test_the_horizon_ends_where_the_last_patient_is_censored():
    censoring = Censoring.fit(np.array([2.0, 4.0, 6.0]), np.array([1.0, 0.0, 0.0]))
    assert censoring.at(np.array([6.0]))[0] == 0
    assert censoring.horizon == 4


def test_nobody_is_censored():
    time, event = np.array([1.0, 2.0, 3.0]), np.ones(3)
    assert np.all(Censoring.fit(time, event).at(np.array([0.5, 1, 2, 3])) == 1)


def test_c_index_by_hand():
    """Pairs: an event before a later follow-up, and an event before a censoring at the same time."""
    time, event = np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 1.0])
    risk = np.array([3.0, 1.0, 2.0, 1.0])
    # (1,2) (1,3) (1,4) right; (2,3) wrong; (2,4) tied: 3.5 of 5
    left, pairs = harrell_pairs(truth_of(time, event))
    assert pairs.sum() == 5
    assert concordance(risk, left, pairs, np.ones((1, 4)))[0] == pytest.approx(3.5 / 5)


def test_risks_that_differ_by_rounding_are_tied():
    time, event = np.array([1.0, 2.0]), np.array([1.0, 1.0])
    left, pairs = harrell_pairs(truth_of(time, event))
    assert concordance(np.array([0.3, 0.1 + 0.2]), left, pairs, np.ones((1, 2)))[0] == 0.5


def test_brier_score_by_hand():
    """Two edges are followed; the trapezoid between them, divided by its width, is their mean."""
    time, event = np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    log_prob = predictions(time, 0, edges=(0, 2.5, 5, np.inf))
    alive = survival_at_edges(log_prob)
    # G drops at 2, where one of the four still at risk is censored: 3/4 afterwards
    first = alive[0, 0] ** 2 + ((1 - alive[2:, 0]) ** 2).sum() / 0.75
    dead = alive[[2, 3], 1] ** 2
    second = alive[0, 1] ** 2 + dead.sum() / 0.75 + (1 - alive[4, 1]) ** 2 / 0.75
    scores = scores_of(log_prob, time, event, edges=(0, 2.5, 5, np.inf))
    assert scores.values(np.ones((1, 5)))["ibs"][0] == pytest.approx((first + second) / 2 / 5)


def test_the_brier_score_at_a_single_edge_needs_no_trapezoid():
    time, event = np.array([1.0, 2.0, 6.0]), np.ones(3)
    log_prob = predictions(time, 0, edges=(0, 3, np.inf))
    alive = survival_at_edges(log_prob)[:, 0]
    expected = (alive[0] ** 2 + alive[1] ** 2 + (1 - alive[2]) ** 2) / 3
    assert scores_of(log_prob, time, event, (0, 3, np.inf)).values(np.ones((1, 3)))["ibs"][
        0
    ] == pytest.approx(expected)


def test_only_edges_that_are_followed_count():
    time, event = follow_up(50, 0, longest=15)
    truth = truth_of(time, event, fit=follow_up(80, 1, longest=50))
    assert truth.horizons == {1: 5.0, 2: 11.0}
    truth = truth_of(*follow_up(50, 0, longest=50), fit=(time, event))
    assert truth.horizons == {1: 5.0, 2: 11.0}


# Orientation


def ordered(n=40, seed=0):
    """All events at distinct times, and risks in the very order of the events."""
    time = np.random.default_rng(seed).permutation(n) + 1.0
    hazard = -0.2 * (rankdata(time) - n / 2)
    return time, np.ones(n), np.repeat(hazard[:, None] * 0.5, len(EDGES) - 1, axis=1)


def test_a_perfect_ordering_gives_one_and_the_reverse_zero():
    time, event, logits = ordered()
    for sign, expected in ((1, 1.0), (-1, 0.0)):
        scores = scores_of(event_distribution(sign * logits), time, event)
        values = scores.values(np.ones((1, len(time))))
        for name in METRICS[1:3] + METRICS[4:]:
            assert values[name][0] == expected, name


def test_a_perfect_ordering_gives_one_with_censoring_too():
    time, _, logits = ordered()
    event = (np.random.default_rng(1).random(len(time)) < 0.6).astype(float)
    values = scores_of(event_distribution(logits), time, event).values(np.ones((1, len(time))))
    assert values["c_index"][0] == values["c_index_ipcw"][0] == 1


def test_equal_risks_give_one_half():
    time, event = follow_up(50, 0)
    values = scores_of(event_distribution(np.zeros((50, 5))), time, event).values(np.ones((1, 50)))
    for name in METRICS[1:3] + METRICS[4:]:
        assert values[name][0] == pytest.approx(0.5)


# Weights


def test_integer_weights_equal_repeated_rows(cohorts):
    fit, time, event, log_prob = cohorts
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, size=len(time))
    weights[time.argmax()] = 1  # the follow-up stays as long
    rows = np.repeat(np.arange(len(time)), weights)
    one = scores_of(log_prob, time, event, fit=fit).values(weights[None].astype(float))
    other = scores_of(log_prob[rows], time[rows], event[rows], fit=fit).values(
        np.ones((1, len(rows)))
    )
    assert set(one) == set(other) == set(METRICS)
    for name in METRICS:
        assert one[name][0] == pytest.approx(other[name][0], rel=1e-12), name


def test_many_resamples_at_once_equal_one_by_one(cohorts):
    fit, time, event, log_prob = cohorts
    weights = (
        np.random.default_rng(0)
        .multinomial(len(time), np.full(len(time), 1 / len(time)), size=7)
        .astype(float)
    )
    scores = scores_of(log_prob, time, event, fit=fit)
    together = scores.values(weights)
    for b in range(7):
        alone = scores.values(weights[b : b + 1])
        for name in METRICS:
            assert together[name][b] == pytest.approx(alone[name][0], rel=1e-12)


# What cannot be said


def test_a_number_that_is_undefined_is_nan():
    time = np.array([3.0, 4.0, 4.0, 9.0])
    log_prob = predictions(time, 0)
    values = scores_of(log_prob[:1], time[:1], np.ones(1)).values(
        np.ones((1, 1))
    )  # one row: no pair, no edge
    assert np.isfinite(values["nll"][0])
    assert np.isnan([values[name][0] for name in ("c_index", "c_index_ipcw", "ibs")]).all()
    assert np.isnan([value[0] for name, value in values.items() if name.startswith("auc")]).all()
    nothing = scores_of(log_prob, time, np.array([1.0, 1, 0, 1])).values(np.zeros((1, 4)))
    assert np.isnan([v[0] for v in nothing.values()]).all()


def test_the_judge_leaves_undefined_cells_empty_and_says_so():
    time, event = follow_up(40, 3, longest=15)
    log_prob = predictions(time, 0)
    observed = observed_of(time, event)
    rows = Judged(
        observed,
        np.arange(40),
        np.zeros(40, dtype=np.int64),
        {"one": log_prob},
        truth_of(time, event),
    )
    verdict = evaluate_task(Survival(EDGES), "all", rows, [], 20, 0)
    values = {m.metric: m.value for m in verdict.metrics}
    assert tuple(values) == METRICS
    assert np.isnan([values["auc_at_20"], values["auc_at_30"]]).all()
    assert np.isfinite([values[name] for name in METRICS[:6]]).all()
    assert any("auc_at_20 of one is undefined" in note for note in verdict.notes)


def test_folds_take_the_censoring_of_their_own_fit_rows():
    time, event = follow_up(60, 5)
    log_prob, folds = predictions(time, 0), np.arange(60) % 2
    censorings = tuple(Censoring.fit(*follow_up(100, 7 + f, longest=50)) for f in (0, 1))
    truth = SurvivalTruth(time, event, np.array(EDGES), censorings)
    rows = Judged(observed_of(time, event), np.arange(60), folds, {"one": log_prob}, truth)
    found = {
        m.metric: m.value for m in evaluate_task(Survival(EDGES), "all", rows, [], 0, 0).metrics
    }
    parts = []
    for fold in (0, 1):
        inside = folds == fold
        part = SurvivalTruth(
            time[inside], event[inside], np.array(EDGES), censorings[fold : fold + 1]
        )
        parts.append(
            SurvivalScores(log_prob[inside], rows.observed[inside], part).values(np.ones((1, 30)))
        )
    assert (
        np.isnan([part["auc_at_30"][0] for part in parts]).sum() == 1
    )  # the other fold speaks alone
    for name in METRICS:
        defined = [part[name][0] for part in parts]
        assert found[name] == pytest.approx(np.nanmean(defined), rel=1e-12), name


# Beside scikit-survival


def test_kaplan_meier_of_censoring_agrees(cohorts):
    nonparametric = pytest.importorskip("sksurv.nonparametric")
    (time, event), _, _, _ = cohorts
    theirs = nonparametric.CensoringDistributionEstimator().fit(as_survival(time, event))
    at = np.linspace(0.5, time.max(), 97)
    at = np.concatenate([at, np.unique(time)])
    np.testing.assert_allclose(
        Censoring.fit(time, event).at(at), theirs.predict_proba(at), rtol=1e-12
    )


def test_c_indices_agree(cohorts):
    metrics = pytest.importorskip("sksurv.metrics")
    fit, time, event, log_prob = cohorts
    values = scores_of(log_prob, time, event, fit=fit).values(np.ones((1, len(time))))
    risk = -survival_at_edges(log_prob).sum(axis=1)
    harrell, _, _, tied_risk, _ = metrics.concordance_index_censored(event.astype(bool), time, risk)
    assert tied_risk > 0
    assert values["c_index"][0] == pytest.approx(harrell, rel=1e-12)
    tau = Censoring.fit(*fit).horizon
    uno = metrics.concordance_index_ipcw(
        as_survival(*fit), as_survival(time, event), risk, tau=tau
    )[0]
    assert values["c_index_ipcw"][0] == pytest.approx(uno, rel=1e-12)


def test_the_end_of_the_fit_rows_follow_up_bounds_unos_c():
    metrics = pytest.importorskip("sksurv.metrics")
    fit, (time, event) = follow_up(150, 0, longest=22), follow_up(90, 1, longest=40)
    log_prob = predictions(time, 0)
    values = scores_of(log_prob, time, event, fit=fit).values(np.ones((1, 90)))
    tau = Censoring.fit(*fit).horizon
    assert tau < fit[0].max() < time.max()
    risk = -survival_at_edges(log_prob).sum(axis=1)
    uno = metrics.concordance_index_ipcw(
        as_survival(*fit), as_survival(time, event), risk, tau=tau
    )[0]
    assert values["c_index_ipcw"][0] == pytest.approx(uno, rel=1e-12)


def test_brier_scores_agree(cohorts):
    metrics = pytest.importorskip("sksurv.metrics")
    fit, time, event, log_prob = cohorts
    values = scores_of(log_prob, time, event, fit=fit).values(np.ones((1, len(time))))
    finite = np.array(EDGES[1:-1])
    alive = survival_at_edges(log_prob)[:, :-1]
    theirs = metrics.integrated_brier_score(
        as_survival(*fit), as_survival(time, event), alive, finite
    )
    assert values["ibs"][0] == pytest.approx(theirs, rel=1e-12)


def test_time_dependent_aucs_agree(cohorts):
    metrics = pytest.importorskip("sksurv.metrics")
    fit, time, event, log_prob = cohorts
    values = scores_of(log_prob, time, event, fit=fit).values(np.ones((1, len(time))))
    finite = np.array(EDGES[1:-1])
    risk = 1 - survival_at_edges(log_prob)[:, :-1]
    theirs, _ = metrics.cumulative_dynamic_auc(
        as_survival(*fit), as_survival(time, event), risk, finite
    )
    np.testing.assert_allclose(
        [values[f"auc_at_{edge:g}"][0] for edge in finite], theirs, rtol=1e-12
    )
