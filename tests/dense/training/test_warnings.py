"""What a training is doubted for."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from pathfuse.dense.encoders.load import load_encoder
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.training.train import train_dense
from pathfuse.dense.training.warnings import warnings_of
from pathfuse.testing.tissue import make_split

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


def test_images_of_another_scale_than_the_encoders_are_named(tmp_path):
    split = make_split(tmp_path, train=2, val=1, test=0, classes=2)
    split = replace(split, train=tuple(replace(item, mpp_um=0.1) for item in split.train))
    encoder = load_encoder("tiny:patch=8,dim=48,depth=1")
    encoder.card = encoder.card.model_copy(update={"mpp_um": (0.5,)})
    recipe = DenseRecipe.of(
        "frozen",
        epochs=1,
        warmup=0,
        size_px=16,
        decoder_width=16,
        batch=2,
        device="cpu",
        augment=False,
    )
    warnings = train_dense(encoder, split, recipe, tmp_path / "out").manifest["warnings"]
    assert [one for one in warnings if "micrometres" in one] == []
    crops = recipe.model_copy(update={"fit": "crop"})
    warnings = train_dense(encoder, split, crops, tmp_path / "crops").manifest["warnings"]
    (sentence,) = [one for one in warnings if "micrometres" in one]
    assert "sees 0.1 micrometres per pixel (the images' own scale)" in sentence
