"""Conformal sets and intervals: against hand counts, against MAPIE, and the promise itself by
simulation."""

import json
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from pathfuse.calibration.conformal import (
    PredictionIntervals,
    PredictionSets,
    calibration_rows,
    sets_from_dict,
)
from pathfuse.errors import InputError

# Which rows calibrate


def pure(sizes, per_patient=1):
    """Strata by row and patients by row: ``sizes[k]`` patients whose rows are all of kind k, in
    mixed order."""
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    patients = np.random.default_rng(0).permutation(np.repeat(np.arange(len(kinds)), per_patient))
    return kinds[patients], patients


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=60),
    st.integers(0, 99),
)
def test_no_patient_is_split(rows, seed):
    groups = np.unique([g for g, _ in rows], return_inverse=True)[1]
    strata = np.unique([s for _, s in rows], return_inverse=True)[1]
    chosen = calibration_rows(strata, groups, seed)
    assert not set(groups[chosen]) & set(np.delete(groups, chosen))
    assert len(set(groups[chosen])) <= ceil(len(set(groups)) / 4)


@pytest.mark.parametrize("per_patient", [1, 3])
def test_a_quarter_of_the_patients_of_every_kind(per_patient):
    sizes = [40, 13, 4, 3, 1]
    strata, groups = pure(sizes, per_patient)
    for seed in range(8):
        chosen = calibration_rows(strata, groups, seed)
        taken = [len(set(groups[chosen][strata[chosen] == k])) for k in range(5)]
        assert all(n // 4 <= t <= ceil(n / 4) for n, t in zip(sizes[:4], taken, strict=False))
        assert taken[4] == 0  # the fusion needs the only patient of a kind


def test_many_rare_kinds_are_represented():
    """Forty kinds of three patients beside one common kind: they are as frequent among the
    calibration rows."""
    strata, groups = pure([120, *[3] * 40], 1)
    for seed in range(8):
        chosen = calibration_rows(strata, groups, seed)
        assert len(chosen) == 60
        assert abs((strata[chosen] > 0).mean() - 0.5) < 0.02


def test_mixed_patients_go_by_their_rarest_kind():
    """Four patients have a row of the rare kind beside common ones: one of them calibrates, and ten
    of the forty."""
    strata, groups = np.array([0] * 44 + [1] * 4), np.array([*range(44), *range(4)])
    for seed in range(10):
        patients = set(groups[calibration_rows(strata, groups, seed)])
        assert len(patients & set(range(4))) == 1
        assert len(patients) == 11


@pytest.mark.parametrize("seed", range(8))
def test_a_kind_of_few_patients_stays_with_the_fit_also_where_it_has_many_rows(seed):
    """Patient 0 has all ten rows of kind 1, and one of kind 0, of which three other patients have
    one each."""
    strata, groups = np.array([1] * 10 + [0] * 4), np.array([0] * 11 + [1, 2, 3])
    assert 1 in np.delete(strata, calibration_rows(strata, groups, seed))


def test_the_seed_draws():
    one, again, other = (calibration_rows(*pure([40, 40]), seed).tolist() for seed in (0, 0, 1))
    assert one == again != other


# Sets


class Says(ClassifierMixin, BaseEstimator):
    """Its input are its probabilities."""

    def fit(self, X, y):
        self.classes_ = np.arange(X.shape[1])
        return self

    def predict_proba(self, X):
        return X

    predict = predict_proba


def task(n, k=5, sharpness=1.0, seed=0):
    """Log-probabilities, and truths drawn from them."""
    rng = np.random.default_rng(seed)
    log_prob = log_softmax(sharpness * rng.normal(size=(n, k)), axis=1)
    return log_prob, (np.exp(log_prob).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


@pytest.mark.parametrize(
    ("coverage", "sharpness"), [(0.8, 1.0), (0.9, 0.3), (0.6, 8.0), (0.9, 30.0)]
)
def test_the_sets_are_mapies_and_the_top_outcome(coverage, sharpness):
    log_prob, truth = task(400, sharpness=sharpness)
    prob = np.exp(log_prob)
    mapie = SplitConformalClassifier(Says().fit(prob, truth), coverage, "lac", prefit=True)
    theirs = mapie.conformalize(prob[:90], truth[:90]).predict_set(prob)[1][:, :, 0]
    ours = PredictionSets.fit(log_prob[:90], truth[:90], coverage, 90).of(
        log_prob
    )  # one row is on the threshold
    top = np.eye(5, dtype=bool)[prob.argmax(axis=1)]
    np.testing.assert_array_equal(ours, theirs | top)
    assert (sharpness >= 8) == (
        ~theirs.any(axis=1)
    ).any()  # empty sets, which the top outcome fills


@pytest.mark.parametrize(
    ("coverage", "threshold"), [(0.5, 0.58), (0.8, 0.34), (0.9, 0.26), (0.95, 0.22)]
)
def test_a_threshold_by_hand(coverage, threshold):
    """Truths have the probabilities 0.98, 0.94, ..., 0.22; of the 20 scores the ceil(21
    coverage)-th counts."""
    told = np.random.default_rng(1).permutation(0.98 - 0.04 * np.arange(20))
    truth = np.arange(20) % 2
    prob = np.where(np.arange(2) == truth[:, None], told[:, None], 1 - told[:, None])
    sets = PredictionSets.fit(np.log(prob), truth, coverage, 7)
    assert sets.threshold == pytest.approx(threshold, abs=1e-12)
    assert (sets.coverage, sets.n_calibration, sets.n_patients) == (coverage, 20, 7)
    low = min(threshold, 1 - threshold)
    near = sets.of(np.log([[threshold, 1 - threshold], [0.5, 0.5], [low - 1e-4, 1 - low + 1e-4]]))
    assert near.tolist() == [[True, threshold <= 0.5], [True, True], [False, True]]


@pytest.mark.parametrize("coverage", [0.1, 0.5, 0.8, 0.9])
def test_few_rows_are_refused_in_words_or_enough(coverage):
    """Never a traceback from MAPIE, whatever the number of rows."""
    for n in range(2, 25):
        log_prob, truth = task(n, k=2, seed=n)
        truth[:2] = [0, 1]
        rank = ceil((n + 1) * Fraction(str(coverage)))
        if (
            rank > n
            or n < max(1 / coverage, 1 / (1 - coverage)) - 1e-9
            or (coverage < 0.5 and n <= 1 / coverage)
        ):
            with pytest.raises(
                InputError, match=rf"^--coverage {coverage} needs at least \d+ rows .* has {n};"
            ):
                PredictionSets.fit(log_prob, truth, coverage, n)
            continue
        score = np.sort(1 - np.exp(log_prob[np.arange(n), truth]))[rank - 1]
        assert PredictionSets.fit(log_prob, truth, coverage, n).threshold == pytest.approx(
            1 - score, abs=1e-12
        )


def test_an_outcome_that_no_calibration_row_has():
    """A class of fewer than four patients stays with the fit: no reason to warn, nor to leave it
    out of the sets."""
    log_prob, truth = task(40, k=3)
    truth[truth == 2] = 1
    assert PredictionSets.fit(log_prob, truth, 0.9, 40).of(np.log([[0.05, 0.05, 0.9]]))[0, 2]


def check_promise(hits, n_splits=300):
    shares = np.array([hits(seed) for seed in range(n_splits)])
    mean, se = shares.mean(axis=0), shares.std(axis=0) / np.sqrt(n_splits)
    assert np.all((mean >= 0.9 - 3 * se) & (mean <= 0.9 + 4 * se))
    assert np.all(4 * se < 0.02)


def test_sets_keep_their_promise_and_not_much_more():
    """With 99 rows and continuous scores the expected coverage is 0.9 exactly."""

    def hits(seed):
        log_prob, truth = task(499, seed=seed)
        sets = PredictionSets.fit(log_prob[:99], truth[:99], 0.9, 99).of(log_prob[99:])
        return sets[np.arange(400), truth[99:]].mean()

    check_promise(hits)


# Intervals


@pytest.mark.parametrize(("coverage", "widths"), [(0.8, [1.7, 0.9]), (0.9, [1.9, 1.0])])
def test_widths_by_hand(coverage, widths):
    """Standardised errors 0.1, ..., 2.0 of one target; of the other 0.1, ..., 1.0 are known: 10
    rows, not 20."""
    rng = np.random.default_rng(2)
    order, mean, sd = (
        rng.permutation(20),
        rng.normal(size=(20, 2)),
        rng.uniform(0.5, 3, size=(20, 2)),
    )
    z = (
        0.1
        * np.stack([order + 1.0, np.where(order < 10, order + 1.0, np.nan)], axis=1)
        * rng.choice([-1, 1], (20, 2))
    )
    fitted = PredictionIntervals.fit(
        np.concatenate([mean, sd**2], axis=1), mean + sd * z, coverage, 20
    )
    np.testing.assert_allclose(fitted.width_sd, widths, atol=1e-9)
    low, high = fitted.of(np.array([[10.0, -1.0, 4.0, 0.25]]))
    np.testing.assert_allclose(low, [[10 - 2 * widths[0], -1 - 0.5 * widths[1]]], atol=1e-9)
    np.testing.assert_allclose(high, [[10 + 2 * widths[0], -1 + 0.5 * widths[1]]], atol=1e-9)


def test_one_target_with_too_few_values():
    y = np.random.default_rng(3).normal(size=(50, 2))
    y[6:, 1] = np.nan
    found = PredictionIntervals.fit(np.tile([0.0, 0.0, 1.0, 1.0], (50, 1)), y, 0.9, 50)
    assert np.isfinite(found.width_sd[0])
    assert np.isnan(found.width_sd[1])
    assert found.n_calibration == 50


def test_intervals_keep_their_promise_whatever_the_errors():
    """Skewed errors and a wrong sd; 139 rows, of the second target 99 known: expected coverage 0.9
    exactly."""

    def hits(seed):
        rng = np.random.default_rng(seed)
        mean, sd = rng.normal(size=(539, 2)), rng.uniform(0.5, 2, size=(539, 2))
        y = mean + sd * (rng.exponential(2.0, size=(539, 2)) - 1)
        y[99:139, 1] = np.nan
        moments = np.concatenate([mean, sd**2], axis=1)
        low, high = PredictionIntervals.fit(moments[:139], y[:139], 0.9, 139).of(moments[139:])
        return ((low <= y[139:]) & (y[139:] <= high)).mean(axis=0)

    check_promise(hits)


def test_through_json():
    sets = PredictionSets.fit(*task(60), 0.8, 55)
    assert sets_from_dict(json.loads(json.dumps(sets.as_dict())), None) == sets
    intervals = PredictionIntervals(0.9, np.array([1.5, np.nan, 1 / 3]), 40, 20)
    again = sets_from_dict(json.loads(json.dumps(intervals.as_dict())), 3)
    assert (type(again), again.as_dict()) == (PredictionIntervals, intervals.as_dict())
    np.testing.assert_array_equal(again.width_sd, [1.5, np.nan, 1 / 3])


GOOD = {"coverage": 0.9, "threshold": 0.4, "n_calibration": 40, "n_patients": 40}
GOOD_INTERVALS = {"coverage": 0.9, "width_sd": [1.0, 2.0], "n_calibration": 40, "n_patients": 40}


@pytest.mark.parametrize(
    ("content", "n_targets"),
    [
        *(({**GOOD, "threshold": bad}, None) for bad in (float("nan"), -5, 7, "0.4x", None, [0.4])),
        *(({**GOOD, "coverage": bad}, None) for bad in (0, 1, float("nan"), "high")),
        (GOOD_INTERVALS, None),
        (GOOD, 2),
        *(
            ({**GOOD_INTERVALS, "width_sd": bad}, 2)
            for bad in (1.0, [1.0], [1.0, -1.0], ["a", "b"], [1, float("inf")])
        ),
    ],
)
def test_damaged_entries_are_refused(content, n_targets):
    with pytest.raises((ValueError, TypeError, KeyError)):
        sets_from_dict(content, n_targets)
