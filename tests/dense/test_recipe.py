"""Recipes: what is published, what differs by strategy, and sentences for what is not allowed."""

import pytest
from pydantic import ValidationError

from pathfuse.dense.recipe import DenseRecipe
from pathfuse.errors import InputError


def test_published_values():
    recipe = DenseRecipe.of("frozen")
    assert (recipe.epochs, recipe.batch, recipe.decoder_rate, recipe.weight_decay) == (
        150,
        8,
        1e-3,
        1e-4,
    )
    assert (recipe.warmup, recipe.clip_norm, recipe.loss, recipe.rank) == (2, 5, "dice", 16)


def test_rates_are_separate_but_in_the_paper():
    assert DenseRecipe.of("lora").learning_rate < DenseRecipe.of("lora").decoder_rate
    assert DenseRecipe.of("lora", parity="paper").learning_rate == 1e-3
    assert DenseRecipe.of("full", learning_rate=0.5).learning_rate == 0.5
    assert DenseRecipe.of("full").learning_rate < DenseRecipe.of("cnn").learning_rate


def test_what_can_be_cached():
    assert DenseRecipe.of("frozen", augment=False).cacheable
    assert DenseRecipe.of("transformer", augment=False).cacheable
    assert not DenseRecipe.of("frozen").cacheable
    assert not DenseRecipe.of("lora", augment=False).cacheable
    assert not DenseRecipe.of("cnn", augment=False).cacheable
    assert not DenseRecipe.of("frozen", augment=False, fit="crop").cacheable


@pytest.mark.parametrize(
    ("strategy", "chosen", "words"),
    [
        ("adapter", {}, "'strategy'"),
        ("lora", {"epochs": 0}, "'epochs'"),
        ("lora", {"batch": 2.5}, "'batch'"),
        ("lora", {"loss": "focal"}, "not 'focal'"),
        ("lora", {"tile_overlap": 0.9}, "'tile_overlap'"),
        ("lora", {"learning_rate": -1}, "'learning_rate'"),
        ("lora", {"optimiser": "sgd"}, "'optimiser' is unknown"),
    ],
)
def test_sentences(strategy, chosen, words):
    with pytest.raises(InputError, match=r"^the recipe of a segmentation: ") as told:
        DenseRecipe.of(strategy, **chosen)
    assert words in str(told.value)


def test_it_does_not_change():
    with pytest.raises(ValidationError):
        DenseRecipe.of().epochs = 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", float("inf")), ("weight_decay", float("nan")), ("seed", 2**70), ("size_px", 10**9),
     ("decoder_width", 10**7)],
)  # fmt: skip
def test_numbers_that_fail_only_later(name, value):
    with pytest.raises(InputError, match=f"'{name}'"):
        DenseRecipe.of(**{name: value})
