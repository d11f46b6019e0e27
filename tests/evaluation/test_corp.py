"""CORP: the parts of the Brier score against model-diagnostics, the curve against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from pathfuse.evaluation.corp import EVEN, FIGURES, MOST_POINTS, Corp

I = np.arange(60)  # noqa: E741
P = np.round((37 * I % 61 + 0.5) / 61, 2).clip(0.02, 0.98)
Y = ((7 * I * I + 3 * I) % 11 / 11 < P**1.4).astype(float)
WEIGHTS = np.stack([np.ones(60), 1.0 + I % 3])
# model-diagnostics 1.5.0: decompose(Y, P, weights=..., scoring_function=SquaredError()): score,
# miscalibration, discrimination, uncertainty; mean |P - c| with c of scikit-learn 1.9.1's
# IsotonicRegression().fit_transform(P, Y, sample_weight=...).
REFERENCE = [
    [0.22236, 0.04513777777777778, 0.0591666666666667, 0.23638888888888893, 0.1201111111111111],
    [0.23786583333333336, 0.0546842420385345, 0.058415630927423356, 0.2415972222222222, 0.10848899371069183],
]  # fmt: skip


def test_the_parts_of_the_brier_score_agree_with_model_diagnostics():
    found, _ = Corp(P, Y).values(WEIGHTS)
    assert found == pytest.approx(np.array(REFERENCE), abs=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12))
def test_score_is_reliability_minus_resolution_plus_uncertainty(seed, n, n_levels):
    rng = np.random.default_rng(seed)
    p, y = rng.integers(1, n_levels + 1, n) / (n_levels + 1), rng.integers(0, 2, n).astype(float)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=3).astype(float)
    figures, _ = Corp(p, y).values(weights)
    score, mcb, dsc, unc, ici = figures.T
    assert score == pytest.approx(mcb - dsc + unc, abs=1e-12)
    assert score == pytest.approx(weights @ (p - y) ** 2 / n, abs=1e-12)
    assert (mcb > -1e-12).all()
    assert (dsc > -1e-12).all()
    assert (ici >= 0).all()


def test_resamples_are_fits_of_the_rows_that_they_hold():
    rng = np.random.default_rng(0)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=4).astype(float)
    grid = np.linspace(0.1, 0.9, 9)
    figures, curves = Corp(P, Y).values(weights, grid)
    for found, curve, own in zip(figures, curves, weights, strict=True):
        held = own > 0
        fit = IsotonicRegression(out_of_bounds="clip").fit(P[held], Y[held], own[held])
        gap = np.average(np.abs(P - fit.predict(P)), weights=own)
        assert found[FIGURES.index("ici")] == pytest.approx(gap, abs=1e-12)
        assert curve == pytest.approx(fit.predict(grid), abs=1e-9)


def test_the_curve_has_its_corners_and_a_bounded_number_of_points():
    rng = np.random.default_rng(1)
    p = rng.random(5000)
    y = (rng.random(5000) < p).astype(float)
    corp = Corp(p, y)
    grid = corp.grid()
    assert EVEN <= len(grid) <= MOST_POINTS
    assert (grid[0], grid[-1]) == (p.min(), p.max())
    few = Corp(P, Y)
    (curve,) = few.values(np.ones((1, 60)), few.grid())[1]
    whole = IsotonicRegression().fit(P, Y)
    between = np.linspace(P.min(), P.max(), 500)
    assert np.interp(between, few.grid(), curve) == pytest.approx(whole.predict(between), abs=1e-9)


def test_other_outcomes_of_the_same_rows():
    flipped = Corp(P, Y).of_other_outcomes(np.stack([Y, 1 - Y]))
    assert flipped[0] == pytest.approx(np.array(REFERENCE[0]), abs=1e-12)
    assert flipped[1] == pytest.approx(Corp(P, 1 - Y).values(np.ones((1, 60)))[0][0], abs=1e-12)


def test_a_resample_without_rows_defines_nothing():
    figures, curves = Corp(P, Y).values(np.zeros((1, 60)), np.array([0.5]))
    assert np.isnan(figures).all()
    assert np.isnan(curves).all()
