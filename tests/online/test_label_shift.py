"""A shift of outcomes: found where there is one, seldom where there is none, corrected for."""

import numpy as np
import pytest

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.online.label_shift import (
    EVERY,
    FEWEST_PATIENTS,
    LEVEL,
    corrected,
    em_frequencies,
    shift_in,
    shifted,
)

OLD = np.array([0.5, 0.3, 0.2])


def stream(n, now, seed, per_patient=1):
    """Exact posteriors under OLD of noisy measurements, of outcomes as frequent as ``now``; samples
    of one patient have one outcome."""
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // per_patient
    truth = rng.choice(3, n // per_patient + 1, p=now)[patients]
    seen = np.eye(3)[truth] * 2 + rng.normal(size=(n, 3))
    return log_softmax(2 * seen + np.log(OLD)), truth, patients


def loss(log_prob, truth):
    return -log_prob[np.arange(len(truth)), truth].mean()


def test_em_finds_the_frequencies():
    now = np.array([0.1, 0.2, 0.7])
    found = em_frequencies(stream(5000, now, 0)[0], OLD)
    np.testing.assert_allclose(found, now, atol=0.03)


def test_em_by_grid():
    """The likelihood of two outcomes, searched through; without the rows that EM adds."""
    rng = np.random.default_rng(0)
    log_prob = np.log(rng.dirichlet([1, 1], 2000))
    old = np.array([0.5, 0.5])
    grid = np.linspace(0.001, 0.999, 999)
    values = [
        np.log(np.exp(log_prob) @ (np.array([1 - p, p]) / old)).sum()
        + 10 * (old @ np.log([1 - p, p]))
        for p in grid
    ]
    assert em_frequencies(log_prob, old)[1] == pytest.approx(grid[np.argmax(values)], abs=0.002)


@pytest.mark.parametrize("per_patient", [1, 4])
def test_false_alarms_at_the_level(per_patient):
    """200 streams without a shift: with the patient as unit the level holds, with samples it would
    not."""
    p_values, of_samples = [], []
    for seed in range(200):
        log_prob, _, patients = stream(400, OLD, seed, per_patient)
        p_values.append(shift_in(log_prob, OLD, patients, 10**9).p_value)
        of_samples.append(shift_in(log_prob, OLD, np.arange(400), 10**9).p_value)
    assert 0.015 < np.mean(np.array(p_values) < 0.05) < 0.1
    if per_patient > 1:
        assert np.mean(np.array(of_samples) < 0.05) > 0.2


def test_few_fit_rows_know_their_own_frequencies_badly():
    """Frequencies from 100 rows: without saying so, every tenth stream or more looks shifted."""
    rng = np.random.default_rng(0)
    told, untold = [], []
    for seed in range(150):
        fitted = rng.multinomial(100, OLD) / 100
        log_prob, _, patients = stream(400, OLD, seed)
        told.append(shift_in(log_prob, fitted, patients, 100).p_value)
        untold.append(shift_in(log_prob, fitted, patients, 10**9).p_value)
    assert np.mean(np.array(told) < 0.05) < 0.1 < np.mean(np.array(untold) < 0.05)


def test_all_looks_together_keep_the_level():
    alarms = [
        len(shifted(*stream(600, OLD, s)[:1], OLD, np.arange(600), 10**9)[1]) for s in range(40)
    ]
    assert np.mean(np.array(alarms) > 0) <= LEVEL + 0.07


def test_a_shift_is_found_and_corrected():
    log_prob, truth, patients = stream(1500, np.array([0.1, 0.1, 0.8]), 0)
    better, looks = shifted(log_prob, OLD, patients, 2000)
    assert looks[0] <= 2 * EVERY
    late = slice(500, None)
    exact = corrected(log_prob[late], OLD, np.array([0.1, 0.1, 0.8]))
    gain = loss(log_prob[late], truth[late]) - loss(better[late], truth[late])
    assert gain > 0.8 * (loss(log_prob[late], truth[late]) - loss(exact, truth[late])) > 0


def test_what_comes_later_does_not_correct_what_came_before():
    log_prob, _, patients = stream(600, np.array([0.1, 0.1, 0.8]), 0)
    whole, looks = shifted(log_prob, OLD, patients, 2000)
    part, _ = shifted(log_prob[:330], OLD, patients[:330], 2000)
    assert len(looks)
    np.testing.assert_array_equal(whole[:330], part)


def test_too_few_patients_show_nothing():
    log_prob, _, _ = stream(200, np.array([0.0, 0.0, 1.0]), 0)
    few = np.arange(200) % (FEWEST_PATIENTS - 1)
    assert shift_in(log_prob, OLD, few, 2000).p_value == 1.0


def test_samples_that_nobody_scored_are_passed_over():
    log_prob, _, patients = stream(300, np.array([0.1, 0.1, 0.8]), 0)
    log_prob[::3] = np.nan
    better, looks = shifted(log_prob, OLD, patients, 2000)
    assert len(looks)
    np.testing.assert_array_equal(np.isnan(better), np.isnan(log_prob))
