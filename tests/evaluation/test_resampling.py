"""The bootstrap by patient: what is drawn, and what intervals and p-values are made of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import bootstrap

from pathfuse.evaluation import resampling
from pathfuse.evaluation.resampling import Resamples, bca_interval, draw, percentile_interval, two_sided_p

PATIENTS = np.array([3, 0, 0, 1, 2, 2, 2, 4, 5, 6, 6, 7])
STRATA = np.array([1, 0, 0, 0, 1, 1, 1, 1, 0, 9, 9, 1])
STRATUM_OF_PATIENT = np.array([0, 0, 1, 1, 1, 0, 9, 1])


def weights_of(resamples):
    return np.concatenate(list(resamples.row_weights()))


def test_whole_patients_are_drawn():
    resamples = draw(PATIENTS, STRATA, 200, seed=0)
    weights = weights_of(resamples)
    assert resamples.counts.shape == (200, 8)
    assert weights.shape == (200, 12)
    for patient in range(8):
        rows = weights[:, patient == PATIENTS]
        assert (rows == resamples.counts[:, [patient]]).all()
    assert (resamples.counts.sum(axis=1) == 8).all()
    assert len(np.unique(weights.sum(axis=1))) > 1  # patients have different numbers of rows


def test_strata_keep_their_sizes():
    counts = draw(PATIENTS, STRATA, 200, seed=0).counts
    for stratum, size in ((0, 3), (1, 4), (9, 1)):
        assert (counts[:, stratum == STRATUM_OF_PATIENT].sum(axis=1) == size).all()
    assert (counts[:, 6] == 1).all()  # alone in its stratum
    assert (counts[:, STRATUM_OF_PATIENT == 0].std(axis=0) > 0).all()


def test_a_patient_belongs_to_the_stratum_of_its_first_row():
    patients, strata = np.array([0, 0, 1, 2, 3]), np.array([5, 7, 7, 7, 5])
    counts = draw(patients, strata, 100, seed=1).counts
    assert (counts[:, [0, 3]].sum(axis=1) == 2).all()
    assert (counts[:, [1, 2]].sum(axis=1) == 2).all()


def test_draws_are_those_of_sampling_with_replacement():
    n, resamples = 20, 4000
    counts = draw(np.arange(n), np.zeros(n, dtype=int), resamples, seed=3).counts
    share_absent = (counts == 0).mean()
    assert share_absent == pytest.approx((1 - 1 / n) ** n, abs=0.006)  # sd of the estimate is about .001
    assert counts.mean(axis=0) == pytest.approx(np.ones(n), abs=5 / np.sqrt(resamples))
    assert counts.var() == pytest.approx(1 - 1 / n, abs=0.03)


def test_the_seed_decides_the_draw():
    one, same, other = (draw(PATIENTS, STRATA, 50, seed).counts for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_no_resamples_is_allowed():
    resamples = draw(PATIENTS, STRATA, 0, seed=0)
    assert resamples.counts.shape == (0, 8)
    assert list(resamples.row_weights()) == []


@pytest.mark.parametrize("chunk", [1, 12, 30, 600, 10**6])
def test_chunks_bound_memory_and_change_nothing(monkeypatch, chunk):
    resamples = draw(PATIENTS, STRATA, 50, seed=0)
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    parts = list(resamples.row_weights())
    assert all(part.size <= max(chunk, len(PATIENTS)) for part in parts)
    assert (np.concatenate(parts) == resamples.counts[:, PATIENTS]).all()


def test_percentiles_are_numpys():
    values = np.random.default_rng(0).normal(size=1999)
    interval = percentile_interval(values)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=1e-15)
    assert interval.n_undefined == 0


@pytest.mark.parametrize(("level", "low", "high"), [(0.95, 25, 975), (0.9, 50, 950), (0.5, 250, 750)])
def test_percentiles_by_hand(level, low, high):
    interval = percentile_interval(np.random.default_rng(0).permutation(1001).astype(float), level)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


def test_undefined_resamples_are_counted_and_skipped():
    values = np.arange(1001.0)
    spoiled = np.insert(values, [0, 500, 1001], np.nan)
    clean, interval = percentile_interval(values), percentile_interval(spoiled)
    assert (interval.low, interval.high) == (clean.low, clean.high)
    assert interval.n_undefined == 3


@pytest.mark.parametrize(("n_defined", "n_undefined", "refused"), [(50, 50, False), (49, 51, True), (0, 20, True)])
def test_an_interval_needs_half_of_the_resamples(n_defined, n_undefined, refused):
    interval = percentile_interval(np.concatenate([np.linspace(0, 1, n_defined), np.full(n_undefined, np.nan)]))
    assert np.isnan([interval.low, interval.high]).tolist() == [refused, refused]
    assert interval.n_undefined == n_undefined


def test_no_resamples_give_no_interval():
    interval = percentile_interval(np.zeros(0))
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.n_undefined == 0


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([-1, 1, 2, 3], 2 * (1 + 1) / 5),
        ([1] * 99, 2 * 1 / 100),
        ([-1] * 1999, 2 * 1 / 2000),
        ([-2, -1, 1, 2], 1.0),  # twice 3/5, cut at 1
        ([0, 1, 1, 1, 1, 1, 1], 2 * (1 + 1) / 8),  # a zero counts on both sides
        ([0, 0, 0], 1.0),
        ([np.nan, 1, 1, np.nan, 1], 2 * 1 / 4),  # undefined ones do not count
    ],
)
def test_p_value_by_hand(differences, expected):
    assert two_sided_p(np.array(differences, dtype=float)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("differences", [[], [np.nan, np.nan]])
def test_p_value_of_nothing_is_undefined(differences):
    assert np.isnan(two_sided_p(np.array(differences, dtype=float)))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_p_value_has_two_equal_sides_and_is_never_zero(differences):
    values = np.array(differences, dtype=float)
    p = two_sided_p(values)
    assert p == two_sided_p(-values)
    assert 2 / (len(values) + 1) <= p <= 1 or p == 1


# Bias-corrected and accelerated intervals


@pytest.fixture
def skewed():
    """80 patients of one row, their mean on 2,000 resamples of ours, and without each of them."""
    values = np.random.default_rng(0).exponential(size=80)
    resamples = draw(np.arange(80), np.zeros(80, dtype=int), 2000, seed=1)
    return values, resamples.counts @ values / 80, (values.sum() - values) / 79


def scipy_bca(values, resampled, level=0.95):
    """Scipy's interval of a mean, on resamples of ours."""
    start = bootstrap((values,), np.mean, n_resamples=2, method="percentile", rng=np.random.default_rng(0))
    ours = replace(start, bootstrap_distribution=resampled)
    found = bootstrap((values,), np.mean, n_resamples=0, method="BCa", bootstrap_result=ours, confidence_level=level)
    return found.confidence_interval


def limits(interval):
    return interval.low, interval.high


@pytest.mark.parametrize("level", [0.95, 0.9, 0.5])
def test_bca_is_scipys(skewed, level):
    values, resampled, left_out = skewed
    found = bca_interval(values.mean(), resampled, left_out, level)
    theirs = scipy_bca(values, resampled, level)
    assert limits(found) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert found.n_undefined == 0


def test_bca_leans_towards_the_long_tail(skewed):
    """The mean of skewed values lies below the truth more often than above it, and then by more."""
    values, resampled, left_out = skewed
    found, plain = bca_interval(values.mean(), resampled, left_out), percentile_interval(resampled)
    assert found.low > plain.low + 0.005
    assert found.high > plain.high + 0.01
    mirrored = bca_interval(-values.mean(), -resampled, -left_out)
    assert limits(mirrored) == pytest.approx((-found.high, -found.low), abs=1e-12)


def test_bca_without_bias_or_skew_is_the_percentile_interval():
    resampled, left_out = np.arange(-1000.0, 1001.0), np.array([-1.0, 0, 1])
    assert limits(bca_interval(0.0, resampled, left_out)) == pytest.approx(limits(percentile_interval(resampled)))


def test_bca_by_hand():
    """Resamples 0..999 around the point 599.5, so 60 % below; pulls 2, -1, -1, acceleration 6 / (6 x 6^1.5)."""
    resampled, left_out = np.arange(1000.0), np.array([3.0, 6, 6])
    shift, acceleration = ndtri(0.6), 1 / 6**1.5
    z = shift + np.array([-1.0, 1.0]) * ndtri(0.975)
    expected = ndtr(shift + z / (1 - acceleration * z)) * 999
    assert limits(bca_interval(599.5, resampled, left_out)) == pytest.approx(expected, abs=1e-9)


def test_bca_leaves_out_what_is_undefined(skewed):
    values, resampled, left_out = skewed
    clean = bca_interval(values.mean(), resampled, left_out)
    spoiled = np.insert(resampled, [0, 700, 2000], np.nan)
    found = bca_interval(values.mean(), spoiled, np.insert(left_out, 3, np.nan))
    assert limits(found) == pytest.approx(limits(clean), abs=1e-12)
    assert found.n_undefined == 3


@pytest.mark.parametrize(
    ("point", "left_out"),
    [
        (5.0, [1.0, 2.0, 4.0]),  # above all resamples
        (-1.0, [1.0, 2.0, 4.0]),  # below all resamples
        (0.5, [0.5, 0.5, 0.5]),  # no patient matters
    ],
)
def test_bca_falls_back_on_percentiles(point, left_out):
    resampled = np.linspace(0, 1, 101)
    assert bca_interval(point, resampled, np.array(left_out)) == percentile_interval(resampled)


def test_bca_of_a_constant_is_that_constant():
    found = bca_interval(0.5, np.full(100, 0.5), np.array([0.5, 0.5, 0.6]))
    assert limits(found) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("resampled", "left_out", "missing"),
    [
        ([], [1.0, 2.0], 0),
        ([np.nan] * 11 + [0.5, 0.6] * 4, [1.0, 2.0, 4.0], 11),
        ([0.4, 0.5, 0.6], [np.nan, np.nan], 0),
    ],
)
def test_bca_is_refused_where_too_little_is_defined(resampled, left_out, missing):
    found = bca_interval(0.5, np.array(resampled, dtype=float), np.array(left_out))
    assert np.isnan(limits(found)).all()
    assert found.n_undefined == missing


@pytest.mark.parametrize("chunk", [1, 30, 10**6])
def test_each_patient_is_left_out_with_all_its_rows(monkeypatch, chunk):
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    counts = draw(PATIENTS, STRATA, 5, seed=0).counts
    parts = list(Resamples(counts, PATIENTS, leave_out=True).left_out_weights())
    assert all(part.size <= max(chunk, len(PATIENTS)) for part in parts)
    assert np.concatenate(parts).tolist() == [[float(p != patient) for p in PATIENTS] for patient in range(8)]
    assert list(Resamples(counts, PATIENTS).left_out_weights()) == []
