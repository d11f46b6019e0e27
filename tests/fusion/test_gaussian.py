"""The methods of regression beyond the contract suite: values by hand, gradients, the council, old
files."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf

from pathfuse.errors import InputError
from pathfuse.fusion.fitted import fit_methods
from pathfuse.fusion.gaussian import family
from pathfuse.fusion.gaussian.auto import GaussianAuto
from pathfuse.fusion.gaussian.chains import chain_nll
from pathfuse.fusion.gaussian.covariance_product import error_covariances, minimum_variance
from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    nll,
    pool,
    residual_variance,
    sharpness_of,
)
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.gaussian.logitprod import GaussianLogitProd
from pathfuse.fusion.gaussian.product import Cells, GaussianObjective, gate_input, sampled_cells
from pathfuse.fusion.gaussian.static_product import GaussianStaticProduct
from pathfuse.fusion.methods import new_methods
from pathfuse.fusion.store import dump, restore

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
    return fit_methods(new_methods(0, "regression"), experts, y, np.arange(len(y)), 0)


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
    objective = GaussianObjective(
        Cells.of(experts, y, gate_input(experts), 0), ridge=0.01, rho=0.02
    )
    theta = np.random.default_rng(0).normal(size=3 + 1 + 3 * 7) * 0.3
    numeric = approx_fprime(theta, lambda t: objective(t)[0], 1e-6)
    np.testing.assert_allclose(objective(theta)[1], numeric, atol=1e-5)


def test_minimum_variance_weights_by_hand():
    np.testing.assert_allclose(minimum_variance(np.diag([1.0, 3.0])), [0.75, 0.25])
    correlated = np.array(
        [[1.0, 1.9], [1.9, 4.0]]
    )  # unconstrained, the second would get a negative weight
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
    (experts, y), (new, truth) = simulate(seed=1, n=300), simulate(seed=2, n=300)
    fitted = methods_on(experts, y)
    weights = fitted.members["static_product"].weigh(experts)[0]
    precision = weights / SD**2
    assert precision[0] > precision[1] > precision[2]
    fused = GaussianAuto().from_fitted(fitted, experts, y)
    filled = new.with_variance(residual_variance(experts, y))
    assert GAUSSIAN.score(fused.combine(new), truth) < chain_nll(filled, truth).min()
    assert sum(fused.council_weights_.values()) == pytest.approx(1)


def test_inner_folds_keep_patients_together_and_need_two():
    experts, y = simulate()
    with pytest.raises(InputError, match="two patients"):
        fit_methods(new_methods(0, "regression"), experts, y, np.zeros(len(y), dtype=int), 0)


def test_inner_folds_are_those_of_the_other_endpoints():
    """Five repeats of ten folds where rows are few, as for classes; regression had five folds once."""
    experts, y = simulate()
    fitted = methods_on(experts, y)
    assert all(held_out.shape == (5, len(y), 6) for held_out in fitted.held_out.values())
    assert not any(np.isnan(held_out).any() for held_out in fitted.held_out.values())


def test_blank_truths_add_no_term():
    experts, y = simulate(seed=3)
    gaps = y.copy()
    gaps[::4, 1] = np.nan
    fused = GaussianAuto().fit_experts(experts, gaps, np.arange(len(y)))
    assert np.isfinite(fused.certificate_.fused)
    assert np.isfinite(fused.combine(experts)).all()


@pytest.mark.slow
def test_of_many_targets_choices_are_made_on_some_and_all_are_fused(monkeypatch):
    monkeypatch.setattr(family, "MAX_TARGETS", 2)
    experts, y = simulate(seed=4, missing=0.2)
    fitted = methods_on(experts, y)
    assert fitted.truth.shape == (120, 2)
    assert all(held_out.shape[2] == 4 for held_out in fitted.held_out.values())
    assert GaussianAuto().from_fitted(fitted, experts, y).combine(experts).shape == (120, 6)
    for method in new_methods(0, "regression"):
        assert np.isfinite(method.fit_experts(experts, y, np.arange(120)).combine(experts)).all()


@pytest.mark.parametrize("kind", [GaussianStaticProduct, GaussianLogitProd])
def test_a_product_whose_certificate_fails_falls_back_on_the_best_expert(kind):
    experts, y = simulate(seed=5, missing=0.2)
    method = kind().fit_experts(experts, y, np.arange(120))
    *weaker, (name, params) = method.safeguards(experts, y)
    assert name == "best_expert"
    assert len(weaker) == sum(setting < method.setting_ for setting in kind.settings)
    order = np.argsort(GAUSSIAN.chain_scores(experts, y))
    assert GAUSSIAN.score(method.pool(experts, params), y) == pytest.approx(
        GAUSSIAN.chain_scores(experts, y)[order[0]], abs=1e-9
    )


# Files of older versions


def as_schema_2(fusion):
    """A council or a method as pathfuse wrote it before the two kinds of endpoints shared a store."""
    council = isinstance(fusion, GaussianAuto)
    members = fusion.members_ if council else {fusion.name: fusion}
    tensors = {
        f"{name}/{key}": a for name, method in members.items() for key, a in method.params_.items()
    }
    tensors |= {
        f"{name}/presence/{key}": a
        for name, method in members.items()
        for key, a in method.presence_.items()
    }
    lone = {"bias": np.zeros(1), "sharpness": np.array(1.0)}
    tensors |= {
        f"council/{key}": a for key, a in (fusion.council_.params_ if council else lone).items()
    }
    tensors |= {
        f"council/presence/{key}": a for key, a in (fusion.presence_ if council else {}).items()
    }
    content = {"method": fusion.name, "gaussian": True, "members": list(members)}
    scores = fusion.inner_scores_ if council else {}
    return {
        **content,
        "certificate": fusion.certificate_.as_dict(),
        "inner_scores": scores,
    }, tensors


@pytest.mark.parametrize("kind", [GaussianAuto, GaussianLogitProd])
def test_models_of_schema_2_predict_as_they_did(kind):
    experts, y = simulate(seed=6, missing=0.2)
    fusion = kind().fit_experts(experts, y, np.arange(120))
    old = restore(*as_schema_2(fusion))
    assert np.array_equal(old.combine(experts), fusion.combine(experts))
    assert np.array_equal(old.weigh(experts), fusion.weigh(experts))
    assert old.certificate_ == fusion.certificate_
    assert np.array_equal(restore(*dump(old)).combine(experts), fusion.combine(experts))


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
    """Nineteen targets that the second expert knows, and the first, which alone was seen, that the
    first knows."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(20_000, 20))
    sd = np.full((2, 20), [[1.0], [0.1]])
    sd[:, 0] = [0.1, 1.0]
    mean = y[:, None] + sd * rng.normal(size=(20_000, 2, 20))
    experts = GaussianExperts(
        mean, np.full_like(mean, 0.5)
    )  # stated alike: the weights must tell them apart
    method = GaussianStaticProduct()
    (params,) = method.fit_path(experts, y, [1.0])
    assert method.share(experts.rows(np.arange(1)), params)[0, 1] > 0.8


@pytest.mark.parametrize(("n", "n_experts"), [(20, 5), (200, 3), (9, 1), (8, 12)])
def test_covariances_of_all_targets_are_ledoit_and_wolfs(n, n_experts):
    rng = np.random.default_rng(n)
    errors = rng.normal(size=(n, n_experts, 6)) + rng.normal(size=(n, 1, 6))
    errors[:, :, 5] = 2.0 * np.eye(n_experts)[np.arange(n) % n_experts]
    for g, found in enumerate(error_covariances(errors)):
        wanted = ledoit_wolf(errors[:, :, g], assume_centered=True)[0] + 1e-12 * np.eye(n_experts)
        np.testing.assert_allclose(found, wanted, atol=1e-13)
