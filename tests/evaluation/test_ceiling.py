"""An oracle per sample, against loops by hand."""

import numpy as np
import pytest

from pathfuse.evaluation.ceiling import sample_oracle
from pathfuse.evaluation.judged import Judged


def judged_of(predictions, observed):
    n = len(observed)
    return Judged(observed, np.arange(n), np.zeros(n, dtype=int), predictions)


def test_classes_by_hand():
    uni = np.log([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    conch = np.array([np.log([0.3, 0.7]), np.log([0.1, 0.9]), [np.nan, np.nan]])
    observed = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    found = sample_oracle(
        judged_of({"uni": uni, "conch": conch}, observed), ["uni", "conch"], False
    )
    assert found.loss == pytest.approx(-np.log([0.9, 0.4, 0.8]).mean())
    assert found.some_right == pytest.approx(2 / 3)
    assert found.n == 3


def test_numbers_by_hand():
    uni, conch = np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([[0.5, 1.0], [5.0, 1.0]])
    found = sample_oracle(
        judged_of({"uni": uni, "conch": conch}, np.array([[0.6], [3.0]])), ["uni", "conch"], True
    )
    assert (found.loss, found.some_right) == (pytest.approx((0.1 + 1.0) / 2), None)


def test_no_expert_no_oracle():
    nothing = {"uni": np.full((2, 2), np.nan)}
    observed = np.array([[1, 0], [0, 1]], dtype=bool)
    assert sample_oracle(judged_of(nothing, observed), ["uni"], False) is None
