"""The bootstrap by patient: what is drawn."""

import numpy as np
import pytest

from pathfuse.evaluation import resampling
from pathfuse.evaluation.resampling import Resamples, draw, leave_out

PATIENTS = np.array([3, 0, 0, 1, 2, 2, 2, 4, 5, 6, 6, 7])
FOLDS = np.array([1, 0, 0, 0, 1, 1, 1, 1, 0, 9, 9, 1])
FOLD_OF_PATIENT = np.array([0, 0, 1, 1, 1, 0, 9, 1])


def weights_of(resamples):
    return np.concatenate(list(resamples.row_weights()))


def test_whole_patients_are_drawn():
    resamples = draw(PATIENTS, FOLDS, 200, seed=0)
    weights = weights_of(resamples)
    assert resamples.counts.shape == (200, 8)
    assert weights.shape == (200, 12)
    for patient in range(8):
        rows = weights[:, patient == PATIENTS]
        assert (rows == resamples.counts[:, [patient]]).all()
    assert (resamples.counts.sum(axis=1) == 8).all()
    assert len(np.unique(weights.sum(axis=1))) > 1  # patients have different numbers of rows


def test_folds_keep_their_sizes():
    counts = draw(PATIENTS, FOLDS, 200, seed=0).counts
    for fold, size in ((0, 3), (1, 4), (9, 1)):
        assert (counts[:, fold == FOLD_OF_PATIENT].sum(axis=1) == size).all()
    assert (counts[:, 6] == 1).all()  # alone in its fold
    assert (counts[:, FOLD_OF_PATIENT == 0].std(axis=0) > 0).all()


def test_a_patient_belongs_to_the_fold_of_its_first_row():
    patients, folds = np.array([0, 0, 1, 2, 3]), np.array([5, 7, 7, 7, 5])
    counts = draw(patients, folds, 100, seed=1).counts
    assert (counts[:, [0, 3]].sum(axis=1) == 2).all()
    assert (counts[:, [1, 2]].sum(axis=1) == 2).all()


def test_draws_are_those_of_sampling_with_replacement():
    n, resamples = 20, 4000
    counts = draw(np.arange(n), np.zeros(n, dtype=int), resamples, seed=3).counts
    share_absent = (counts == 0).mean()
    assert share_absent == pytest.approx(
        (1 - 1 / n) ** n, abs=0.006
    )  # sd of the estimate is about .001
    assert counts.mean(axis=0) == pytest.approx(np.ones(n), abs=5 / np.sqrt(resamples))
    assert counts.var() == pytest.approx(1 - 1 / n, abs=0.03)


def test_the_seed_decides_the_draw():
    one, same, other = (draw(PATIENTS, FOLDS, 50, seed).counts for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_no_resamples_is_allowed():
    resamples = draw(PATIENTS, FOLDS, 0, seed=0)
    assert resamples.counts.shape == (0, 8)
    assert list(resamples.row_weights()) == []


@pytest.mark.parametrize("chunk", [1, 12, 30, 600, 10**6])
def test_chunks_bound_memory_and_change_nothing(monkeypatch, chunk):
    resamples = draw(PATIENTS, FOLDS, 50, seed=0)
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    parts = list(resamples.row_weights())
    assert all(part.size <= max(chunk, len(PATIENTS)) for part in parts)
    assert (np.concatenate(parts) == resamples.counts[:, PATIENTS]).all()


@pytest.mark.parametrize("chunk", [1, 30, 10**6])
def test_each_patient_is_left_out_with_all_its_rows(monkeypatch, chunk):
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    counts = draw(PATIENTS, FOLDS, 5, seed=0).counts
    parts = list(Resamples(counts, PATIENTS, leave_out(8, seed=0)).left_out_weights())
    assert all(part.size <= max(chunk, len(PATIENTS)) for part in parts)
    assert np.concatenate(parts).tolist() == [
        [float(p != patient) for p in PATIENTS] for patient in range(8)
    ]
    assert list(Resamples(counts, PATIENTS).left_out_weights()) == []


def test_many_patients_are_left_out_in_parts_of_equal_size():
    assert leave_out(7, seed=0).tolist() == leave_out(7, seed=0, most=7).tolist() == list(range(7))
    assert leave_out(7, seed=0, most=None).tolist() == list(range(7))
    parts = leave_out(70, seed=3, most=10)
    assert np.bincount(parts).tolist() == [7] * 10
    assert (parts != leave_out(70, seed=4, most=10)).any()
    weights = np.concatenate(
        list(Resamples(np.ones((1, 70)), np.arange(70), parts).left_out_weights())
    )
    assert weights.sum(axis=1).tolist() == [63.0] * 10
