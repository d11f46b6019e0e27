"""What is kept of the fit rows."""

import numpy as np
import pytest

from pathfuse.drift import reference as room
from pathfuse.drift.figures import Figure, Figures
from pathfuse.drift.reference import Reference

NAMES = (Figure("entropy", "a"), Figure("missing", "a"), Figure("loss"))


def made(n_patients=60, per_patient=3, judged=False, seed=0):
    rng = np.random.default_rng(seed)
    n = n_patients * per_patient
    values = np.column_stack([rng.random(n), rng.random(n) < 0.1, rng.random(n)])
    patients = np.repeat([f"p{i}" for i in range(n_patients)], per_patient)
    figures = Figures(NAMES, values)
    theirs = (figures, patients) if judged else None
    return figures, patients, Reference.of(figures, patients, theirs, seed)


def test_it_is_the_same_after_writing_and_reading():
    _, _, reference = made(judged=True)
    content, arrays = reference.as_parts()
    again = Reference.from_parts(content, arrays)
    assert again.names == reference.names
    assert np.array_equal(again.features, reference.features)
    assert np.array_equal(again.quick, reference.quick)
    assert again.judged.shape == (2, 6)
    second, more = again.as_parts()
    assert second == content
    assert all(np.array_equal(arrays[name], more[name]) for name in arrays)


def test_parts_that_do_not_fit_are_refused():
    content, arrays = made()[2].as_parts()
    with pytest.raises(ValueError, match="differ in length"):
        Reference.from_parts({"figures": content["figures"][:2]}, arrays)


def test_a_sample_of_a_patient_with_three_counts_as_a_third():
    figures, _, reference = made()
    assert reference.block == 3
    assert reference.n_patients == 60
    assert reference.loss.mean() == pytest.approx(figures.values[:, 2].mean())


def test_the_loss_is_compared_only_where_there_is_a_truth():
    reference = made()[2]
    assert [reference.figure(f) for f in reference.watched(False)] == [
        (NAMES[0], False), (NAMES[1], False), (NAMES[0], True), (NAMES[1], True),
    ]  # fmt: skip
    assert len(reference.watched(True)) == 6


def test_many_patients_are_drawn_whole(monkeypatch):
    monkeypatch.setattr(room, "MOST_PATIENTS", 20)
    reference = made(n_patients=50)[2]
    assert reference.n_patients == 20
    assert set(reference.size) == {3}
