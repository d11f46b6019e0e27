import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax, softmax

from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logitprod import error_correlation
from pathfuse.fusion.categorical.logpool import (
    ProductObjective,
    SetLikelihood,
    masked_softmax,
    no_features,
    weighted_product,
)
from pathfuse.fusion.product import equal_product


def problem(seed=0, n=40, m=3, k=4, features=5, missing=0.2):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, m, k)) * 2
    gone = rng.random((n, m)) < missing
    gone[:, 0] = False
    logits[gone] = np.nan
    observed = np.eye(k, dtype=bool)[rng.integers(k, size=n)]
    observed[: n // 4] |= rng.random((n // 4, k)) < 0.5  # some truths are sets
    return Experts.from_logits(logits), observed, rng.normal(size=(n, features))


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("decorrelation", [0.0, 0.3])
def test_gradient_agrees_with_finite_differences(equal, decorrelation):
    experts, observed, phi = problem()
    correlation = decorrelation * error_correlation(experts, observed) if decorrelation else None
    objective = ProductObjective(
        experts, observed, phi, ridge=0.01, rho=0.02, correlation=correlation, equal=equal
    )
    theta = np.random.default_rng(1).normal(size=3 + 1 + 15) * 0.3
    if equal:
        theta[:3] = 0
    value, gradient = objective(theta)
    numeric = approx_fprime(theta, lambda t: objective(t)[0], 1e-6)
    free = slice(3, None) if equal else slice(None)  # held biases have no gradient by design
    np.testing.assert_allclose(gradient[free], numeric[free], atol=2e-6)
    assert np.isfinite(value)


def test_gradient_of_the_set_likelihood():
    rng = np.random.default_rng(0)
    scores, observed = rng.normal(size=(6, 4)), rng.random((6, 4)) < 0.5
    observed[:, 0] = True
    likelihood = SetLikelihood.of(observed)
    value, gradient = likelihood(scores.T)
    assert value == pytest.approx(set_nll(log_softmax(scores, axis=1), observed).mean())
    numeric = approx_fprime(scores.ravel(), lambda s: likelihood(s.reshape(6, 4).T)[0], 1e-7)
    np.testing.assert_allclose(gradient.T.ravel() / 6, numeric, atol=1e-6)


def test_the_set_likelihood_survives_a_truth_far_below():
    value, gradient = SetLikelihood.of(np.array([[True, False]]))(np.array([[-2000.0], [0.0]]))
    assert value == pytest.approx(2000)
    np.testing.assert_allclose(gradient[:, 0], [-1, 1])


@given(seed=st.integers(0, 10_000), m=st.integers(1, 5), k=st.integers(2, 6))
def test_simplex_weights_are_never_worse_than_the_weighted_mean_of_the_experts(seed, m, k):
    """Weighted AM-GM: row by row, for any weights, for singleton observations."""
    rng = np.random.default_rng(seed)
    experts = Experts.from_logits(rng.normal(size=(8, m, k)) * rng.uniform(0.1, 5))
    observed = np.eye(k, dtype=bool)[rng.integers(k, size=8)]
    weights = rng.dirichlet(np.ones(m), size=8)
    fused = set_nll(weighted_product(experts, weights), observed)
    alone = np.stack([set_nll(experts.log_prob[:, j], observed) for j in range(m)], axis=1)
    assert np.all(fused <= (weights * alone).sum(axis=1) + 1e-12)


def test_the_product_by_hand():
    log_prob = np.log([[[0.8, 0.2], [0.5, 0.5]]])
    experts = Experts(log_prob, np.ones((1, 2), dtype=bool))
    fused = np.exp(weighted_product(experts, np.array([[0.5, 0.5]]), 2.0))
    np.testing.assert_allclose(fused, [[0.8, 0.2]])  # (.8 * .5, .2 * .5) normalised


def test_static_optimum_agrees_with_a_convex_solver():
    """Without shrinkage the static product is convex in v = s * w >= 0; a bounded solver on v is
    the reference."""
    experts, observed, _ = problem(seed=3, n=200, missing=0.0)
    observed = np.eye(4, dtype=bool)[observed.argmax(axis=1)]
    objective = ProductObjective(experts, observed, no_features(200), ridge=0.0, prior_rows=0.0)
    product = objective.minimise(equal_product(3))
    reached = objective(objective.pack(product))[0]

    def nll(v):
        return set_nll(
            log_softmax(np.einsum("m,nmk->nk", v, experts.log_prob), axis=1), observed
        ).mean()

    best = minimize(
        nll, np.full(3, 0.3), bounds=[(0, None)] * 3, method="L-BFGS-B", options={"ftol": 1e-14}
    ).fun
    assert reached == pytest.approx(best, abs=1e-4)


def test_masked_softmax():
    scores = np.array([[1.0, 5.0, 2.0]])
    present = np.array([[True, False, True]])
    weights = masked_softmax(scores, present)
    np.testing.assert_allclose(weights[0, [0, 2]], softmax([1.0, 2.0]))
    assert weights[0, 1] == 0
