"""Resamples that other processes work on give the values of this one, to the last bit."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from joblib import parallel_config

import pathfuse
from pathfuse.errors import WorkerError
from pathfuse.evaluation import elsewhere, resampling
from pathfuse.evaluation.resampling import Resamples
from pathfuse.files.temporary import work_folder
from pathfuse.workers import Lost, using


@pytest.fixture
def many(monkeypatch):
    """The resamples of small tables count as many, in many pieces; gives the number of tasks."""
    tasks = []

    def counted(n_jobs, todo, lost):
        todo = list(todo)
        tasks.append(len(todo))
        return in_tasks(n_jobs, todo, lost)

    in_tasks = elsewhere.file_to_file
    monkeypatch.setattr(elsewhere, "file_to_file", counted)
    monkeypatch.setattr(resampling, "KEPT", 0)
    monkeypatch.setattr(resampling, "CHUNK", 2000)
    return tasks


def tables(result):
    return {
        "metrics": result.metrics,
        "comparisons": result.comparisons,
        "tests": result.tests,
        **result.tables,
    }


@pytest.mark.parametrize("folds", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival", "regression"])
def test_every_figure_is_the_same(many, small_study, kind, folds):
    study = small_study(kind, folds=folds)
    here = pathfuse.evaluate(study, n_resamples=110)
    assert not many
    with parallel_config(backend="threading"):  # the other processes are of the next test
        apart = pathfuse.evaluate(study, n_resamples=110, n_jobs=2)
    assert max(many) > 1
    for name, table in tables(here).items():
        assert table.equals(tables(apart)[name], null_equal=True), name


def test_two_processes_give_the_same(many, small_study):
    study = small_study("multiclass")
    here = pathfuse.evaluate(study, n_resamples=110)
    apart = pathfuse.evaluate(study, n_resamples=110, n_jobs=2)
    assert max(many) > 1
    assert here.metrics.equals(apart.metrics)
    assert here.comparisons.equals(apart.comparisons)


def test_few_resamples_stay_here(monkeypatch, small_study):
    monkeypatch.setattr(elsewhere, "file_to_file", None)
    study = small_study("multiclass")
    assert pathfuse.evaluate(study, n_resamples=150, n_jobs=2).metrics.height


def test_a_lost_process_is_a_sentence(many, small_study):
    def ended(tasks):
        return ((number, Lost("its process was ended")) for number in range(len(tasks)))

    study = small_study("multiclass")
    with using(ended), pytest.raises(WorkerError, match="resamples could not be worked out: its"):
        pathfuse.evaluate(study, n_resamples=150)


def test_an_engine_sees_the_file_in_its_folder(many, tmp_path, small_study):
    places = []

    def engine(tasks):
        for number, (function, args, words) in enumerate(tasks):
            places.append(args[0])
            yield number, function(*args, **words)

    study = small_study("multiclass")
    with using(engine, partial(work_folder, tmp_path / "x")):
        pathfuse.evaluate(study, n_resamples=150)
    assert {place.parents[1] for place in places} == {tmp_path}
    assert list(tmp_path.iterdir()) == []


def test_pieces_hold_every_value_once_and_weights_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    patient_of_row = np.repeat(np.arange(30), 100)
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=700)
    found = Resamples(counts, patient_of_row, np.arange(30) % 7)
    assert not replace(found, counts=np.repeat(counts, 3, axis=0)).few
    assert [value for piece in found.pieces for value in piece] == list(range(1 + 700 + 7))
    weights = np.concatenate([found.weights(piece) for piece in found.pieces])
    assert (weights[0] == 1).all()
    assert (weights[1:701] == counts[:, patient_of_row]).all()
    assert (weights[701:] == (np.arange(7)[:, None] != patient_of_row % 7)).all()
