"""DeLong's test: by hand, beside its formula taken literally, and by its invariances.

See docs/design/statistics.md, section 6.
"""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from pathfuse.evaluation.delong import delong


def literally(one, other, positive):
    """V10, V01 and S as the paper writes them, pair by pair; variances with one divisor less."""
    above, below = [], []
    for score in (one, other):
        x, y = score[positive], score[~positive]
        psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
        above.append(psi.mean(axis=1))
        below.append(psi.mean(axis=0))
    covariance = np.cov(above) / positive.sum() + np.cov(below) / (~positive).sum()
    aurocs = np.mean(above, axis=1)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return aurocs, covariance, (aurocs[0] - aurocs[1]) / error


def cohort(seed, ties=False, n=60):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    shared = rng.normal(size=n)
    scores = [shift * positive + 0.7 * shared + 0.7 * rng.normal(size=n) for shift in (1.2, 0.7)]
    return (*(np.round(s) if ties else s for s in scores), positive)


def test_by_hand():
    """Two positives, two negatives.

    First score: positives 2 and 4, negatives 1 and 3. V10 = (1/2, 1), V01 = (1, 1/2), AUROC 3/4;
    S11 = (1/8)/2 + (1/8)/2 = 1/8. Second: positives 1 and 4, negatives 2 and 3. V10 = (0, 1), V01 =
    (1/2, 1/2), AUROC 1/2; S22 = (1/2)/2 + 0 = 1/4. Between them: (1/4)/2 + 0 = 1/8. So the
    difference of 1/4 has the variance 1/8 + 1/4 - 2/8 = 1/8, and z = (1/4) / sqrt(1/8) = 1 / sqrt
    2.
    """
    positive = np.array([True, True, False, False])
    found = delong(np.array([2.0, 4, 1, 3]), np.array([1.0, 4, 2, 3]), positive)
    assert found.auroc == (0.75, 0.5)
    assert found.difference == 0.25
    assert found.covariance.tolist() == [[0.125, 0.125], [0.125, 0.25]]
    assert found.z == pytest.approx(np.sqrt(0.5), abs=1e-15)
    assert found.p_value == pytest.approx(0.47950012218695, abs=1e-12)


def test_by_hand_with_ties():
    """Positives 1 and 2 against negatives 1 and 1: psi is 1/2, 1/2; 1, 1. V10 = (1/2, 1), V01 =
    (3/4, 3/4)."""
    positive = np.array([True, True, False, False])
    found = delong(np.array([1.0, 2, 1, 1]), np.array([5.0, 5, 5, 5]), positive)
    assert found.auroc == (0.75, 0.5)
    assert found.covariance.tolist() == [[0.0625, 0.0], [0.0, 0.0]]
    assert found.z == pytest.approx(1.0, abs=1e-15)
    assert found.p_value == pytest.approx(0.31731050786291, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_formula_and_scikit_learn(seed, ties):
    one, other, positive = cohort(seed, ties)
    found = delong(one, other, positive)
    aurocs, covariance, z = literally(one, other, positive)
    assert found.auroc == pytest.approx(
        [roc_auc_score(positive, s) for s in (one, other)], abs=1e-12
    )
    assert found.auroc == pytest.approx(aurocs, abs=1e-12)
    assert found.covariance == pytest.approx(covariance, abs=1e-14)
    assert found.z == pytest.approx(z, abs=1e-10)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(z)), abs=1e-12)
    assert 0.001 < found.p_value < 0.999  # the case says something


def test_the_rival_changes_sides():
    one, other, positive = cohort(0)
    found, mirrored = delong(one, other, positive), delong(other, one, positive)
    assert found.difference > 0
    assert mirrored.difference == -found.difference
    assert mirrored.z == pytest.approx(-found.z, abs=1e-12)
    assert mirrored.p_value == pytest.approx(found.p_value, abs=1e-12)


def test_the_outcomes_change_sides():
    one, other, positive = cohort(1)
    found, mirrored = delong(one, other, positive), delong(-one, -other, ~positive)
    assert mirrored.auroc == pytest.approx(found.auroc, abs=1e-12)
    assert mirrored.z == pytest.approx(found.z, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_only_the_order_of_the_scores_counts(ties):
    one, other, positive = cohort(2, ties)
    found, bent = delong(one, other, positive), delong(np.exp(2 * one), other**3 + other, positive)
    assert bent.auroc == found.auroc
    assert np.array_equal(bent.covariance, found.covariance)
    assert (bent.z, bent.p_value) == (found.z, found.p_value)


def test_the_order_of_the_rows_does_not_count():
    one, other, positive = cohort(3)
    shuffled = np.random.default_rng(0).permutation(len(one))
    found, again = (
        delong(one, other, positive),
        delong(one[shuffled], other[shuffled], positive[shuffled]),
    )
    assert again.z == pytest.approx(found.z, abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([3.0, 1, 2, 0, 5, 4], [3.0, 1, 2, 0, 5, 4]),  # the same
        ([3.0, 1, 2, 0, 5, 4], [30.0, 10, 20, 0, 50, 40]),  # the same ranking
        ([4.0, 5, 6, 1, 2, 3], [6.0, 5, 4, 3, 1, 2]),  # both perfect, in different orders
        ([1.0, 1, 1, 1, 1, 1], [2.0, 2, 2, 2, 2, 2]),  # both say nothing
    ],
)
def test_a_difference_without_variance_has_no_test(one, other):
    positive = np.array([True, True, True, False, False, False])
    found = delong(np.array(one), np.array(other), positive)
    assert found.difference == 0
    assert np.isnan([found.z, found.p_value]).all()


@pytest.mark.parametrize("alone", [True, False])
def test_one_row_of_an_outcome_has_no_test(alone):
    """One row has no variance to estimate; leaving its part out would understate the error."""
    rng = np.random.default_rng(0)
    positive = np.full(30, not alone)
    positive[0] = alone
    one, other = rng.normal(size=30), rng.normal(size=30)
    found = delong(one, other, positive)
    assert found.auroc == pytest.approx(
        [roc_auc_score(positive, s) for s in (one, other)], abs=1e-12
    )
    assert np.isnan([found.z, found.p_value]).all()
    assert np.isnan(found.covariance).all()
