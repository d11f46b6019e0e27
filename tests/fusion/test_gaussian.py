"""The fitted of regression: contract for every method, values by hand, gradients, the council."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import norm

from pathfuse.errors import InputError
from pathfuse.fusion.gaussian.best_expert import chain_nll
from pathfuse.fusion.gaussian.council import (
    GAUSSIAN_METHODS,
    GaussianFusion,
    council_weights,
    fit_gaussian_methods,
    fuse_gaussian,
)
from pathfuse.fusion.gaussian.covariance_product import minimum_variance
from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    mean_nll,
    nll,
    pool,
    residual_variance,
    sharpness_of,
)
from pathfuse.fusion.gaussian.product import Cells, GaussianObjective, gate_input, sampled_cells

SD = np.array([0.4, 0.8, 1.6])


def simulate(n=120, g=3, seed=0, missing=0.0, own_sd=True):
    """Experts of different noise; the last one says nothing of its doubt."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, g)) * [1.0, 3.0, 0.5][:g]
    mean = y[:, None] + rng.normal(size=(n, 3, g)) * SD[:, None] * y.std(axis=0)
    variance = np.broadcast_to((SD[:, None] * y.std(axis=0)) ** 2, mean.shape).copy()
    if own_sd:
        variance[:, 2] = np.nan
    gone = rng.random((n, 3)) < missing
    gone[np.arange(n), rng.integers(3, size=n)] = False
    mean[gone], variance[gone] = np.nan, np.nan
    return GaussianExperts(mean, variance), y


def methods_on(experts, y):
    return fit_gaussian_methods(experts, y, np.arange(len(y)), 0, lambda share: None)


@pytest.fixture(scope="module")
def fitted():
    experts, y = simulate(missing=0.2)
    return experts, y, methods_on(experts, y)


@pytest.mark.parametrize("name", GAUSSIAN_METHODS)
def test_every_rung_predicts_weighs_and_beats_the_mean_of_the_data(name, fitted):
    experts, y, fitted = fitted
    method, params = GAUSSIAN_METHODS[name], fitted.members[name]
    said = method.predict(experts, params)
    assert said.mean.shape == said.variance.shape == y.shape
    assert np.all(said.variance > 0)
    assert mean_nll(said, y) < nll(Gaussian(np.zeros_like(y), np.full(y.shape, y.var(axis=0))), y).mean()
    weights = method.weigh(experts, params)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)
    assert np.all(weights[~experts.present.any(axis=2)] == 0)


@pytest.mark.parametrize("name", GAUSSIAN_METHODS)
def test_a_row_depends_on_nothing_but_itself(name, fitted):
    experts, _, fitted = fitted
    method, params = GAUSSIAN_METHODS[name], fitted.members[name]
    whole, weights = method.predict(experts, params), method.weigh(experts, params)
    for rows in (np.array([5]), np.array([7, 3]), np.arange(1, 120, 3)):
        part = method.predict(experts.rows(rows), params)
        assert np.array_equal(part.mean, whole.mean[rows])
        assert np.array_equal(part.variance, whole.variance[rows])
        assert np.array_equal(method.weigh(experts.rows(rows), params), weights[rows])


@pytest.mark.parametrize("method", [*GAUSSIAN_METHODS, "auto", "choose"])
def test_the_certificate_is_what_it_says(method, fitted):
    experts, y, fitted = fitted
    fusion = fuse_gaussian(fitted, method, experts, y)
    assert fusion.certificate_.fused == pytest.approx(mean_nll(fusion.predict(experts), y))
    assert fusion.certificate_.holds == (fusion.certificate_.fused <= min(fusion.certificate_.experts) + 1e-9)
    if method in ("best_expert", "static_product", "logitprod", "auto"):
        assert fusion.certificate_.holds


@pytest.mark.parametrize("method", ["auto", "choose", "logitprod"])
def test_store_round_trip(method, fitted):
    experts, y, fitted = fitted
    fusion = fuse_gaussian(fitted, method, experts, y)
    again = GaussianFusion.restore(*fusion.dump())
    assert np.array_equal(again.predict(experts).flat(), fusion.predict(experts).flat())
    assert again.certificate_ == fusion.certificate_


def test_the_product_of_two_gaussians_by_hand():
    experts = GaussianExperts(np.array([[[0.0], [4.0]]]), np.array([[[1.0], [3.0]]]))
    said = pool(experts, np.full((1, 2, 1), 0.5))
    precision = 0.5 / 1 + 0.5 / 3
    assert said.variance[0, 0] == pytest.approx(1 / precision)
    assert said.mean[0, 0] == pytest.approx((0.5 / 3 * 4) / precision)


def test_nll_agrees_with_scipy():
    y = np.array([[0.3], [1.0]])
    said = Gaussian(np.array([[0.0], [2.0]]), np.array([[4.0], [0.25]]))
    np.testing.assert_allclose(nll(said, y), -norm.logpdf(y, said.mean, np.sqrt(said.variance)))


def test_the_gradient_agrees_with_finite_differences():
    experts, y = simulate(n=40, missing=0.3, own_sd=False)
    objective = GaussianObjective(Cells.of(experts, y, gate_input(experts), 0), ridge=0.01, rho=0.02)
    theta = np.random.default_rng(0).normal(size=3 + 1 + 3 * 7) * 0.3
    numeric = approx_fprime(theta, lambda t: objective(t)[0], 1e-6)
    np.testing.assert_allclose(objective(theta)[1], numeric, atol=1e-5)


def test_minimum_variance_weights_by_hand():
    np.testing.assert_allclose(minimum_variance(np.diag([1.0, 3.0])), [0.75, 0.25])
    correlated = np.array([[1.0, 1.9], [1.9, 4.0]])  # unconstrained, the second would get a negative weight
    np.testing.assert_allclose(minimum_variance(correlated), [1.0, 0.0])


def test_experts_without_a_variance_get_that_of_their_residuals():
    experts = GaussianExperts(np.array([[[1.0]], [[3.0]]]), np.full((2, 1, 1), np.nan))
    y = np.array([[0.0], [1.0]])
    np.testing.assert_allclose(residual_variance(experts, y), [[2.5]])


def test_sharpness_repairs_a_stated_doubt_that_is_too_large():
    y = np.random.default_rng(0).normal(size=(500, 1))
    said = Gaussian(np.zeros_like(y), np.full(y.shape, 16.0))
    assert sharpness_of(said, y)[0] == pytest.approx(16.0, rel=0.15)


def test_better_experts_weigh_more_and_fusing_helps():
    fit, test = simulate(seed=1, n=300), simulate(seed=2, n=300)
    fitted = methods_on(*fit)
    weights = GAUSSIAN_METHODS["static_product"].weigh(fit[0], fitted.members["static_product"])[0]
    precision = weights / SD**2
    assert precision[0] > precision[1] > precision[2]
    fused = fuse_gaussian(fitted, "auto", *fit)
    filled = test[0].with_variance(residual_variance(*fit))
    assert mean_nll(fused.predict(test[0]), test[1]) < chain_nll(filled, test[1]).min()
    assert sum(council_weights(fused).values()) == pytest.approx(1)


def test_inner_folds_keep_patients_together_and_need_two():
    experts, y = simulate()
    with pytest.raises(InputError, match="one patient"):
        fit_gaussian_methods(experts, y, np.zeros(len(y)), 0, lambda share: None)


def test_blank_truths_add_no_term():
    experts, y = simulate(seed=3)
    gaps = y.copy()
    gaps[::4, 1] = np.nan
    fitted = methods_on(experts, gaps)
    fused = fuse_gaussian(fitted, "auto", experts, gaps)
    assert np.isfinite(fused.certificate_.fused)
    assert np.isfinite(fused.predict(experts).mean).all()


# Cells


@pytest.mark.parametrize(("n", "targets"), [(20_000, 20), (20_001, 20), (12_000, 200)])
def test_every_target_has_equally_many_cells(n, targets):
    """Issue 15, item 4: every step-th cell saw one target of 20, or 5 of 200."""
    rows, columns = sampled_cells(np.ones((n, targets), dtype=bool), 0)
    assert np.bincount(columns, minlength=targets).tolist() == [20_000 // targets] * targets
    assert len(np.unique(rows)) > 15_000 * min(1, n / 20_000) * 0.6
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)


def test_few_cells_are_all_taken_and_the_seed_decides_the_others():
    known = np.random.default_rng(0).random((50, 3)) < 0.5
    assert np.array_equal(np.stack(sampled_cells(known, 0)), np.stack(np.nonzero(known)))
    every = np.ones((30_000, 4), dtype=bool)
    one, same, other = (sampled_cells(every, seed)[0] for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_weights_are_those_of_all_targets():
    """Nineteen targets that the second expert knows, and the first, which alone was seen, that the first knows."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(20_000, 20))
    sd = np.full((2, 20), [[1.0], [0.1]])
    sd[:, 0] = [0.1, 1.0]
    mean = y[:, None] + sd * rng.normal(size=(20_000, 2, 20))
    experts = GaussianExperts(mean, np.full_like(mean, 0.5))  # stated alike: the weights must tell them apart
    method = GAUSSIAN_METHODS["static_product"]
    weights = method.weigh(experts, method.learn(experts, y, 1.0))[0]
    assert weights[1] > 0.8
