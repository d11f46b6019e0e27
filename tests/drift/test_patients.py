"""From samples to patients."""

import numpy as np

from pathfuse.drift.patients import in_blocks, numbered, patient_means


def test_means_and_sizes():
    values = np.array([[1.0], [2.0], [4.0], [3.0]])
    means, size = patient_means(values, np.array([0, 1, 1, 0]))
    assert means[:, 0].tolist() == [2.0, 3.0]
    assert size.tolist() == [2, 2]
    alone, _ = patient_means(values, np.array([2, 0, 3, 1]))
    assert alone[:, 0].tolist() == [2.0, 3.0, 1.0, 4.0]


def test_patients_are_numbered_by_their_last_sample():
    assert numbered(["b", "a", "c", "b"]).tolist() == [2, 0, 1, 2]


def test_blocks_take_in_what_is_left_over():
    assert in_blocks(7, 3).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert in_blocks(2, 3).tolist() == [0, 0]
