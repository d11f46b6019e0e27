"""STAPLE: the published algorithm pixel by pixel, SimpleITK's own, and what it is for."""

import numpy as np
import pytest

from pathfuse.dense.fusion.methods.staple import staple
from pathfuse.dense.fusion.patterns import Patterns


def raters(n_classes: int, reliable: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The truth of 40 x 50 pixels, and raters who are right in so many of them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, size=2000).astype(np.uint8)
    guess = rng.integers(0, n_classes, size=(len(reliable), 2000)).astype(np.uint8)
    right = rng.random(guess.shape) < np.array(reliable)[:, None]
    return truth, np.where(right, truth, guess)


def posterior(decisions: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    patterns = Patterns(n_classes)
    for part in np.array_split(decisions, 3, axis=1):
        patterns.add(part)
    assert patterns.counts.sum() == decisions.shape[1]
    truth, reliability = staple(patterns.decisions, patterns.counts, n_classes)
    return truth[patterns.index(decisions)], reliability


def by_pixel(decisions: np.ndarray, n_classes: int, steps: int) -> np.ndarray:
    """Warfield's equations as they stand, in probabilities, over every pixel and model."""
    n_models, n = decisions.shape
    prior = np.array([(decisions == t).mean() for t in range(n_classes)])
    theta = np.full((n_models, n_classes, n_classes), 1e-5 / (n_classes - 1))
    for t in range(n_classes):
        theta[:, t, t] = 0.99999
    for _ in range(steps):
        w = np.tile(prior, (n, 1))
        for m in range(n_models):
            for i in range(n):
                w[i] *= theta[m, :, decisions[m, i]]
        w /= w.sum(axis=1, keepdims=True)
        for m in range(n_models):
            for s in range(n_classes):
                theta[m, :, s] = w[decisions[m] == s].sum(axis=0) / w.sum(axis=0)
    return w


def test_the_table_of_combinations_stands_for_every_pixel(monkeypatch):
    _, decisions = raters(3, [0.8, 0.6, 0.3])
    decisions = decisions[:, :300]
    monkeypatch.setattr("pathfuse.dense.fusion.methods.staple.MAX_STEPS", 6)
    monkeypatch.setattr("pathfuse.dense.fusion.methods.staple.TOLERANCE", 0.0)
    found, _ = posterior(decisions, 3)
    np.testing.assert_allclose(found, by_pixel(decisions, 3, 7), atol=1e-9)


@pytest.mark.parametrize("reliable", [[0.9, 0.6, 0.3], [0.9, 0.7, 0.5, 0.4, 0.3]])
def test_two_classes_as_simpleitk(reliable):
    sitk = pytest.importorskip("SimpleITK")
    _, decisions = raters(2, reliable)
    found, reliability = posterior(decisions, 2)
    images = [sitk.GetImageFromArray(own.reshape(40, 50)) for own in decisions]
    filtered = sitk.STAPLEImageFilter()
    filtered.SetForegroundValue(1)
    filtered.SetMaximumIterations(2000)
    theirs = sitk.GetArrayFromImage(filtered.Execute(images)).ravel()
    np.testing.assert_allclose(found[:, 1], theirs, atol=1e-5)
    np.testing.assert_allclose(reliability[:, 1, 1], filtered.GetSensitivity(), atol=1e-5)
    np.testing.assert_allclose(reliability[:, 0, 0], filtered.GetSpecificity(), atol=1e-5)


@pytest.mark.parametrize("n_classes", [3, 5])
def test_several_classes_as_simpleitk(n_classes):
    sitk = pytest.importorskip("SimpleITK")
    _, decisions = raters(n_classes, [0.9, 0.6, 0.4, 0.3])
    found, _ = posterior(decisions, n_classes)
    images = [sitk.GetImageFromArray(own.reshape(40, 50)) for own in decisions]
    theirs = sitk.GetArrayFromImage(sitk.MultiLabelSTAPLE(images)).ravel()
    np.testing.assert_array_equal(found.argmax(axis=1), theirs)


def test_one_good_model_beats_two_bad_ones():
    truth, decisions = raters(4, [0.95, 0.3, 0.3])
    found, reliability = posterior(decisions, 4)
    assert (found.argmax(axis=1) == truth).mean() > 0.9
    own = [np.diag(one).mean() for one in reliability]
    assert own[0] > 0.9 > 0.7 > max(own[1:])


def test_classes_that_nobody_gives_stay_away():
    decisions = np.zeros((2, 50), dtype=np.uint8)
    decisions[1, :5] = 2
    found, _ = posterior(decisions, 4)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found[:, [1, 3]], 0)
