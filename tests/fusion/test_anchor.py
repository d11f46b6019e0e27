"""Sharpness has a prior: it stays finite where the fit rows are separable (issue 15, item 8)."""

import numpy as np
import pytest

from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.anchor import anchor_of
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.hazard_product import HazardProduct
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.methods import new_methods


def calibrated(rng, n, n_experts=2, shift=2.0):
    """Experts whose log-odds are right; their noise is independent."""
    y = rng.integers(2, size=n)
    score = shift * y[:, None] + rng.normal(size=(n, n_experts))
    log_odds = shift * score - shift**2 / 2
    return np.stack([np.zeros_like(log_odds), log_odds], axis=2), y


def separable(n=40):
    """The first draw whose fit rows the equal product separates."""
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        logits, y = calibrated(rng, n)
        if ((logits[:, :, 1].mean(axis=1) > 0) == y).all():
            return logits, y, *calibrated(rng, 4000)
    raise AssertionError("no draw is separable")


def nll(log_prob, y):
    return -log_prob[np.arange(len(y)), y].mean()


@pytest.mark.parametrize("ridge", [np.inf, 100.0, 1.0])
def test_sharpness_is_finite_where_the_fit_rows_are_separable(ridge):
    logits, y, unseen, truth = separable()
    model = StaticProduct(ridge=ridge).fit(logits, y)
    assert np.exp(model.params_["log_sharpness"]) < 10
    best = min(nll(Experts.from_logits(unseen).log_prob[:, m], truth) for m in (0, 1))
    assert nll(model.predict_log_proba(unseen), truth) < best


@pytest.mark.parametrize("method", new_methods(0, "survival"), ids=lambda method: method.name)
def test_no_method_is_far_too_sure_where_the_fit_rows_are_separable(method):
    logits, y, unseen, truth = separable()
    if isinstance(method, HazardProduct):
        logits, unseen = (
            np.concatenate([x, np.full((*x.shape[:2], 1), -9.0)], axis=2) for x in (logits, unseen)
        )
        y = np.eye(3, dtype=bool)[y]
    fitted = method.fit(logits, y)
    equal = nll(np.log(np.exp(Experts.from_logits(unseen).log_prob).mean(axis=1)), truth)
    alone = min(nll(Experts.from_logits(unseen).log_prob[:, m], truth) for m in (0, 1))
    assert nll(fitted.predict_log_proba(unseen), truth) < 1.05 * max(equal, alone)


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 20), marks=pytest.mark.long)])
@pytest.mark.slow
def test_a_small_fit_is_not_worse_than_the_best_expert(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        logits, y = calibrated(rng, 40)
        unseen, truth = calibrated(rng, 4000)
        fused = nll(Auto().fit(logits, y).predict_log_proba(unseen), truth)
        best = min(nll(Experts.from_logits(unseen).log_prob[:, m], truth) for m in (0, 1))
        assert fused < 1.05 * best, seed


def test_the_prior_fades_with_the_number_of_rows():
    """Two pseudo-observations: their pull on the sharpness is that of two rows."""
    logits, y = calibrated(np.random.default_rng(0), 20000)
    free = StaticProduct(ridge=0.0).fit(logits, y).params_["log_sharpness"]
    assert np.exp(free) == pytest.approx(
        2.0, abs=0.05
    )  # two independent calibrated experts: sharpness 2, weights 1/2


def test_the_anchor_is_the_mean_of_those_present():
    experts = Experts.from_logits(
        np.log([[[0.9, 0.1], [0.5, 0.5]], [[0.8, 0.2], [np.nan, np.nan]]])
    )
    np.testing.assert_allclose(anchor_of(experts).T, [[0.7, 0.3], [0.8, 0.2]])
    assert set_nll(experts.log_prob[:, 0], np.eye(2, dtype=bool)).shape == (2,)
