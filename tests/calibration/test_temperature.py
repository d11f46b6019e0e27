"""The best temperature: known ones are found again, and the fusion's own is 1, since it fits its
sharpness itself."""

import numpy as np
import pytest

import pathfuse
from pathfuse.calibration.temperature import (
    at_temperature,
    best_gaussian_temperature,
    best_temperature,
)
from pathfuse.distributions.likelihood import log_softmax, set_nll
from pathfuse.fusion import inner_cv
from pathfuse.fusion.categorical.static_product import StaticProduct


@pytest.fixture(autouse=True)
def quick_inner_folds(monkeypatch):
    """One division in five instead of fifty fits per method."""
    monkeypatch.setattr(inner_cv, "SMALL", 0)
    monkeypatch.setattr(inner_cv, "LARGE", 0)


def labelled(n=4000, k=4, seed=0, spread=2.0):
    """Log-probabilities and labels that were drawn from just these."""
    rng = np.random.default_rng(seed)
    log_prob = log_softmax(rng.normal(size=(n, k)) * spread)
    return log_prob, drawn(log_prob, rng)


def drawn(log_prob, rng):
    """A label per row, with these probabilities."""
    return (np.exp(log_prob).cumsum(axis=1) > rng.random((len(log_prob), 1))).argmax(axis=1)


def standard_error(log_prob, temperature=1.0):
    """Of the best temperature of ``log_prob`` times ``temperature``, by Fisher's information."""
    prob = np.exp(log_prob)
    variance = (prob * log_prob**2).sum(axis=1) - (prob * log_prob).sum(axis=1) ** 2
    return temperature / np.sqrt(variance.sum())


def nll(log_prob, observed, temperature):
    return set_nll(at_temperature(log_prob, temperature), observed).mean()


def test_temperature_one_changes_nothing():
    log_prob = labelled(50)[0]
    np.testing.assert_allclose(at_temperature(log_prob, 1.0), log_prob, atol=1e-12)


def test_a_temperature_by_hand():
    log_prob = np.log([[0.8, 0.2], [0.5, 0.5]])
    np.testing.assert_allclose(
        np.exp(at_temperature(log_prob, 2.0)), [[2 / 3, 1 / 3], [0.5, 0.5]], atol=1e-12
    )
    per_row = np.exp(at_temperature(log_prob[[0, 0]], np.array([[0.5], [1.0]])))
    np.testing.assert_allclose(per_row, [[16 / 17, 1 / 17], [0.8, 0.2]], atol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_a_known_temperature_is_found_again(temperature):
    log_prob, y = labelled(seed=1)
    found = best_temperature(log_softmax(log_prob * temperature), np.eye(4, dtype=bool)[y])
    assert abs(found - temperature) < 4 * standard_error(log_prob, temperature)


def test_truths_that_leave_several_outcomes_open():
    """Half of the rows say only which pair of outcomes it was, as a censored case would."""
    log_prob, y = labelled(seed=2)
    observed = np.eye(4, dtype=bool)[y]
    coarse = np.arange(len(y)) % 2 == 1
    observed[coarse] = np.arange(4) // 2 == y[coarse, None] // 2
    found = best_temperature(log_softmax(log_prob * 2), observed)
    assert abs(found - 2) < 4 * standard_error(log_prob[~coarse], 2.0)  # the pairs can only help
    assert nll(log_prob * 2, observed, found) <= nll(log_prob * 2, observed, 2.0)


@pytest.mark.parametrize("strength", [0.4, 1.0, 3.0])
def test_no_neighbour_is_better(strength):
    log_prob, y = labelled(300, seed=3)
    observed, said = np.eye(4, dtype=bool)[y], log_softmax(log_prob * strength)
    best = best_temperature(said, observed)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert nll(said, observed, best) < nll(said, observed, best * factor)
    assert nll(said, observed, best) <= nll(said, observed, 1.0)


def test_the_gaussian_temperature_is_the_mean_squared_z_score():
    mean, variance = np.array([[0.0, 1.0], [2.0, np.nan]]), np.array([[1.0, 4.0], [0.25, np.nan]])
    target = np.array([[3.0, np.nan], [1.0, 5.0]])
    assert best_gaussian_temperature(mean, variance, target) == pytest.approx((9.0 + 4.0) / 2)


def test_the_gaussian_temperature_has_the_lowest_nll():
    rng = np.random.default_rng(4)
    mean, variance = rng.normal(size=(500, 3)), rng.uniform(0.2, 5, size=(500, 3))
    target = mean + 1.7 * np.sqrt(variance) * rng.normal(size=(500, 3))
    target[rng.random((500, 3)) < 0.2] = np.nan

    def gaussian_nll(temperature):
        wide = temperature * variance
        return np.nanmean(np.log(wide) / 2 + (target - mean) ** 2 / wide / 2)

    best = best_gaussian_temperature(mean, variance, target)
    n = (~np.isnan(target)).sum()
    assert abs(best - 1.7**2) < 4 * 1.7**2 * np.sqrt(2 / n)
    assert gaussian_nll(best) < min(gaussian_nll(best * 0.99), gaussian_nll(best * 1.01))


# The fusion leaves nothing to do


def opinionated(n=1200, k=3, seed=5):
    """Three experts with independent noise, of whom the last shouts: its logits are three times
    what it knows."""
    rng = np.random.default_rng(seed)
    y = rng.integers(k, size=n)
    # Gaussian evidence of strength d is calibrated as d * (d * one_hot + noise)
    strength = np.array([1.0, 1.3, 1.6])
    evidence = strength[:, None] * np.eye(k)[y][:, None] + rng.normal(size=(n, 3, k))
    logits = strength[:, None] * evidence
    logits[:, 2] *= 3
    return logits, y


def test_a_static_product_is_at_its_best_temperature_and_an_overconfident_expert_is_not():
    logits, y = opinionated()
    observed = np.eye(3, dtype=bool)[y]
    fused = StaticProduct(ridge=0.0).fit(logits, y).predict_log_proba(logits)
    assert best_temperature(fused, observed) == pytest.approx(1, abs=1e-2)
    alone = best_temperature(log_softmax(logits[:, 2]), observed)
    assert alone > 1.5
    assert abs(alone - 3) < 4 * standard_error(log_softmax(logits[:, 2] / 3), 3.0)


def test_the_sharpness_is_what_makes_it_so():
    """The plain mean of three independent calibrated opinions is far too timid; one sharpness mends
    that."""
    logits, y = opinionated()
    logits[:, 2] /= 3
    observed = np.eye(3, dtype=bool)[y]
    mean = log_softmax(log_softmax(logits).mean(axis=1))
    assert best_temperature(mean, observed) < 0.6
    sharp = (
        StaticProduct(ridge=float("inf")).fit(logits, y).predict_log_proba(logits)
    )  # equal weights and a sharpness
    assert best_temperature(sharp, observed) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_reports_a_temperature_near_one(simulate, seed):
    study = simulate(300, 60, seed=seed)
    result = pathfuse.fuse(pathfuse.read_study(study.samples, study.experts), n_resamples=0)
    assert result.manifest["inner_cross_validation"][0]["all"]["temperature"] == pytest.approx(
        1, abs=0.1
    )


@pytest.mark.slow
def test_a_run_reports_the_temperature_of_shouting_experts_as_one_too(simulate):
    """The experts shout, the fusion does not; at ``best_expert`` there is no sharpness, and the
    report shows it."""
    study = simulate(300, 60, seed=2)
    shouting = {
        name: frame.with_columns(frame.drop("sample_id") * 4)
        for name, frame in study.experts.items()
    }
    read = pathfuse.read_study(study.samples, shouting)
    reported = {
        method: pathfuse.fuse(read, method, n_resamples=0).manifest["inner_cross_validation"][0][
            "all"
        ]["temperature"]
        for method in ("auto", "best_expert")
    }
    assert reported["auto"] == pytest.approx(1, abs=0.1)
    assert reported["best_expert"] > 1.5
