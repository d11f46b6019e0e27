"""Validation takes a fifth of the work at most, and its epochs are the same on every machine."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("timm")

from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.training.validating import (
    ALONE,
    BACKWARD,
    OWN,
    SHARE,
    is_validated,
    middle,
    once_warning,
    validation_every,
)
from pathfuse.errors import InputError
from pathfuse.testing.tissue import make_split


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(
        tmp_path_factory.mktemp("images"), train=4, val=2, test=0, height=300, width=200
    )


def every(split, **chosen):
    return validation_every(split, DenseRecipe.of(**{"epochs": 100, "size_px": 64, **chosen}))


def test_the_work_of_validation_is_a_fifth_at_most_and_no_less_often_than_that_asks(split):
    learned = 4 * BACKWARD * 64**2
    looked_at = 2 * (64**2 + OWN * 300 * 200 + ALONE)
    n = every(split)
    assert looked_at / (looked_at + n * learned) <= SHARE
    assert looked_at / (looked_at + (n - 1) * learned) > SHARE
    tiles = 2 * (6 * 4 * 64**2 + OWN * 300 * 200 + ALONE)  # at steps of 48 pixels
    n = every(split, fit="crop")
    assert tiles / (tiles + n * learned) <= SHARE < tiles / (tiles + (n - 1) * learned)
    middles = 2 * (2 * 2 * 64**2 + OWN * 100 * 100 + ALONE)
    n = every(split, fit="crop", validate_px=100)
    assert middles / (middles + n * learned) <= SHARE < middles / (middles + (n - 1) * learned)


def test_what_the_recipe_says_counts_and_the_paper_validates_every_epoch(split):
    assert every(split, validate_every=3) == 3
    assert every(split, validate_every=500) == 100
    assert every(split, epochs=2) == 2
    assert every(split, parity="paper") == 1
    assert every(replace(split, val=())) == 1
    assert every(split, size_px=512) == 1


def test_the_last_epoch_is_always_validated():
    assert [k + 1 for k in range(7) if is_validated(k, 3, 7)] == [3, 6, 7]
    assert [k + 1 for k in range(6) if is_validated(k, 3, 6)] == [3, 6]


def test_that_there_was_no_choice_is_said_unless_it_was_asked_for():
    (said,) = once_warning(9, 9, DenseRecipe.of(epochs=9))
    assert "looked at once, after the last of 9 epochs" in said
    assert once_warning(9, 9, DenseRecipe.of(epochs=9, validate_every=9)) == []
    assert once_warning(8, 9, DenseRecipe.of(epochs=9)) == []
    assert once_warning(1, 1, DenseRecipe.of(epochs=1)) == []


def test_the_middle_of_an_image():
    image = np.arange(5 * 8 * 3).reshape(5, 8, 3)
    assert middle(image, None) is image
    assert np.array_equal(middle(image, 4), image[0:4, 2:6])
    assert np.array_equal(middle(image, 6), image[:, 1:7])


def test_the_middle_is_of_crops_only():
    with pytest.raises(InputError, match="'validate_px' is of fit=crop only"):
        DenseRecipe.of(validate_px=100)
