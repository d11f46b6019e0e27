"""Putting models and slides together, by hand."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from pathfuse.experts.assemble import UnitOutputs, combine, history_frame
from pathfuse.experts.fitted import Fitted
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


def said(kind, rows, raw, residual=None):
    scales = {} if residual is None else {"residual_sd": np.array(residual)}
    return UnitOutputs(
        Fitted(TrainingRecipe.of(), Inputs({"features": 2}), ("a", "b"), kind, {}, scales),
        np.array(rows),
        np.array(raw, dtype=float),
    )


def test_models_and_slides_are_averaged_by_sample():
    one = said("multiclass", [4, 2, 4], [[3, 0], [1, 1], [0, 2]])
    two = said("multiclass", [4, 7], [[1, 0], [5, 0]])
    rows, raw, sd = combine([one, two])
    assert (rows.tolist(), sd) == ([2, 4, 7], None)
    wanted = softmax([[3, 0], [0, 2], [1, 0]], axis=1).mean(axis=0)
    np.testing.assert_allclose(softmax(raw[1]), wanted)
    assert raw[[0, 2]].tolist() == [[1, 1], [5, 0]]


def test_regression_adds_residuals_and_disagreement():
    rows, raw, sd = combine(
        [said("regression", [0], [[1, 10]], [3, 1]), said("regression", [0], [[3, 10]], [4, 1])]
    )
    assert (rows.tolist(), raw.tolist()) == ([0], [[2, 10]])
    np.testing.assert_allclose(sd, [[math.sqrt((9 + 16) / 2 + 1), 1]])


def test_history():
    line = {
        "network": 1,
        "epoch": 1,
        "train_loss": 0.5,
        "validation_loss": None,
        "rate": 0.1,
        "chosen": True,
    }
    frame = history_frame(
        {
            "a": {"history": [line]},
            "b": {"history": [{"network": 1, "epoch": 1, "rate": 2.0, "chosen": True}]},
        }
    )
    assert frame.rows() == [
        ("a", 1, 1, 0.5, None, 0.1, True),
        ("b", 1, 1, None, None, 2.0, True),
    ]


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_one_model_and_one_slide_stay_as_they_are(kind):
    rows, raw, _ = combine([said(kind, [1, 0], [[1, 2], [3, 4]], [1, 1])])
    assert (rows.tolist(), raw.tolist()) == ([0, 1], [[3, 4], [1, 2]])
