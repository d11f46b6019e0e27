"""Kernel and forest against computations of their own, for every way of being trained."""

import numpy as np
import pytest

pytest.importorskip("torch")

from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import KernelCenterer

from pathfuse.experts.pooled import probe
from pathfuse.experts.pooled.base import PooledUnits
from pathfuse.experts.pooled.forest import COMPONENTS, PooledForest
from pathfuse.experts.pooled.kernel import PooledKernel, kernel
from pathfuse.experts.pooled.linear import PooledLinear
from pathfuse.experts.pooled.trees import grown_trees
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.table import Targets

N, DIM = 60, 5
TABLE = np.random.default_rng(0).normal(size=(N, DIM))
NOISE = np.random.default_rng(1).normal(size=(N, 40))
MODELS = {
    "pooled_linear": PooledLinear(),
    "pooled_kernel": PooledKernel(),
    "pooled_forest": PooledForest(),
}


def targets_of(kind):
    score = TABLE[:, 0] + 0.5 * NOISE[:, 0]
    everything = np.ones((N, 1), dtype=bool)
    if kind == "multiclass":
        return Targets(
            kind, ("a", "b", "c"), np.eye(3)[np.digitize(score, [-0.5, 0.5])], everything
        )
    if kind == "multilabel":
        values = np.stack([score > 0, TABLE[:, 1] + NOISE[:, 1] > 0], axis=1).astype(float)
        known = np.ones((N, 2), dtype=bool)
        known[::7, 1] = False
        return Targets(kind, ("x", "y"), values, known)
    if kind == "survival":
        bins = np.digitize(score, [-0.7, 0.0, 0.7])
        values = np.eye(4)[bins]
        for row in range(0, N, 4):  # censored: any later bin may be
            values[row, bins[row] :] = 1
        return Targets(kind, ("0", "1", "2"), values, everything)
    values = np.stack([score, TABLE[:, 1] ** 2 + NOISE[:, 2]], axis=1)
    return Targets(kind, ("x", "y"), (values - values.mean(0)) / values.std(0), values > -np.inf)


def units_of(kind, targets=None):
    targets = targets or targets_of(kind)
    return PooledUnits(TABLE, np.arange(N), targets, np.arange(N) // 2, 5)


def recipe_of(head):
    return TrainingRecipe.of(head, **({"trees": 60} if head == "pooled_forest" else {}))


KINDS = ("multiclass", "multilabel", "survival", "regression")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", MODELS)
def test_it_learns_and_gives_one_output_each(head, kind):
    units, model = units_of(kind), MODELS[head]
    fit = model.fit(units, recipe_of(head))
    outputs = model.predict(TABLE, fit.weights, units.way)
    assert outputs.shape == (N, units.targets.n_outputs)
    sums, cases = units.way.counts(*units.truth)
    base = units.way.link(sums.sum(axis=0) / cases.sum(axis=0))
    loss = probe.loss_of(outputs, units.targets, units.rows).mean()
    rate = probe.loss_of(np.tile(base, (N, 1)), units.targets, units.rows).mean()
    assert loss < 0.9 * rate
    assert (fit.error is None) == (kind != "regression")


@pytest.mark.parametrize("head", MODELS)
def test_a_unit_depends_on_nothing_but_itself(head):
    units, model = units_of("multiclass"), MODELS[head]
    weights = model.fit(units, recipe_of(head)).weights
    alone = [model.predict(TABLE[k : k + 1], weights, units.way) for k in range(N)]
    np.testing.assert_array_equal(model.predict(TABLE, weights, units.way), np.concatenate(alone))


def test_the_kernel_is_kernel_ridge_regression():
    units = units_of("regression")
    fit = PooledKernel().fit(units, recipe_of("pooled_kernel"))
    new = np.random.default_rng(9).normal(size=(20, DIM))
    train, other = (kernel(one, TABLE, np.array(float(DIM))) for one in (TABLE, new))
    centre, y = KernelCenterer().fit(train), units.targets.values
    model = KernelRidge(alpha=1 / fit.chosen, kernel="precomputed")
    model.fit(centre.transform(train), y - y.mean(axis=0))
    wanted = model.predict(centre.transform(other)) + y.mean(axis=0)
    got = PooledKernel().predict(new, fit.weights, units.way)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_the_forest_is_the_rate_of_its_leaves_at_the_best_sharpness():
    units = units_of("multilabel", Targets(
        "multilabel", ("x",), (TABLE[:, :1] + NOISE[:, :1] > 0).astype(float), np.ones((N, 1), bool)
    ))  # fmt: skip
    fit = PooledForest().fit(units, recipe_of("pooled_forest"))
    y = units.targets.values[:, 0]
    found = []
    for share in ("sqrt", 0.2):
        columns = np.stack([y, np.ones(N)], axis=1)
        _, means, seen_by = grown_trees(TABLE, columns, units.groups, share, 1, 60, 5)
        rate = (seen_by * means[:, 0] + y.mean()) / (seen_by + 1)
        away = logit(rate) - logit(y.mean())

        def loss(s, away=away):
            p = expit(logit(y.mean()) + s * away)
            return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

        best = minimize_scalar(loss, bounds=(0.2, 7), method="bounded")
        found.append((best.fun, best.x))
    np.testing.assert_allclose(fit.weights["sharpness"], min(found)[1], rtol=1e-3)


def test_many_targets_are_predicted_by_their_principal_directions():
    hidden = TABLE[:, :2] @ np.random.default_rng(4).normal(size=(2, 40))
    values = hidden + 0.1 * NOISE
    targets = Targets(
        "regression", tuple(map(str, range(40))), values - values.mean(axis=0), values > -np.inf
    )
    units = units_of("regression", targets)
    fit = PooledForest().fit(units, recipe_of("pooled_forest"))
    assert fit.weights["leaves"].shape[1] == COMPONENTS
    outputs = PooledForest().predict(TABLE, fit.weights, units.way)
    assert np.corrcoef(outputs.ravel(), targets.values.ravel())[0, 1] > 0.8


def test_a_rotation_changes_no_fit():
    """With more features than units the fit happens in the units' own span."""
    wide = np.random.default_rng(6).normal(size=(N, 3 * N))
    targets = targets_of("regression")
    coefficients, intercepts, chosen = probe.fit_probe(
        wide, np.arange(N), targets, np.arange(N), 0, tolerance=0.0
    )
    wanted = targets.way.fit_linear(wide, targets.values, targets.known, chosen)
    np.testing.assert_allclose(coefficients, wanted[0], atol=1e-8)
    np.testing.assert_allclose(intercepts, wanted[1], atol=1e-8)
