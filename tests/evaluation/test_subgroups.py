"""Figures of groups against scikit-learn, and their differences against statsmodels."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.evaluation.evaluate import evaluate_tasks
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.rules import Rules
from pathfuse.evaluation.subgroups import Subgroups, difference, leading_metrics, resamples_of

ENDPOINT = Multiclass.from_columns(
    Columns("samples", ["a", "b"], {"label": np.array(["no", "yes"], dtype=object)})
)
RULES = Rules(n_resamples=200)


def judged(n=60, seed=0, patients=None, folds=None, edge=2.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n)
    margin = rng.normal(size=n) + edge * (truth - 0.5)
    log_prob = np.stack([-np.logaddexp(0, margin), -np.logaddexp(0, -margin)], axis=1)
    return Judged(
        np.eye(2, dtype=bool)[truth],
        np.arange(n) if patients is None else patients,
        np.zeros(n, dtype=int) if folds is None else folds,
        {"fused": log_prob},
    )


def subgroups(rows, rules=RULES):
    return Subgroups(ENDPOINT, rows, resamples_of({"all": rows}, rules)["all"])


def test_the_figures_of_a_group_are_those_of_its_rows():
    rows = judged()
    member = np.arange(60) % 3 == 0
    found = subgroups(rows).figures("fused", member, against_rest=True)
    truth, prob = rows.observed[:, 1], np.exp(rows.predictions["fused"][:, 1])
    assert (found.n, found.n_patients, found.note) == (20, 20, "")
    assert found.inside["auroc"].point == pytest.approx(roc_auc_score(truth[member], prob[member]))
    assert found.inside["nll"].point == pytest.approx(log_loss(truth[member], prob[member]))
    rest = roc_auc_score(truth[~member], prob[~member])
    assert found.apart["auroc"].point == pytest.approx(found.inside["auroc"].point - rest)
    for one in found.apart.values():
        assert one.low < one.point < one.high
        assert (one.p_value < 0.05) == (one.low > 0 or one.high < 0)


def test_two_groups_are_one_test():
    rows = judged()
    member = np.arange(60) < 25
    known = subgroups(rows)
    one, other = (known.figures("fused", m, against_rest=True).apart for m in (member, ~member))
    for name in leading_metrics(ENDPOINT):
        assert one[name].point == pytest.approx(-other[name].point)
        assert (one[name].low, one[name].high) == pytest.approx(
            (-other[name].high, -other[name].low)
        )
        assert one[name].p_value == pytest.approx(other[name].p_value)


def test_resamples_are_those_of_the_metrics_table():
    rows = judged()
    (auroc,) = (
        row for row in evaluate_tasks(ENDPOINT, {"all": rows}, [], RULES).metrics
        if row.metric == "auroc"
    )  # fmt: skip
    everybody = subgroups(rows).figures("fused", np.ones(60, dtype=bool), against_rest=False)
    found = everybody.inside["auroc"].interval()
    assert (found.low, found.high) == (auroc.ci_low, auroc.ci_high)


def test_too_small_a_group_has_no_figures_and_too_small_a_rest_no_difference():
    known = subgroups(judged())
    small = np.arange(60) < 9
    found = known.figures("fused", small, against_rest=True)
    assert (found.inside, found.apart) == ({}, {})
    assert found.note == "9 patients, fewer than 10"
    found = known.figures("fused", ~small, against_rest=True)
    assert set(found.inside) == {"nll", "auroc"}
    assert (found.apart, found.note) == ({}, "of the others 9 patients, fewer than 10")


def test_patients_are_counted_and_not_their_slides():
    rows = judged(patients=np.arange(60) // 4)
    found = subgroups(rows).figures("fused", np.arange(60) < 36, against_rest=True)
    assert (found.n, found.n_patients) == (36, 9)
    assert found.note == "9 patients, fewer than 10"


def test_folds_that_lack_the_group_do_not_enter_the_difference():
    rows = judged(90, folds=np.arange(90) // 30)
    member = (np.arange(90) < 60) & (np.arange(90) % 2 == 0)
    found = subgroups(rows).figures("fused", member, against_rest=True)
    truth, prob = rows.observed[:, 1], np.exp(rows.predictions["fused"][:, 1])

    def mean_over_folds(chosen):
        own = [chosen & (rows.folds == fold) for fold in (0, 1)]
        return np.mean([roc_auc_score(truth[o], prob[o]) for o in own])

    expected = mean_over_folds(member) - mean_over_folds(~member)
    assert found.apart["auroc"].point == pytest.approx(expected)


def test_a_group_that_is_in_order_by_luck_does_not_differ():
    """No resample moves an AUROC of 1: the spread of the difference alone would flag it."""
    rows = judged(150, edge=3.0)
    truth, margin = rows.observed[:, 1], rows.predictions["fused"][:, 1]
    lucky = np.zeros(150, dtype=bool)
    lucky[np.flatnonzero(truth & (margin > np.median(margin)))[:5]] = True
    lucky[np.flatnonzero(~truth & (margin < np.median(margin)))[:7]] = True
    found = subgroups(rows).figures("fused", lucky, against_rest=True)
    assert found.inside["auroc"].point == 1.0
    assert found.inside["auroc"].spread == 0
    assert found.apart["auroc"].low < 0
    assert found.apart["auroc"].p_value > 0.05


# statsmodels 0.15.0: confint_proportions_2indep(a, n, b, m, compare="diff", method="newcomb"), from
# the limits of proportion_confint(..., method="wilson").
PROPORTIONS = [
    ((13 / 15, 0.6211801716767763, 0.9626387408969347),
     (60 / 90, 0.5642231776063374, 0.7554649472055536),
     (-0.06105316287891305, 0.3403755943279097)),
    ((1.0, 0.7961166989641513, 1.0),
     (70 / 90, 0.6815268960895451, 0.8512866452636068),
     (0.005492081170444002, 0.3184731039104549)),
]  # fmt: skip


def stated(point, low, high):
    interval = SimpleNamespace(low=low, high=high)
    return SimpleNamespace(point=point, freedom=1e12, interval=lambda _: interval)


@pytest.mark.parametrize(("one", "other", "expected"), PROPORTIONS)
def test_the_interval_of_a_difference_is_newcombes(one, other, expected):
    found = difference(stated(*one), stated(*other), "auto", shared=False)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_patients_in_both_groups_tie_them_together():
    """Each patient has one slide in either group, and both slides look alike."""
    rows = judged(80)
    twice = Judged(
        np.concatenate([rows.observed] * 2),
        np.concatenate([rows.patients] * 2),
        np.concatenate([rows.folds] * 2),
        {"fused": np.concatenate([rows.predictions["fused"]] * 2)},
    )
    member = np.arange(160) < 80
    found = subgroups(twice).figures("fused", member, against_rest=True)
    assert found.apart["nll"].point == pytest.approx(0)
    apart = found.inside["nll"].interval()
    assert found.apart["nll"].high - found.apart["nll"].low < 0.2 * (apart.high - apart.low)
