"""Losses against torch's own and the endpoints', and gradients against finite differences."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import nbinom, norm, poisson

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from pathfuse.endpoints.survival import event_distribution  # noqa: E402
from pathfuse.experts.targets.registry import target_kind  # noqa: E402
from pathfuse.experts.targets.survival import log_events  # noqa: E402

EDGES = (0.0, 1.0, 2.0, 3.0)


def drawn(n, k, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, k)) * 2)


def test_multiclass_is_cross_entropy():
    outputs, label = drawn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    values, known = functional.one_hot(label, 3).double(), torch.ones(6, 1, dtype=torch.bool)
    wanted = functional.cross_entropy(outputs, label, reduction="none")
    torch.testing.assert_close(target_kind("multiclass").loss(outputs, values, known), wanted)


@pytest.fixture
def survival(people_of):
    """Events in each bin and beyond the last edge; censored inside bins, at an edge, and beyond the
    last."""
    times = [0.5, 1.0, 2.5, 7.0, 0.5, 1.0, 1.5, 2.5, 7.0]
    events = [1, 1, 1, 1, 0, 0, 0, 0, 0]
    frame = pl.DataFrame({"sample_id": [f"s{i}" for i in range(9)], "time": times, "event": events})
    return people_of(frame, time_edges=EDGES).targets


ALLOWED = [{0}, {0}, {2}, {3}, {1, 2, 3}, {1, 2, 3}, {2, 3}, {3}, {3}]


def test_survival_is_the_likelihood_of_a_set(survival):
    hazard_logit = drawn(9, 3)
    prob = np.exp(event_distribution(hazard_logit.numpy()))
    np.testing.assert_allclose(prob.sum(axis=1), 1)
    wanted = [-np.log(sum(prob[row, k] for k in allowed)) for row, allowed in enumerate(ALLOWED)]
    got = target_kind("survival").loss(
        hazard_logit,
        torch.from_numpy(survival.values),
        torch.from_numpy(survival.known),
    )
    np.testing.assert_allclose(got, wanted)
    hazard = expit(hazard_logit.numpy())
    np.testing.assert_allclose(got[6], -np.log((1 - hazard[6, :2]).prod()))  # outlived bins 1 and 2
    np.testing.assert_allclose(got[2], -np.log((1 - hazard[2, :2]).prod() * hazard[2, 2]))


def test_log_events():
    hazard_logit = drawn(5, 4, 1)
    np.testing.assert_allclose(log_events(hazard_logit), event_distribution(hazard_logit.numpy()))
    extreme = log_events(torch.tensor([[200.0, -200.0], [-200.0, 200.0]]))
    assert torch.isfinite(extreme).all()


def test_multilabel_skips_blanks():
    outputs = drawn(3, 2)
    values = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    known = torch.tensor([[True, True], [True, False], [False, True]])
    p = expit(outputs.numpy())
    wanted = [-(np.log(p[0, 0]) + np.log(1 - p[0, 1])) / 2, -np.log(p[1, 0]), -np.log(p[2, 1])]
    np.testing.assert_allclose(target_kind("multilabel").loss(outputs, values, known), wanted)


def test_regression_skips_blanks():
    outputs = torch.tensor([[1.0, 5.0], [2.0, 9.0]], dtype=torch.float64)
    values = torch.tensor([[0.0, 2.0], [5.0, 0.0]], dtype=torch.float64)
    known = torch.tensor([[True, True], [True, False]])
    assert target_kind("regression").loss(outputs, values, known).tolist() == [(1 + 9) / 4, 9 / 2]


@pytest.mark.parametrize("kind", ["multiclass", "survival", "multilabel", "regression"])
def test_gradients_equal_finite_differences(kind, survival):
    outputs = drawn(9, 3).requires_grad_()
    values, known = torch.from_numpy(survival.values), torch.from_numpy(survival.known)
    if kind == "multiclass":
        values = functional.one_hot(torch.arange(9) % 3, 3).double()
    elif kind != "survival":
        values, known = (drawn(9, 3, 1) > 0).double(), drawn(9, 3, 2) > -1
    target_kind(kind).loss(outputs, values, known).sum().backward()
    step, numeric = 1e-6, torch.zeros(9, 3, dtype=torch.float64)
    for k in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[k] = step
        with torch.no_grad():
            up = target_kind(kind).loss(outputs + shift, values, known)
            down = target_kind(kind).loss(outputs - shift, values, known)
        numeric[:, k] = (up - down) / (2 * step)
    torch.testing.assert_close(outputs.grad, numeric, rtol=1e-5, atol=1e-7)
    assert outputs.grad.abs().sum() > 0


KNOWN = np.array([[True, True], [True, False], [True, True], [False, True]])
COUNTS = np.array([[0.0, 3.0], [17.0, 2.0], [250.0, 1.0], [4.0, 0.0]])


def test_negative_binomial_is_that_of_scipy():
    way = target_kind("regression", "negative_binomial")
    values, scales = way.scale(COUNTS, KNOWN, np.arange(4))
    usual = np.array([(0 + 17 + 250) / 3, (3 + 1 + 0) / 3])
    np.testing.assert_allclose(scales["target_mean"], usual)
    log_ratio, log_dispersion = drawn(4, 2).numpy() / 2, np.array([-1.0, 0.7])
    outputs = np.concatenate([log_ratio, np.tile(log_dispersion, (4, 1))], axis=1)
    mean, r = np.exp(log_ratio) * usual, np.exp(-log_dispersion)
    law = nbinom(r, r / (r + mean))
    each = np.where(KNOWN, -law.logpmf(np.where(KNOWN, COUNTS, 0)), 0.0)
    parts = (torch.from_numpy(part) for part in (outputs, values, KNOWN))
    np.testing.assert_allclose(way.loss(*parts), each.sum(axis=1) / KNOWN.sum(axis=1))
    found_mean, found_sd = np.split(way.in_own_unit(outputs, scales), 2, axis=1)
    np.testing.assert_allclose(found_mean, law.mean())
    np.testing.assert_allclose(found_sd, law.std())
    back = way.scale_outputs(np.concatenate([found_mean, found_sd], axis=1), scales)
    np.testing.assert_allclose(back, outputs, atol=1e-9)


def test_a_small_dispersion_is_nearly_poisson():
    way = target_kind("regression", "negative_binomial")
    values, scales = way.scale(COUNTS, np.ones((4, 2), dtype=bool), np.arange(4))
    outputs = np.concatenate([np.zeros((4, 2)), np.full((4, 2), -6.0)], axis=1)
    parts = (torch.from_numpy(part).float() for part in (outputs, values, np.ones((4, 2))))
    small = COUNTS[:, 1], scales["target_mean"][1]
    wanted = -poisson(small[1]).logpmf(small[0])
    own = target_kind("regression", "negative_binomial").loss(*parts).numpy()
    large = -nbinom(np.exp(6.0), 1 / (1 + np.exp(-6.0) * scales["target_mean"][0])).logpmf(
        COUNTS[:, 0]
    )
    np.testing.assert_allclose(own, (wanted + large) / 2, rtol=1e-3)  # in float32, as in training


def test_gaussian_spread_is_a_normal_density():
    way = target_kind("regression", "gaussian_spread")
    truth = np.array([[1.0, -30.0], [4.0, 0.0], [2.0, 10.0], [0.0, 50.0]])
    values, scales = way.scale(truth, KNOWN, np.arange(4))
    outputs = drawn(4, 4, 2).numpy()
    mean, sd = np.split(way.in_own_unit(outputs, scales), 2, axis=1)
    density = -norm(mean, sd).logpdf(truth) - 0.5 * np.log(2 * np.pi)
    each = np.where(KNOWN, density - np.log(scales["target_sd"]), 0.0)
    parts = (torch.from_numpy(part) for part in (outputs, values, KNOWN))
    np.testing.assert_allclose(way.loss(*parts), each.sum(axis=1) / KNOWN.sum(axis=1))
    back = way.scale_outputs(np.concatenate([mean, sd], axis=1), scales)
    np.testing.assert_allclose(back, outputs, atol=1e-9)
