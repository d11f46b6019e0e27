"""What single methods must do beyond the contract suite; values by hand or by an independent
library."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

import pathfuse
from pathfuse.distributions.likelihood import set_nll
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.chains import chain_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.categorical.gating import Standardiser, gate_features
from pathfuse.fusion.categorical.imputation import GaussianImputer
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.stacking import RidgeObjective, Stacking
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.registry import fusion_class


def regions(n, seed, k=3):
    """Two experts, each right in its own region and sure of itself only there: what a gate is for."""
    rng = np.random.default_rng(seed)
    y, region = rng.integers(k, size=n), rng.random(n) < 0.5
    strength = np.where(np.stack([region, ~region], axis=1), 4.0, 0.3)
    logits = (
        strength[:, :, None] * np.eye(k)[y][:, None]
        + rng.normal(size=(n, 2, k)) * strength[:, :, None] / 3
    )
    wrong = rng.normal(size=(n, 2, k)) * 1.2
    return np.where(strength[:, :, None] > 1, logits, wrong), y


def test_gate_features_by_hand():
    log_prob = np.log([[[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3]]])
    features, exists = gate_features(Experts(log_prob, np.array([[True, True]])))
    h1, h2 = -(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1)), np.log(3)
    mean = np.array([0.7 + 1 / 3, 0.2 + 1 / 3, 0.1 + 1 / 3]) / 2
    pooled = -(mean * np.log(mean)).sum()
    expected = [0.7, 1 / 3, 0.5, 0.0, h1, h2, (h1 + h2) / 2, pooled - (h1 + h2) / 2]
    np.testing.assert_allclose(features[0], expected, atol=1e-12)
    assert exists.all()


def test_gate_features_of_two_classes_drop_the_margin():
    features, _ = gate_features(
        Experts(np.log([[[0.7, 0.3], [0.4, 0.6]]]), np.ones((1, 2), dtype=bool))
    )
    assert features.shape == (1, 2 * 2 + 2)


def test_absent_experts_leave_the_global_features_to_the_present():
    both = Experts(np.log([[[0.7, 0.2, 0.1]]]), np.array([[True]]))
    log_prob = np.concatenate([both.log_prob, np.zeros((1, 1, 3))], axis=1)
    features, exists = gate_features(Experts(log_prob, np.array([[True, False]])))
    alone, _ = gate_features(both)
    np.testing.assert_allclose(features[0, -2:], alone[0, -2:], atol=1e-12)
    assert exists[0].tolist() == [True, False] * 3 + [True, True]


def test_standardiser_drops_constants_and_absent_features():
    features = np.array([[1.0, 5.0], [3.0, 5.0], [99.0, 5.0]])
    exists = np.array([[True, True], [True, True], [False, True]])
    scaled = Standardiser.fit(features, exists).apply(features, exists)
    np.testing.assert_allclose(scaled, [[-1, 0], [1, 0], [0, 0]], atol=1e-12)


def test_the_gate_finds_regions_of_expertise():
    fit, test = regions(600, 0), regions(600, 1)
    gated, static = LogitProd().fit(*fit), StaticProduct().fit(*fit)
    nll = [-f.predict_log_proba(test[0])[np.arange(600), test[1]].mean() for f in (gated, static)]
    assert nll[0] < 0.9 * nll[1]
    assert gated.weights(test[0]).std(axis=0).min() > 0.1


def test_a_closed_gate_is_the_static_product():
    logits, y = regions(200, 2)
    gated, static = LogitProd(rho=1e6).fit(logits, y), StaticProduct(ridge=1.0).fit(logits, y)
    np.testing.assert_allclose(gated.predict_proba(logits), static.predict_proba(logits), atol=1e-3)


def test_a_duplicated_expert_shares_its_weight_and_leaves_the_optimum():
    logits, y = regions(300, 3)
    doubled = np.concatenate([logits, logits[:, :1]], axis=1)
    one, two = StaticProduct(ridge=0.0).fit(logits, y), StaticProduct(ridge=0.0).fit(doubled, y)
    assert two.certificate_.fused == pytest.approx(one.certificate_.fused, abs=1e-5)
    w1, w2 = one.weights(logits)[0], two.weights(doubled)[0]
    assert w2[0] == pytest.approx(w2[2], abs=1e-6)
    assert w2[0] + w2[2] == pytest.approx(w1[0], abs=1e-2)


def test_sharpness_repairs_under_confidence():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400)
    logits = 0.2 * (3 * np.eye(3)[y][:, None] + rng.normal(size=(400, 4, 3)))  # five times too flat
    static = StaticProduct().fit(logits, y)
    assert np.exp(static.params_["log_sharpness"]) > 3
    uniform = pathfuse.UniformProduct().fit(logits, y)
    assert static.certificate_.fused < 0.6 * uniform.certificate_.fused


def test_decorrelation_moves_weight_between_alike_experts():
    logits, y = regions(300, 4)
    trio = np.concatenate([logits, logits[:, :1] + 0.01], axis=1)  # experts 0 and 2 err alike
    plain, penalised = (
        LogitProd(rho=1.0).fit(trio, y),
        LogitProd(rho=1.0, decorrelation=1.0).fit(trio, y),
    )
    assert penalised.weights(trio)[:, 1].mean() > plain.weights(trio)[:, 1].mean()


def test_stacking_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    table, y = rng.normal(size=(150, 6)), rng.integers(3, size=150)
    theta = RidgeObjective(table, np.eye(3, dtype=bool)[y], 1 / (2 * 0.5 * 150)).minimise(None)
    reference = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(table, y)
    ours = log_softmax(table @ theta[:, 1:].T + theta[:, 0], axis=1)
    np.testing.assert_allclose(ours, reference.predict_log_proba(table), atol=5e-3)


def test_stacking_reads_one_class_as_evidence_for_another():
    """Both experts always confuse a and b in the same recoverable way; no product can undo it."""
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=500)
    said = np.array([1, 0, 2])[y]
    logits = 3 * np.eye(3)[said][:, None] + rng.normal(size=(500, 2, 3))
    assert np.mean(Stacking().fit(logits, y).predict(logits) == y) > 0.9
    assert np.mean(StaticProduct().fit(logits, y).predict(logits) == y) < 0.5


def test_imputer_finds_the_conditional_mean():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.1], [0.3, 0.1, 1.0]])
    full = rng.multivariate_normal([1.0, -1.0, 0.0], covariance, size=4000)
    table = full.copy()
    table[rng.random(table.shape) < 0.2] = np.nan
    table[np.isnan(table).all(axis=1)] = full[np.isnan(table).all(axis=1)]
    imputer = GaussianImputer.fit(table)
    np.testing.assert_allclose(imputer.mean, [1, -1, 0], atol=0.08)
    np.testing.assert_allclose(imputer.covariance, covariance, atol=0.08)
    (filled,) = imputer.fill(np.array([[2.0, np.nan, 0.0]]))
    known = covariance[np.ix_([0, 2], [0, 2])]
    expected = -1 + covariance[1, [0, 2]] @ np.linalg.solve(known, [1.0, 0.0])
    assert filled[1] == pytest.approx(expected, abs=0.1)


def test_imputation_beats_leaving_gaps_at_the_mean():
    rng = np.random.default_rng(2)
    y = rng.integers(3, size=800)
    shared = 2 * np.eye(3)[y] + rng.normal(size=(800, 3))
    logits = shared[:, None] + 0.3 * rng.normal(size=(800, 3, 3))
    gaps = rng.random((800, 3)) < 0.4
    gaps[np.arange(800), rng.integers(3, size=800)] = False
    logits[gaps] = np.nan
    fit, test = slice(0, 400), slice(400, None)
    stacking, judged = Stacking(C=1.0).fit(logits[fit], y[fit]), Experts.from_logits(logits[test])
    at_mean = {
        **stacking.params_,
        "imputer_covariance": np.diag(np.diag(stacking.params_["imputer_covariance"])),
    }
    nll, rival = (
        -stacking.pool(judged, p)[np.arange(400), y[test]].mean()
        for p in (stacking.params_, at_mean)
    )
    assert nll < rival


def test_best_expert_stands_in_for_absent_ones_in_the_certificate():
    logits = np.log(np.array([[[0.9, 0.1], [0.6, 0.4]], [[np.nan, np.nan], [0.6, 0.4]]]))
    experts = Experts.from_logits(logits)
    observed = np.array([[True, False], [True, False]])
    expected = [-(np.log(0.9) + np.log(0.6)) / 2, -np.log(0.6)]
    np.testing.assert_allclose(chain_nll(experts, observed), expected, atol=1e-6)
    assert CATEGORICAL.certify(experts.log_prob[:, 1], experts, observed).best_expert == 0
    assert not CATEGORICAL.certify(experts.log_prob[:, 1], experts, observed).holds


def test_fallback_when_shrinkage_ends_above_the_best_expert():
    """One perfect expert among noise, pulled towards equal weights: the fit must not end above that
    expert."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=30)
    noise = 4 * rng.normal(size=(30, 6, 2))
    logits = np.concatenate([8 * np.eye(2)[y][:, None], noise], axis=1)
    static = StaticProduct(ridge=1000.0).fit(logits, y)
    assert static.certificate_.fallback is not None
    assert static.certificate_.holds


@pytest.mark.slow
def test_the_council_holds_and_reports():
    logits, y = regions(120, 5)
    auto = Auto().fit(logits, y)
    assert auto.certificate_.holds
    assert sum(auto.council_weights_.values()) == pytest.approx(1)
    assert set(auto.inner_scores_) == {
        "best_expert", "mean_probability", "uniform_product", "static_product", "logitprod", "stacking",
        "root_stacking",
    }  # fmt: skip


@pytest.mark.slow
def test_weights_of_the_council_are_the_powers_of_the_experts():
    """A product of products is one: multiplying the experts' distributions with these powers gives
    the prediction."""
    logits, y = regions(120, 5)
    auto, experts = Auto().fit(logits, y), Experts.from_logits(logits)
    bias = dict(zip(auto.members_, auto.council_.params_["bias"], strict=True))
    products = ("uniform_product", "static_product", "logitprod", "best_expert")
    auto.members_ = {name: auto.members_[name] for name in products}
    auto.council_.params_["bias"] = np.array([bias[name] for name in products])
    powers = sum(
        auto.council_sharpness_ * auto.council_weights_[name] * method.exponents(experts)
        for name, method in auto.members_.items()
    )
    expected = log_softmax(np.einsum("nm,nmk->nk", powers, experts.log_prob), axis=1)
    # Members are floored before they are weighed: not exact in the far tail.
    np.testing.assert_allclose(np.exp(auto.combine(experts)), np.exp(expected), atol=1e-6)
    weights = auto.weights(logits)
    np.testing.assert_allclose(weights, powers / powers.sum(axis=1, keepdims=True), rtol=1e-12)
    assert (
        np.abs(weights - auto.members_["logitprod"].weights(logits)).max() > 0.01
    )  # not those of one member


@pytest.mark.slow
def test_choose_takes_the_lowest_inner_score():
    logits, y = regions(150, 6)
    choose = pathfuse.Choose().fit(logits, y)
    assert choose.inner_scores_[choose.chosen_.name] == min(choose.inner_scores_.values())


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_jobs():
    logits, y = regions(80, 7)
    one, two = LogitProd(n_jobs=1).fit(logits, y), LogitProd(n_jobs=2).fit(logits, y)
    assert np.array_equal(one.predict_log_proba(logits), two.predict_log_proba(logits))


def test_truth_may_be_a_set():
    logits, y = regions(200, 8)
    observed = np.eye(3, dtype=bool)[y]
    observed[::4] = True  # every fourth truth says nothing
    fusion = LogitProd(rho=0.1).fit(logits, observed)
    own = set_nll(fusion.predict_log_proba(logits), observed)
    np.testing.assert_allclose(own[::4], 0, atol=1e-12)
    assert fusion.certificate_.fused == pytest.approx(own.mean())


def test_one_patient_cannot_be_cross_validated():
    logits, y = regions(40, 9)
    with pytest.raises(InputError, match="two patients"):
        Auto().fit(logits, y, groups=np.zeros(40))


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="'magic' is unknown"):
        fusion_class("magic", CATEGORICAL)


def test_an_unknown_gate_is_named():
    logits, y = regions(60, 10)
    with pytest.raises(InputError, match="gate 'per_patient' is unknown"):
        LogitProd(gate="per_patient").fit(logits, y)


def test_an_imputer_fills_no_rows_and_complete_rows():
    table = np.random.default_rng(0).normal(size=(20, 4))
    fitted = GaussianImputer.fit(table)
    assert fitted.fill(table[:0]).shape == (0, 4)
    assert np.array_equal(fitted.fill(table), table)
