"""Fusions of class probabilities on pixels: fewer pixels are worked on, and none is another."""

from functools import cache

import numpy as np
import pytest

from pathfuse.dense.data.logit_files import Strip
from pathfuse.dense.fusion.methods.base import FitData
from pathfuse.dense.fusion.methods.registered import Registered, by_powers
from pathfuse.dense.fusion.methods.registry import METHODS
from pathfuse.dense.fusion.strips import PixelStrip
from pathfuse.fusion.categorical.experts import Experts

POOLS = [name for name, method in METHODS.items() if issubclass(method, Registered)]
ORDER = (0, 1, 2)


def made(n_classes: int, n: int, scale: float = 1.0, seed: int = 0):
    """Logits (model, class, pixel) and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, size=n)
    planes = scale * rng.normal(size=(3, n_classes, n))
    planes[:, truth, np.arange(n)] += scale
    return planes.astype(np.float32), truth


def fit_data(planes: np.ndarray, truth: np.ndarray, log_prior: np.ndarray | None = None):
    k = planes.shape[1]
    experts = Experts.from_logits(planes.transpose(2, 0, 1))
    prior = np.zeros(k) if log_prior is None else log_prior
    return FitData(experts, np.eye(k, dtype=bool)[truth], np.arange(len(truth)) % 6, prior, ORDER)


def strip_of(planes: np.ndarray) -> PixelStrip:
    return PixelStrip(Strip(0, 1, 0, planes[:, :, None]))


@cache
def fitted(name: str, n_classes: int) -> Registered:
    method = METHODS[name]().fit(fit_data(*made(n_classes, 120)), 0)
    assert isinstance(method, Registered)
    return method


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_same_classes_as_the_fusion_gives_all_pixels(name, n_classes):
    method = fitted(name, n_classes)
    for scale in (0.5, 3.0, 40.0):  # from unsure to far below the floor of probabilities
        planes, _ = made(n_classes, 1500, scale, seed=1)
        planes[:, :, :3] = planes[:, :1, :3]  # classes that are alike
        planes[0, 0, 3] = -np.inf
        for absent in ([], [1], [0, 2]):
            planes[absent] = np.nan
            strip = strip_of(planes)
            whole = method.fusion.combine(Experts.from_logits(planes.transpose(2, 0, 1)))
            np.testing.assert_array_equal(method.classes(strip), whole.argmax(axis=1))
            shares = method.probabilities(strip)
            np.testing.assert_allclose(shares, np.exp(whole), rtol=1e-12)
            planes, _ = made(n_classes, 1500, scale, seed=1)


@pytest.mark.parametrize("name", POOLS)
def test_what_all_models_say_is_kept_where_the_method_says_so(name):
    method = fitted(name, 4)
    same, _ = made(4, 2000, seed=2)
    same[1:, :, :] += 2 * np.eye(4, dtype=np.float32)[same[0].argmax(axis=0)].T * np.abs(same).max()
    assert len(strip_of(same).disputed) == 0
    said = method.fusion.combine(Experts.from_logits(same.transpose(2, 0, 1))).argmax(axis=1)
    if method.of.keeps_agreement:
        np.testing.assert_array_equal(said, same[0].argmax(axis=0))


def test_constant_powers_are_sure_of_nearly_all_pixels():
    planes, _ = made(4, 3000)
    method = fitted("static_product", 4)
    strip = strip_of(planes)
    powers = method.fusion.exponents(strip.experts.rows(slice(0, 1)))[0]
    found, sure = by_powers(strip, powers)
    assert sure.mean() > 0.999
    whole = method.fusion.combine(strip.disputed_experts).argmax(axis=1)
    np.testing.assert_array_equal(found[sure], whole[sure])
    _, sure = by_powers(strip_of(planes * 40), powers)  # the floor would matter
    assert sure.mean() < 0.5


def test_a_regression_is_brought_to_the_frequencies_of_the_images():
    rng = np.random.default_rng(0)
    planes, truth = made(2, 20_000)
    rare = (truth == 1) & (rng.random(len(truth)) < 0.9)  # class 1 is ten times rarer in the images
    planes, truth = planes[:, :, ~rare], truth[~rare]
    half = rng.permutation(
        np.concatenate([np.flatnonzero(truth == c)[:800] for c in (0, 1)])
    )  # as with balance 1
    true, sampled = np.bincount(truth), np.bincount(truth[half])
    ratio = np.log(true / true.sum()) - np.log(sampled / sampled.sum())
    data = fit_data(planes[:, :, half], truth[half], ratio)
    strip, share = strip_of(planes), (truth == 1).mean()
    natural = METHODS["logistic"]().fit(data, 0)
    assert natural.probabilities(strip)[:, 1].mean() == pytest.approx(share, rel=0.1)
    assert np.exp(natural.fusion.combine(strip.experts))[:, 1].mean() > 2 * share
    np.testing.assert_array_equal(natural.classes(strip), natural.probabilities(strip).argmax(1))
    product = METHODS["static_product"]().fit(data, 0)
    assert product.log_prior is None


@pytest.mark.parametrize("name", POOLS)
def test_what_is_kept_gives_the_same(name):
    planes, truth = made(4, 200)
    prior = np.array([0.1, 0.2, -0.3, 0.0])
    method = fitted(name, 4).taking(fitted(name, 4).fusion, fit_data(planes, truth, prior))
    assert (method.log_prior is not None) == method.of.has_outcome_bias
    again = METHODS[name].restore(*method.dump())
    strip = strip_of(planes)
    np.testing.assert_array_equal(again.probabilities(strip), method.probabilities(strip))
    other = method.refitted(fit_data(planes[:, :, ::2], truth[::2]))
    assert other.fusion.setting_ == method.fusion.setting_
