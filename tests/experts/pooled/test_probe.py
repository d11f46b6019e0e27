"""The linear probe against scikit-learn by hand, and what it does without the other outcome."""

import numpy as np
import pytest

pytest.importorskip("torch")

from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression, Ridge

from pathfuse.experts.cohort import Unit
from pathfuse.experts.pooled.probe import REPEATS, STRENGTHS, fit_probe
from pathfuse.experts.pooled.statistics import pooled
from pathfuse.experts.targets.table import Targets

ROWS, FEW = np.arange(60), np.arange(60) % 9
"""Few groups: no inner folds, C = 0.01."""


def table_of(seed=0, n=60, dim=3):
    return np.random.default_rng(seed).normal(size=(n, dim))


def classes(label, k):
    names = tuple("abcd"[:k])
    return Targets("multiclass", names, np.eye(k)[label], np.ones((len(label), 1), dtype=bool))


@pytest.mark.parametrize("k", [2, 3])
def test_classes(k):
    table = table_of()
    label = (table[:, 0] + 0.5 * table_of(1)[:, 0] > 0).astype(int) + (k > 2) * (table[:, 1] > 0.8)
    coefficients, intercepts, chosen = fit_probe(table, ROWS, classes(label, k), FEW, 0)
    assert chosen == 1e-2
    model = LogisticRegression(C=1e-2, max_iter=5000, tol=1e-8).fit(table, label)
    got = softmax(table @ coefficients + intercepts, axis=1)
    np.testing.assert_allclose(got, model.predict_proba(table), atol=5e-4)


def test_the_strength_is_chosen_by_grouped_folds():
    table = table_of()
    label = (table[:, 0] + table_of(1)[:, 0] > 0).astype(int)
    groups = np.arange(60) // 2
    _, _, chosen = fit_probe(table, ROWS, classes(label, 2), groups, 4)
    rng, loss = np.random.default_rng(4), np.zeros((len(STRENGTHS), 60))
    for _ in range(REPEATS):
        fold = rng.permutation(np.arange(30) % 5)[groups]
        assert all(len(set(fold[groups == g])) == 1 for g in range(30))
        for i, strength in enumerate(STRENGTHS):
            for k in range(5):
                model = LogisticRegression(C=strength, max_iter=5000).fit(
                    table[fold != k], label[fold != k]
                )
                prob = model.predict_proba(table[fold == k])
                loss[i, fold == k] -= np.log(prob[np.arange(len(prob)), label[fold == k]]) / REPEATS
    best = loss[loss.mean(axis=1).argmin()]
    near = [
        (one - best).mean() <= (one - best).std() / 60**0.5 for one in loss
    ]  # within one standard error
    assert chosen == STRENGTHS[near.index(True)]


def test_labels_with_blanks():
    table = table_of()
    values = (table[:, :2] > 0.2).astype(float)
    known = np.random.default_rng(1).random((60, 2)) > 0.3
    targets = Targets("multilabel", ("a", "b"), values, known)
    coefficients, intercepts, _ = fit_probe(table, ROWS, targets, FEW, 0)
    for k in range(2):
        model = LogisticRegression(C=1e-2, max_iter=5000).fit(
            table[known[:, k]], values[known[:, k], k]
        )
        got = table @ coefficients[:, k] + intercepts[k]
        np.testing.assert_allclose(got, model.decision_function(table), atol=1e-4)


def test_regression_with_blanks():
    table = table_of()
    values = table @ np.array([[1.0, 0.0], [0.5, 2.0], [0.0, 0.0]])
    known = np.random.default_rng(1).random((60, 2)) > 0.3
    coefficients, intercepts, _ = fit_probe(
        table, ROWS, Targets("regression", ("a", "b"), values, known), FEW, 0
    )
    for k in range(2):
        model = Ridge(alpha=100).fit(table[known[:, k]], values[known[:, k], k])
        np.testing.assert_allclose(table @ coefficients[:, k] + intercepts[k], model.predict(table))


def survival():
    """Three bins; an event in bin b is {b}, a case censored inside bin b all later ones and the
    tail."""
    rng = np.random.default_rng(2)
    bins, event = rng.integers(0, 4, 60), rng.random(60) < 0.6
    values = np.zeros((60, 4))
    for row, (b, died) in enumerate(zip(bins, event, strict=True)):
        values[row, b if died or b == 3 else slice(b + 1, None)] = 1
    return (
        bins,
        event & (bins < 3),
        Targets("survival", ("1", "2", "3"), values, np.ones((60, 1), dtype=bool)),
    )


def test_survival_maximises_the_likelihood():
    """The penalised likelihood of the sets, minimised directly, has its optimum where the probe is."""
    table, (_, _, targets) = table_of(), survival()
    coefficients, intercepts, _ = fit_probe(table, ROWS, targets, FEW, 0)

    def loss(flat):
        slope, start = flat[:9].reshape(3, 3), flat[9:]
        hazard = expit(table @ slope + start)
        alive = np.cumprod(1 - hazard, axis=1)
        before = np.concatenate([np.ones((60, 1)), alive[:, :-1]], axis=1)
        prob = np.concatenate([before * hazard, alive[:, -1:]], axis=1)
        return -np.log((prob * targets.values).sum(axis=1)).sum() + 0.5 / 1e-2 * (slope**2).sum()

    best = minimize(loss, np.zeros(12), tol=1e-10)
    np.testing.assert_allclose(coefficients.ravel(), best.x[:9], atol=2e-4)
    np.testing.assert_allclose(intercepts, best.x[9:], atol=2e-3)


def test_survival_without_features_counts():
    """Hazards are events over cases at risk: those censored inside a bin have outlived it, and no
    bin more."""
    bins, died, targets = survival()
    _, intercepts, _ = fit_probe(np.zeros((60, 1)), ROWS, targets, FEW, 0)
    wanted = [(died & (bins == k)).sum() / (bins >= k).sum() for k in range(3)]
    np.testing.assert_allclose(expit(intercepts), wanted, atol=1e-3)


def test_one_outcome_only():
    table = table_of()
    values = np.stack([np.zeros(60), np.ones(60)], axis=1)
    coefficients, intercepts, _ = fit_probe(
        table, ROWS, Targets("multilabel", ("a", "b"), values, np.ones((60, 2), dtype=bool)), FEW, 0
    )
    assert not coefficients.any()
    np.testing.assert_allclose(expit(intercepts), [1 / 62, 61 / 62])


@pytest.mark.parametrize("seen", [[1], [0, 2], [0, 1, 2]])
def test_classes_that_training_never_saw(seen):
    table = table_of()
    label = np.array(seen)[np.arange(60) % len(seen)]
    coefficients, intercepts, _ = fit_probe(table, ROWS, classes(label, 4), FEW, 0)
    prob = np.exp(log_softmax(table @ coefficients + intercepts, axis=1))
    unseen = [k for k in range(4) if k not in seen]
    assert (prob[:, unseen] < 1e-3).all()
    assert (prob[:, unseen] > 0).all()
    model_prob = prob[:, seen].mean(axis=0)
    np.testing.assert_allclose(model_prob, 1 / len(seen), atol=1e-2)


def test_pooling(memory_folder):
    folder = memory_folder({"a": [[1.0, 2.0], [3.0, 4.0]], "b": [[10.0, 0.0]]})
    table = pooled(folder, [Unit(0, ("a", "b")), Unit(1, ("b",))])
    np.testing.assert_allclose(table, [[14 / 3, 2], [10, 0]])
