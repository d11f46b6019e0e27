"""Metrics of grades: against scikit-learn, and by hand."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, cohen_kappa_score, mean_absolute_error

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.evaluation.metrics.ordinal import METRICS, OrdinalScores


def values_of(log_prob, truth, weights):
    scores = OrdinalScores(log_prob, np.eye(log_prob.shape[1], dtype=bool)[truth])
    assert [metric.name for metric in scores.metrics] == [metric.name for metric in METRICS]
    return {name: float(found[0]) for name, found in scores.values(weights[None, :]).items()}


@pytest.mark.parametrize("k", [2, 4, 6])
def test_weighted_grades_agree_with_scikit_learn(k):
    rng = np.random.default_rng(k)
    truth = rng.permutation(np.arange(90) % k)
    log_prob = log_softmax(-((truth[:, None] + rng.normal(size=(90, 1)) - np.arange(k)) ** 2))
    weights = rng.integers(0, 4, 90).astype(float)
    found, called, prob = (
        values_of(log_prob, truth, weights),
        log_prob.argmax(axis=1),
        np.exp(log_prob),
    )
    kappa = cohen_kappa_score(
        truth, called, weights="quadratic", sample_weight=weights, labels=list(range(k))
    )
    assert found["quadratic_kappa"] == pytest.approx(kappa, abs=1e-12)
    assert found["grades_apart"] == pytest.approx(
        mean_absolute_error(truth, called, sample_weight=weights), abs=1e-12
    )
    above = [
        brier_score_loss(
            truth > g, np.minimum(prob[:, g + 1 :].sum(axis=1), 1), sample_weight=weights
        )
        for g in range(k - 1)
    ]
    assert found["rps"] == pytest.approx(sum(above), abs=1e-12)


def test_a_grade_that_nobody_has_counts_as_a_step():
    """Grades 0, 1 and 4: from 1 to 4 is three steps."""
    sure = np.log(np.array([[0.05, 0.9, 0.05], [0.05, 0.05, 0.9]]))
    scores = OrdinalScores(sure, np.eye(3, dtype=bool)[[2, 2]], grades=(0, 1, 4))
    found = {name: float(value[0]) for name, value in scores.values(np.ones((1, 2))).items()}
    assert found["grades_apart"] == pytest.approx((3 + 0) / 2)
    first = 0.05**2 + 3 * 0.95**2
    assert found["rps"] == pytest.approx((first + 0.05**2 + 3 * 0.1**2) / 2)
    kappa = cohen_kappa_score([4, 4, 0], [1, 4, 0], weights="quadratic", labels=[0, 1, 2, 3, 4])
    three = OrdinalScores(
        np.concatenate([sure, sure[:, ::-1][1:]]),
        np.eye(3, dtype=bool)[[2, 2, 0]],
        grades=(0, 1, 4),
    )
    assert float(three.values(np.ones((1, 3)))["quadratic_kappa"][0]) == pytest.approx(kappa)


def test_a_far_miss_costs_more_than_a_near_one():
    sure = np.log(np.array([[0.9, 0.05, 0.05]]))
    near, far = (values_of(sure, np.array([truth]), np.ones(1)) for truth in (1, 2))
    assert near["nll"] == pytest.approx(far["nll"])
    assert (near["grades_apart"], far["grades_apart"]) == (1.0, 2.0)
    assert near["rps"] == pytest.approx(0.9**2 + 0.05**2)
    assert far["rps"] == pytest.approx(0.9**2 + 0.95**2)
