"""What a training is doubted for."""

import numpy as np
import pytest

pytest.importorskip("torch")

from pathfuse.dense.training.warnings import warnings_of

NAMES = ("glass", "stroma", "nucleus")
GOOD = np.diag([50, 40, 9])


def of(losses, cm=GOOD):
    return warnings_of([{"train_loss": loss} for loss in losses], np.asarray(cm), NAMES)


@pytest.mark.parametrize(
    "losses", [[0.9], [0.9, 0.9], [0.9, 0.5, 0.3, 0.31, 0.33], [0.02, 0.011, 0.01, 0.02]]
)
def test_nothing_to_say(losses):
    assert of(losses) == []


def test_a_collapse():
    assert of([0.9, 0.3, 0.85, 0.86]) == [
        "training collapsed: its loss was 0.3 in epoch 2 and is 0.86 at the end; lower the learning rates"
    ]
    assert of([0.9, 0.895, 0.9, 0.899]) == [
        "the training loss did not fall: 0.9 in the first epoch, 0.895 at its lowest"
    ]
    # One bad epoch of the last five is not a collapse.
    assert of([0.9, *[0.3] * 23, 0.9]) == []


def test_classes():
    everything = [[50, 0, 0], [40, 0, 0], [9, 0, 0]]
    assert of([1], everything) == [
        "every pixel of the validation images is given to the class 'glass'"
    ]
    assert of([1], [[50, 0, 0], [0, 40, 0], [5, 4, 0]]) == [
        "no pixel of the class 'nucleus' was found in the validation images"
    ]
    assert of([1], [[50, 0, 0], [0, 0, 0], [0, 0, 9]]) == [
        "the validation images have no pixel of the class 'stroma'"
    ]
    assert of([1], np.zeros((3, 3), dtype=int)) == []
