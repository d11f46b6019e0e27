"""One suite against every fusion method. A new method is covered by being registered."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import clone

import pathfuse
from pathfuse.errors import InputError, NotFittedError
from pathfuse.fusion import inner_cv
from pathfuse.fusion.registry import METHODS, method_class
from pathfuse.fusion.store import dump, restore

N, M, K = 90, 3, 3
SYMMETRIC = ("mean_probability", "uniform_product", "static_product", "logitprod", "auto", "choose", "best_expert")
CERTIFIED = ("best_expert", "static_product", "logitprod", "auto")


@pytest.fixture(scope="module", autouse=True)
def fewer_inner_folds():
    """Two divisions in five in place of five in ten: what is tested here holds whatever the folds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)
        yield


def simulate(n=N, m=M, k=K, seed=0, missing=0.0):
    """Experts that see the truth through noise of different size and are over-confident to different degrees."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    signal = 2.0 * np.eye(k)[y] + rng.normal(size=(n, k))
    noise = rng.normal(size=(n, m, k)) * np.linspace(0.5, 2.0, m)[:, None]
    logits = (signal[:, None] + noise) * np.linspace(0.7, 2.0, m)[:, None]
    gone = rng.random((n, m)) < missing
    gone[np.arange(n), rng.integers(m, size=n)] = False
    logits[gone] = np.nan
    return logits, y


@pytest.fixture(scope="module", params=METHODS)
def fitted(request):
    logits, y = simulate()
    return method_class(request.param)().fit(logits, y)


@pytest.fixture(scope="module", params=METHODS)
def fitted_with_gaps(request):
    logits, y = simulate(missing=0.25, seed=3)
    return method_class(request.param)().fit(logits, y), logits, y


def test_probabilities_are_probabilities(fitted):
    prob = fitted.predict_proba(simulate(seed=1)[0])
    assert prob.shape == (N, K)
    assert np.all(prob >= 0)
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-12)


def test_weights_lie_on_the_simplex(fitted):
    weights = fitted.weights(simulate(seed=1)[0])
    assert weights.shape == (N, M)
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


def test_better_than_chance_on_new_samples(fitted):
    logits, y = simulate(n=400, seed=2)
    assert np.mean(fitted.predict(logits) == y) > 0.6


def test_absent_experts_have_weight_zero(fitted_with_gaps):
    fusion, logits, _ = fitted_with_gaps
    weights, gone = fusion.weights(logits), np.isnan(logits[:, :, 0])
    assert gone.any()
    assert np.all(weights[gone] == 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(fusion.predict_proba(logits).sum(axis=1), 1, atol=1e-12)


def test_certificate_is_what_it_says(fitted_with_gaps):
    fusion, logits, y = fitted_with_gaps
    certificate = fusion.certificate_
    own = -fusion.predict_log_proba(logits)[np.arange(len(y)), y].mean()
    assert certificate.fused == pytest.approx(own, abs=1e-12)
    assert certificate.holds == (certificate.fused <= min(certificate.experts) + 1e-9)
    assert certificate["holds"] == certificate.holds
    assert list(certificate["experts"].values()) == list(certificate.experts)
    if fusion.name in CERTIFIED:
        assert certificate.holds


def test_a_row_depends_on_nothing_but_itself(fitted_with_gaps):
    """Down to the last bit: else a saved model could not repeat a run on part of its rows."""
    fusion, logits, _ = fitted_with_gaps
    whole = fusion.predict_log_proba(logits)
    weights = fusion.weights(logits)
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 7, 16, 33, N):
        rows = rng.permutation(N)[:size]
        assert np.array_equal(fusion.predict_log_proba(logits[rows]), whole[rows])
        assert np.array_equal(fusion.weights(logits[rows]), weights[rows])


def test_a_constant_on_one_experts_logits_changes_nothing(fitted):
    logits, _ = simulate(seed=4)
    shifted = logits + np.random.default_rng(0).normal(size=(N, M, 1)) * 10
    np.testing.assert_allclose(fitted.predict_proba(shifted), fitted.predict_proba(logits), atol=1e-10)


def test_huge_logits_do_not_overflow(fitted):
    logits, _ = simulate(seed=5)
    with np.errstate(over="raise", invalid="raise"):
        log_prob = fitted.predict_log_proba(logits * 1e4)
    assert np.all(np.isfinite(log_prob))


@pytest.mark.parametrize("name", METHODS)
def test_fits_on_huge_logits(name):
    logits, y = simulate(seed=6)
    assert np.all(np.isfinite(method_class(name)().fit(logits * 1e4, y).predict_proba(logits)))


@pytest.mark.parametrize("name", SYMMETRIC)
def test_permuting_experts_permutes_weights_and_nothing_else(name):
    logits, y = simulate(seed=7)
    order = np.array([2, 0, 1])
    one = method_class(name)().fit(logits, y)
    other = method_class(name)().fit(logits[:, order], y)
    np.testing.assert_allclose(other.predict_proba(logits[:, order]), one.predict_proba(logits), atol=2e-3)
    np.testing.assert_allclose(other.weights(logits[:, order]), one.weights(logits)[:, order], atol=5e-3)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_an_expert_that_is_missing_everywhere_changes_nothing(name):
    logits, y = simulate(seed=8)
    with_ghost = np.concatenate([logits, np.full((N, 1, K), np.nan)], axis=1)
    one, other = method_class(name)().fit(logits, y), method_class(name)().fit(with_ghost, y)
    np.testing.assert_allclose(other.predict_proba(with_ghost), one.predict_proba(logits), atol=2e-3)
    assert np.all(other.weights(with_ghost)[:, 3] == 0)


@pytest.mark.parametrize("name", ["best_expert", "mean_probability", "uniform_product"])
def test_one_expert_alone_is_that_expert(name):
    logits, y = simulate(m=1, seed=9)
    fusion = method_class(name)().fit(logits, y)
    np.testing.assert_allclose(fusion.predict_log_proba(logits), log_softmax(logits[:, 0], axis=1), atol=1e-5)
    assert np.all(fusion.weights(logits) == 1)


@pytest.mark.parametrize("name", METHODS)
def test_same_input_same_bytes(name):
    logits, y = simulate(seed=10)
    one, other = method_class(name)().fit(logits, y), method_class(name)().fit(logits, y)
    assert np.array_equal(one.predict_log_proba(logits), other.predict_log_proba(logits))


def test_patients_stay_together_in_inner_folds():
    groups = np.repeat(np.arange(N // 3), 3)
    observed = np.eye(K, dtype=bool)[simulate()[1]]
    folds = inner_cv.inner_folds(observed, groups, seed=0)
    assert folds is not None
    for split in folds.splits:
        assert sorted(np.concatenate([test for _, test in split]).tolist()) == list(range(N))
        for train, test in split:
            assert not set(groups[train]) & set(groups[test])


def test_is_a_scikit_learn_estimator(fitted):
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        again.predict_proba(simulate()[0])


def test_store_round_trip_is_exact(fitted_with_gaps):
    fusion, logits, _ = fitted_with_gaps
    again = restore(*dump(fusion))
    assert np.array_equal(again.predict_log_proba(logits), fusion.predict_log_proba(logits))
    assert np.array_equal(again.weights(logits), fusion.weights(logits))
    assert again.certificate_ == fusion.certificate_


@pytest.mark.parametrize("name", METHODS)
def test_labels_may_be_names(name):
    logits, y = simulate(seed=11)
    names = np.array(["adipose", "stroma", "tumor"])[y]
    fusion = method_class(name)().fit(logits, names)
    assert fusion.classes_.tolist() == ["adipose", "stroma", "tumor"]
    assert set(fusion.predict(logits)) <= set(names)


@pytest.mark.parametrize("name", METHODS)
def test_bad_arrays_are_refused(name):
    logits, y = simulate()
    fusion = method_class(name)()
    with pytest.raises(InputError, match="samples"):
        fusion.fit(logits, y[:-1])
    with pytest.raises(InputError, match="no expert"):
        fusion.fit(np.where(np.arange(N)[:, None, None] == 5, np.nan, logits), y)
    broken = logits.copy()
    broken[4, 1, 0] = np.nan
    with pytest.raises(InputError, match="sample 4, expert 1"):
        fusion.fit(broken, y)
    with pytest.raises(InputError, match="outcomes"):
        fusion.fit(logits, np.array(["a", "b"])[y % 2])


def test_the_public_names_are_the_registry():
    public = {pathfuse.Auto, pathfuse.Choose, pathfuse.BestExpert, pathfuse.MeanProbability, pathfuse.UniformProduct}
    public |= {pathfuse.StaticProduct, pathfuse.LogitProd, pathfuse.Stacking, pathfuse.RootStacking}
    public |= {pathfuse.HazardProduct}
    assert public == set(METHODS.values())
