"""One suite over every pair of method and endpoint. A new method is covered by being registered for
its endpoint."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion import inner_cv
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.chains import chain_nll
from pathfuse.fusion.categorical.choose import Choose
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.fitted import fit_methods
from pathfuse.fusion.methods import methods_of, new_methods
from pathfuse.fusion.store import dump, restore

N, M, K = 60, 3, 4
KINDS = {
    "multiclass": ("multiclass", {}),
    "ordinal": ("ordinal", {}),
    "multilabel": ("multilabel", {}),
    "survival": ("survival", {}),
    "survival, half a bin, a gate per bin": ("survival", {"gate": "per_bin"}),
}
"""What is fused: the endpoint, and the options of its ``logitprod``."""
PAIRS = [
    (kind, name)
    for kind, (endpoint, _) in KINDS.items()
    for name in (*methods_of(endpoint), "auto", "choose")
]
CERTIFIED = ("best_expert", "static_product", "logitprod", "hazard_product", "auto")
FIXED = ("best_expert", "mean_probability", "uniform_product", "static_product", "hazard_product")
"""Methods whose weights are the same for all samples that the same experts scored."""


class Problem(NamedTuple):
    """One task of an endpoint."""

    experts: Experts
    observed: np.ndarray


def simulate(kind: str, seed: int, missing: float = 0.25) -> Problem:
    """Experts that see the truth through noise of different size, and miss a quarter of the
    samples."""
    rng = np.random.default_rng(seed)
    size = np.linspace(0.5, 1.5, M)[:, None]
    k = 2 if kind == "multilabel" else K
    outcome, truth = np.arange(k), np.concatenate([np.arange(k), rng.integers(k, size=N - k)])
    observed = outcome == truth[:, None]
    signal = 2.0 * observed[:, None] + rng.normal(size=(N, M, k)) * size
    logits = signal * np.linspace(0.7, 1.3, M)[:, None]
    if kind.startswith("survival"):
        logits = np.stack(
            [event_distribution(logits[:, m, :-1] - 1) for m in range(M)], axis=1
        )  # bins and a tail
        inside = (rng.random(N) < 0.35) & (truth < k - 1)
        inside[:k] = False
        observed = np.where(inside[:, None], outcome > truth[:, None], observed)
        if "half" in kind:
            observed = observed.astype(float)
            observed[inside, truth[inside]] = 0.5
    gone = rng.random((N, M)) < missing
    gone[np.arange(N), rng.integers(M, size=N)] = False
    logits[gone] = np.nan
    return Problem(Experts.from_logits(logits), observed)


@cache
def fitted(kind: str) -> dict[str, Fusion]:
    """Every method of an endpoint, fitted as ``fuse`` does it."""
    endpoint, options = KINDS[kind]
    experts, observed = simulate(kind, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)  # one division in five: quick
        patch.setattr(inner_cv, "LARGE", 0)
        fitted = fit_methods(
            new_methods(0, endpoint, **options), experts, observed, np.arange(N), 0
        )
    auto, choose = Auto().from_fitted(fitted, experts, observed), Choose().from_fitted(fitted)
    return {**fitted.members, "auto": auto, "choose": choose}


@pytest.fixture(params=PAIRS, ids=[f"{kind}-{name}" for kind, name in PAIRS])
def pair(request):
    kind, name = request.param
    return fitted(kind)[name], kind


@pytest.mark.slow
def test_each_endpoint_has_its_rungs():
    for kind, (endpoint, _) in KINDS.items():
        assert list(fitted(kind)) == [*methods_of(endpoint), "auto", "choose"]
        assert ("hazard_product" in fitted(kind)) == (endpoint == "survival")


def test_predictions_are_normalised(pair):
    fusion, kind = pair
    for seed in (0, 1):
        experts, observed = simulate(kind, seed)
        log_prob = fusion.combine(experts)
        assert log_prob.shape == observed.shape
        assert np.all(np.isfinite(log_prob))
        np.testing.assert_allclose(np.exp(log_prob).sum(axis=1), 1, atol=1e-12)


def test_weights_lie_on_the_simplex(pair):
    fusion, kind = pair
    experts, _ = simulate(kind, 1)
    weights = fusion.weigh(experts)
    assert weights.shape == (N, M)
    assert np.all(weights >= 0)
    assert np.all(weights[~experts.present] == 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    if fusion.name in FIXED:
        for pattern in np.unique(experts.present, axis=0):
            alike = weights[(experts.present == pattern).all(axis=1)]
            np.testing.assert_allclose(alike, np.repeat(alike[:1], len(alike), axis=0), atol=1e-15)


def test_certificate_is_what_it_says(pair):
    fusion, kind = pair
    experts, observed = simulate(kind, 0)
    certificate = fusion.certificate_
    assert certificate.fused == pytest.approx(
        set_nll(fusion.combine(experts), observed).mean(), abs=1e-12
    )
    assert certificate.experts == pytest.approx(chain_nll(experts, observed), abs=1e-12)
    assert certificate.n_scored == tuple(experts.present.sum(axis=0))
    assert certificate.holds == (certificate.fused <= min(certificate.experts) + 1e-9)
    if fusion.name in CERTIFIED:
        assert certificate.holds


def test_better_than_knowing_nothing_on_new_samples(pair):
    fusion, kind = pair
    marginal = simulate(kind, 0).observed.astype(float)
    marginal = (marginal / marginal.sum(axis=1, keepdims=True)).mean(axis=0)
    new = [simulate(kind, seed) for seed in range(10, 16)]
    ignorant = np.mean(
        [set_nll(np.repeat(np.log(marginal)[None], N, axis=0), p.observed) for p in new]
    )
    assert np.mean([set_nll(fusion.combine(p.experts), p.observed) for p in new]) < ignorant


def test_a_row_depends_on_nothing_but_itself(pair):
    """Down to the last bit: else a saved model could not repeat a run on part of its rows."""
    fusion, kind = pair
    experts, _ = simulate(kind, 1)
    whole, weights = fusion.combine(experts), fusion.weigh(experts)
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 16, N):
        rows = rng.permutation(N)[:size]
        assert np.array_equal(fusion.combine(experts.rows(rows)), whole[rows])
        assert np.array_equal(fusion.weigh(experts.rows(rows)), weights[rows])


def test_store_round_trip_is_exact(pair):
    fusion, kind = pair
    experts, _ = simulate(kind, 1)
    again = restore(*dump(fusion))
    assert type(again) is type(fusion)
    assert np.array_equal(again.combine(experts), fusion.combine(experts))
    assert np.array_equal(again.weigh(experts), fusion.weigh(experts))
    assert again.certificate_ == fusion.certificate_


def test_huge_logits_do_not_overflow(pair):
    fusion, kind = pair
    experts, _ = simulate(kind, 3, missing=0.0)
    sharp = Experts.from_logits(experts.log_prob * 1e4)
    with np.errstate(over="raise", invalid="raise"):
        assert np.all(np.isfinite(fusion.combine(sharp)))
        assert np.all(np.isfinite(fusion.weigh(sharp)))


def test_observed_sets_are_accepted_by_fit():
    """The arrays' door of the library: a boolean table in place of labels."""
    experts, observed = simulate("survival", 4, missing=0.0)
    fusion = methods_of("survival")["hazard_product"](ridge=1.0).fit(experts.log_prob, observed)
    np.testing.assert_allclose(fusion.predict_proba(experts.log_prob).sum(axis=1), 1, atol=1e-12)
    assert fusion.certificate_.holds
