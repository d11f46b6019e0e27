"""One gate per bin, and experts hidden from the fit."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS
from pathfuse.fusion.categorical.bin_gates import BinGates, BinGatesObjective
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import Standardiser, gate_features
from pathfuse.fusion.categorical.logitprod import LogitProd, hide
from pathfuse.fusion.categorical.logpool import ProductObjective, product_weights, weighted_product
from pathfuse.fusion.categorical.static_product import fit_static
from pathfuse.fusion.product import Product, equal_product
from pathfuse.fusion.store import dump, restore

N, M, K = 50, 3, 4


def problem(n=N, seed=0, missing=0.2):
    """Survival with three bins and a tail; a third is censored."""
    rng = np.random.default_rng(seed)
    outcome, last = np.arange(K), rng.integers(K, size=n)
    censored = (rng.random(n) < 0.33) & (last < K - 1)
    observed = np.where(censored[:, None], outcome > last[:, None], outcome == last[:, None])
    signal = 1.5 * (np.arange(K - 1) == last[:, None]) - 0.5
    logits = signal[:, None] + rng.normal(size=(n, M, K - 1)) * np.linspace(0.6, 1.5, M)[:, None]
    table = np.stack([event_distribution(logits[:, m]) for m in range(M)], axis=1)
    gone = rng.random((n, M)) < missing
    gone[np.arange(n), rng.integers(M, size=n)] = False
    table[gone] = np.nan
    return Experts.from_logits(table), observed


def features(experts):
    raw, exists = gate_features(experts)
    return Standardiser.fit(raw, exists).apply(raw, exists)


def some_product(seed=0, n_features=3 * M + 2):
    rng = np.random.default_rng(seed)
    return Product(rng.normal(size=M), 0.3, rng.normal(size=(M, n_features)) * 0.3)


def fit(experts, observed, **options):
    return LogitProd(**options).fit_experts(experts, observed, np.arange(experts.n_samples))


# Gates


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_gradient_agrees_with_finite_differences(missing, half):
    experts, observed = problem(n=30, missing=missing)
    if half:
        observed = np.where(observed, 1.0, 0.5 * (observed.sum(axis=1, keepdims=True) > 1))
    phi = np.random.default_rng(1).normal(size=(30, 4))
    objective = BinGatesObjective(experts, observed, phi, ridge=0.02)
    objective.rho = 0.03
    theta = np.random.default_rng(2).normal(size=K * M + 1 + K * M * 4) * 0.3
    value, gradient = objective(theta)
    numeric = approx_fprime(theta, lambda t: objective(t)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)
    gates = objective.unpack(theta)
    plain = set_nll(gates.pool(phi, experts), observed).mean()
    anchor = np.exp(np.where(experts.present[:, :, None], experts.log_prob, -np.inf)).sum(axis=1)
    anchor /= experts.present.sum(axis=1, keepdims=True)
    plain -= PRIOR_ROWS / 30 * (anchor * gates.pool(phi, experts)).sum(axis=1).mean()
    penalty = 0.02 * ((gates.bias**2).sum() + gates.log_sharpness**2) + 0.03 * (gates.gate**2).sum()
    assert value == pytest.approx(plain + penalty, rel=1e-12)


def test_gates_started_at_a_shared_one_reproduce_it():
    experts, _ = problem()
    phi, product = features(experts), some_product()
    gates = BinGates.from_shared(product, K)
    weights = product_weights(product, phi, experts.present)
    for own in gates.weights(phi, experts):
        np.testing.assert_allclose(own, weights, rtol=1e-12)
    expected = weighted_product(experts, weights, float(np.exp(product.log_sharpness)))
    np.testing.assert_allclose(gates.pool(phi, experts), expected, atol=1e-12)


def test_gates_started_at_the_static_solution_reproduce_it():
    experts, observed = problem()
    static, phi = fit_static(experts, observed, 1.0, equal_product(M)), features(experts)
    gates = BinGates.from_shared(
        Product(static.bias, static.log_sharpness, np.zeros((M, phi.shape[1]))), K
    )
    weights = product_weights(static, np.zeros((N, 0)), experts.present)
    expected = weighted_product(experts, weights, float(np.exp(static.log_sharpness)))
    np.testing.assert_allclose(gates.pool(phi, experts), expected, atol=1e-12)


def test_the_shared_objective_is_the_restriction_to_equal_gates():
    """Without penalties: the same value, and the shared gradient is the sum over bins."""
    experts, observed = problem()
    phi, product = features(experts), some_product()
    shared = ProductObjective(experts, observed, phi, ridge=0.0)
    value, gradient = shared(shared.pack(product))
    gates = BinGates.from_shared(product, K)
    objective = BinGatesObjective(experts, observed, phi, ridge=0.0)
    theta = np.concatenate([gates.bias.ravel(), [gates.log_sharpness], gates.gate.ravel()])
    found, slope = objective(theta)
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(slope[: K * M].reshape(K, M).sum(axis=0), gradient[:M], atol=1e-12)
    assert slope[K * M] == pytest.approx(gradient[M], abs=1e-12)
    by_bin = slope[K * M + 1 :].reshape(K, M, -1)
    np.testing.assert_allclose(by_bin.sum(axis=0).ravel(), gradient[M + 1 :], atol=1e-12)


def test_the_fit_starts_from_the_shared_solution_and_ends_below():
    experts, observed = problem()
    phi = features(experts)
    static = fit_static(experts, observed, 1.0, equal_product(M))
    start = BinGates.from_shared(
        Product(static.bias, static.log_sharpness, np.zeros((M, phi.shape[1]))), K
    )
    objective = BinGatesObjective(experts, observed, phi, ridge=1 / N)
    objective.rho = 0.01
    flat = np.concatenate([start.bias.ravel(), [start.log_sharpness], start.gate.ravel()])
    end = objective.minimise(start)
    assert (
        objective(np.concatenate([end.bias.ravel(), [end.log_sharpness], end.gate.ravel()]))[0]
        < objective(flat)[0]
    )


def test_weights_are_the_mean_over_bins():
    experts, observed = problem()
    fusion = fit(experts, observed, rho=0.003, gate="per_bin")
    assert fusion.params_["bias"].shape == (K, M)
    raw, exists = gate_features(experts)
    phi = Standardiser(fusion.params_["feature_mean"], fusion.params_["feature_scale"]).apply(
        raw, exists
    )
    gates = BinGates(
        fusion.params_["bias"], float(fusion.params_["log_sharpness"]), fusion.params_["gate"]
    )
    by_bin = np.stack(gates.weights(phi, experts))
    assert np.abs(by_bin - by_bin[0]).max() > 1e-3  # the bins do disagree
    whole = experts.present.all(axis=1)
    np.testing.assert_allclose(fusion.weigh(experts)[whole], by_bin.mean(axis=0)[whole], rtol=1e-12)
    np.testing.assert_allclose(fusion.weigh(experts).sum(axis=1), 1, atol=1e-12)
    assert np.all(fusion.weigh(experts)[~experts.present] == 0)


def test_permuting_experts_permutes_weights_and_nothing_else():
    experts, observed = problem()
    order = np.array([2, 0, 1])
    turned = Experts(experts.log_prob[:, order], experts.present[:, order])
    one, other = (fit(e, observed, rho=0.1, gate="per_bin") for e in (experts, turned))
    np.testing.assert_allclose(
        np.exp(other.combine(turned)), np.exp(one.combine(experts)), atol=3e-3
    )
    np.testing.assert_allclose(other.weigh(turned), one.weigh(experts)[:, order], atol=5e-3)


def test_a_row_depends_on_nothing_but_itself():
    experts, observed = problem()
    fusion = fit(experts, observed, rho=0.01, gate="per_bin")
    whole, weights = fusion.combine(experts), fusion.weigh(experts)
    for rows in ([7], [3, 1], list(range(N))[::-3]):
        assert np.array_equal(fusion.combine(experts.rows(np.array(rows))), whole[rows])
        assert np.array_equal(fusion.weigh(experts.rows(np.array(rows))), weights[rows])


def test_store_round_trip_is_exact():
    experts, observed = problem()
    fusion = fit(experts, observed, rho=0.01, gate="per_bin")
    again = restore(*dump(fusion))
    assert np.array_equal(again.combine(experts), fusion.combine(experts))
    assert np.array_equal(again.weigh(experts), fusion.weigh(experts))


def test_the_certificate_falls_back_to_one_shared_gate():
    """One expert knows all; a rho and a pull too strong to say so lose to it, and the fit falls
    back."""
    experts, observed = problem(n=20, missing=0.0)
    certain = np.log(np.where(observed, 0.999 / observed.sum(axis=1, keepdims=True), 0.001))
    noise = np.random.default_rng(0).normal(size=(20, 2, K)) * 8
    experts = Experts.from_logits(np.concatenate([certain[:, None], noise], axis=1))
    fusion = fit(experts, observed, rho=10.0, gate="per_bin")
    assert fusion.certificate_.holds
    own = set_nll(fusion.combine(experts), observed).mean()
    assert fusion.certificate_.fused == pytest.approx(own, abs=1e-12)


# Experts hidden from the fit


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_never_all_experts_of_a_sample_are_hidden(share):
    experts, _ = problem(n=400, missing=0.4)
    hidden = hide(experts, share, 0)
    assert hidden.present.any(axis=1).all()
    assert np.all(experts.present | ~hidden.present)  # nobody appears out of nothing
    assert np.all(hidden.log_prob[~hidden.present] == 0)
    assert np.array_equal(hidden.log_prob[hidden.present], experts.log_prob[hidden.present])


def test_about_the_asked_share_is_hidden():
    experts, _ = problem(n=4000, missing=0.0)
    gone = 1 - hide(experts, 0.25, 0).present.mean()
    assert gone == pytest.approx(0.25 - 0.25**3, abs=0.01)  # rows that would lose all keep all


def test_hiding_is_seeded():
    experts, _ = problem()
    assert np.array_equal(hide(experts, 0.3, 5).present, hide(experts, 0.3, 5).present)
    assert not np.array_equal(hide(experts, 0.3, 5).present, hide(experts, 0.3, 6).present)
    assert hide(experts, 0.0, 5) is experts


def test_a_fit_with_dropout_is_repeatable_and_is_another_fit():
    experts, observed = problem()
    plain = fit(experts, observed, rho=0.01)
    one, two = (fit(experts, observed, rho=0.01, dropout=0.3, seed=1) for _ in range(2))
    assert np.array_equal(one.combine(experts), two.combine(experts))
    assert not np.array_equal(one.combine(experts), plain.combine(experts))
    other = fit(experts, observed, rho=0.01, dropout=0.3, seed=2)
    assert not np.array_equal(one.combine(experts), other.combine(experts))
    assert (
        one.certificate_.n_scored == plain.certificate_.n_scored
    )  # certified on all that was there
    assert one.certificate_.holds


def test_dropout_leaves_a_single_expert_alone():
    experts, observed = problem(missing=0.0)
    single = Experts(experts.log_prob[:, :1], experts.present[:, :1])
    one, other = fit(single, observed, rho=0.01), fit(single, observed, rho=0.01, dropout=0.5)
    assert np.array_equal(one.combine(single), other.combine(single))
