"""The product of hazards: its likelihood, its gradient, and the convex optimum beside other
solvers."""

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from pathfuse.distributions.discrete_time import event_distribution, hazards
from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.hazard_product import (
    HazardLikelihood,
    HazardProduct,
    hazard_logits,
)
from pathfuse.fusion.categorical.static_product import static_objective

T, M = 4, 3


def cohort(n=150, m=M, seed=0, missing=0.0, half=False):
    """Experts that see the true hazards through noise; about four in ten are censored."""
    rng = np.random.default_rng(seed)
    level = np.linspace(-1.8, -0.8, T) + 1.2 * rng.normal(size=(n, 1))
    dead_in = np.concatenate(
        [rng.random((n, T)) < expit(level), np.ones((n, 1), dtype=bool)], axis=1
    ).argmax(axis=1)
    left_in = np.where(rng.random(n) < 0.5, rng.integers(0, T + 1, size=n), T)
    event = dead_in <= left_in
    last = np.where(event, dead_in, left_in)
    outcome = np.arange(T + 1)
    observed = np.where(event[:, None], outcome == last[:, None], outcome > last[:, None])
    observed[last == T] = outcome == T
    if half:
        observed = observed.astype(float)
        shared = ~event & (last < T)
        observed[shared, last[shared]] = 0.5
    logits = level[:, None] + rng.normal(size=(n, m, T)) * np.linspace(0.5, 1.2, m)[:, None]
    table = np.stack([event_distribution(logits[:, j]) for j in range(m)], axis=1)
    gone = rng.random((n, m)) < missing
    gone[np.arange(n), rng.integers(m, size=n)] = False
    table[gone] = np.nan
    return Experts.from_logits(table), observed, logits, (event & (last < T), last)


def fit(experts, observed, ridge=None, groups=None):
    groups = np.arange(experts.n_samples) if groups is None else groups
    return HazardProduct(ridge=ridge).fit_experts(experts, observed, groups)


def person_periods(logits, event, last):
    """One row per patient and bin that the patient entered and whose end is known: the experts'
    logits, and death."""
    rows, died = [], []
    for n in range(len(logits)):
        for k in range(min(last[n], T - 1) + 1):
            rows.append(logits[n, :, k])
            died.append(bool(event[n] and k == last[n]))
    return np.array(rows), np.array(died)


def coefficients(fusion):
    """Sharpness times weights, in which the problem is convex."""
    bias = fusion.params_["bias"]
    weights = np.exp(bias - bias.max())
    return np.exp(fusion.params_["log_sharpness"]) * weights / weights.sum()


def test_hazard_logits_undo_event_distributions():
    experts, _, logits, _ = cohort()
    np.testing.assert_allclose(
        hazard_logits(experts).log_prob, logits, atol=2e-3
    )  # the floor costs a little
    assert hazard_logits(experts).shape == (150, M, T)


def test_hazard_logits_of_absent_experts_are_zero():
    experts, _, _, _ = cohort(missing=0.3)
    found = hazard_logits(experts)
    assert np.all(found.log_prob[~experts.present] == 0)
    assert np.array_equal(found.present, experts.present)


@pytest.mark.parametrize("half", [False, True])
def test_the_likelihood_and_its_gradient(half):
    _, observed, logits, _ = cohort(n=25, half=half)
    scores = logits[:, 0]
    likelihood = HazardLikelihood.of(observed)
    value, slope = likelihood(scores.T)
    assert value == pytest.approx(set_nll(event_distribution(scores), observed).mean(), rel=1e-12)
    numeric = approx_fprime(scores.ravel(), lambda s: likelihood(s.reshape(25, T).T)[0], 1e-7)
    np.testing.assert_allclose(slope.T.ravel() / 25, numeric, atol=1e-6)


def test_the_likelihood_survives_scores_of_any_size():
    _, observed, logits, _ = cohort(n=25)
    for size in (50, 1e4):
        value, slope = HazardLikelihood.of(observed)(logits[:, 0].T * size)
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_gradient_of_the_objective(missing, half):
    experts, observed, _, _ = cohort(n=40, missing=missing, half=half)
    objective = static_objective(
        hazard_logits(experts), observed, 2.0, HazardLikelihood.of(observed)
    )
    theta = np.array([0.3, -0.5, 0.1, 0.2])
    numeric = approx_fprime(theta, lambda t: objective(t)[0], 1e-7)
    np.testing.assert_allclose(objective(theta)[1], numeric, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_is_that_of_logistic_regression_on_person_periods(seed):
    """Without ridge, the sharpened weights are the coefficients of a logistic regression without
    intercept."""
    experts, observed, logits, (event, last) = cohort(n=400, seed=seed)
    rows, died = person_periods(logits, event, last)
    theirs = (
        LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-10, max_iter=1000)
        .fit(rows, died)
        .coef_[0]
    )
    assert theirs.min() > 0.05  # inside the simplex: the constraint does not bind
    fusion = fit(experts, observed, ridge=0.0)
    np.testing.assert_allclose(coefficients(fusion), theirs, atol=0.01)
    optimum = -log_expit(np.where(died, 1, -1) * (rows @ theirs)).sum() / 400
    own = set_nll(fusion.combine(experts), observed).mean()
    assert own == pytest.approx(optimum, abs=1e-4)


def test_the_optimum_on_the_border_is_that_of_a_bounded_solver():
    """An expert that says the opposite gets no weight; a solver with bounds agrees."""
    experts, observed, logits, (event, last) = cohort(n=400)
    logits = logits.copy()
    logits[:, 2] *= -1
    experts = Experts.from_logits(
        np.stack([event_distribution(logits[:, j]) for j in range(M)], axis=1)
    )
    rows, died = person_periods(logits, event, last)
    sign = np.where(died, -1.0, 1.0)

    def loss(v):
        return np.logaddexp(0, sign * (rows @ v)).sum() / 400

    found = minimize(
        loss, np.ones(M) / M, bounds=[(0, None)] * M, options={"ftol": 1e-13, "gtol": 1e-9}
    )
    fusion = fit(experts, observed, ridge=0.0)
    assert found.x[2] == 0
    np.testing.assert_allclose(coefficients(fusion), found.x, atol=0.02)
    assert set_nll(fusion.combine(experts), observed).mean() == pytest.approx(found.fun, abs=1e-3)


def test_the_fused_hazard_is_the_weighted_mean_of_the_logits():
    experts, observed, logits, _ = cohort()
    fusion = fit(experts, observed, ridge=1.0)
    expected = expit(np.einsum("m,nmk->nk", coefficients(fusion), logits))
    np.testing.assert_allclose(hazards(fusion.combine(experts)), expected, atol=1e-3)


def test_an_infinite_ridge_moves_the_sharpness_only():
    experts, observed, _, _ = cohort()
    (params,) = HazardProduct().fit_path(experts, observed, [math.inf])
    assert np.all(params["bias"] == 0)
    assert params["log_sharpness"] != 0
    np.testing.assert_array_equal(HazardProduct().share(experts, params), 1 / M)


def test_permuting_experts_permutes_weights_and_nothing_else():
    experts, observed, _, _ = cohort(missing=0.2)
    order = np.array([2, 0, 1])
    turned = Experts(experts.log_prob[:, order], experts.present[:, order])
    one, other = fit(experts, observed, ridge=1.0), fit(turned, observed, ridge=1.0)
    np.testing.assert_allclose(other.weigh(turned), one.weigh(experts)[:, order], atol=2e-3)
    np.testing.assert_allclose(
        np.exp(other.combine(turned)), np.exp(one.combine(experts)), atol=1e-3
    )


def test_one_expert_at_sharpness_one_is_that_expert():
    experts, _, _, _ = cohort(m=1)
    fused = HazardProduct().pool(experts, {"bias": np.zeros(1), "log_sharpness": np.array(0.0)})
    np.testing.assert_allclose(hazards(fused), hazards(experts.log_prob[:, 0]), rtol=1e-4)


def test_absent_experts_have_weight_zero_and_the_rest_share_it():
    experts, observed, _, _ = cohort(missing=0.4)
    fusion = fit(experts, observed, ridge=1.0)
    weights = fusion.weigh(experts)
    assert np.all(weights[~experts.present] == 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    assert np.all(np.isfinite(fusion.combine(experts)))


@pytest.mark.parametrize("half", [False, True])
def test_the_certificate_holds_where_one_expert_knows_all_and_shrinkage_is_strong(half):
    """Equal weights lose to the best expert here, so the fit falls back."""
    experts, observed, _, _ = cohort(n=60, half=half)
    certain = np.log(np.where(observed > 0.7, 0.9, 0.1 / 4))
    rng = np.random.default_rng(0)
    noise = np.stack([event_distribution(rng.normal(size=(60, T)) * 3) for _ in range(2)], axis=1)
    experts = Experts.from_logits(np.concatenate([certain[:, None], noise], axis=1))
    fusion = fit(experts, observed, ridge=1e6)
    assert fusion.certificate_.holds
    assert fusion.certificate_.fallback is not None
    own = set_nll(fusion.combine(experts), observed).mean()
    assert fusion.certificate_.fused == pytest.approx(own, abs=1e-12)
