"""Recipes: published values by head, and sentences for what is not allowed."""

import subprocess
import sys

import pytest

from pathfuse.errors import InputError
from pathfuse.experts import recipe as module
from pathfuse.experts.recipe import TrainingRecipe


def test_the_slide_expert_of_the_paper():
    recipe = TrainingRecipe.of("abmil", recipe="published")
    assert (recipe.hidden, recipe.attention, recipe.gate, recipe.dropout) == (
        512,
        128,
        "relu",
        0.25,
    )
    assert (recipe.learning_rate, recipe.weight_decay, recipe.schedule) == (
        2e-4,
        1e-5,
        "warm_restarts",
    )
    assert (recipe.epochs, recipe.min_epochs, recipe.batch) == (20, 12, 16)


def test_the_tile_expert_of_the_paper():
    recipe = TrainingRecipe.of("tile_mlp", recipe="published")
    assert (recipe.hidden, recipe.epochs, recipe.batch, recipe.dropout) == (128, 30, 16, 0.0)
    assert recipe.min_epochs == 11  # epoch index 10, counted from 0


def test_what_is_chosen_wins():
    assert TrainingRecipe.of("clam").attention == 256
    assert TrainingRecipe.of("clam", attention=7).attention == 7


def test_there_are_two_recipes():
    ours, published = (TrainingRecipe.of("abmil", recipe=name) for name in ("ours", "published"))
    assert (ours.standardize, ours.clip, ours.schedule) == (True, 5.0, "cosine")
    assert (published.standardize, published.clip) == (False, None)
    assert (ours.refit_epochs, published.refit_epochs) == ("folds", "validation")
    assert TrainingRecipe.of("abmil") == ours
    with pytest.raises(InputError, match="'recipe' must be ours or published, not 'paper'"):
        TrainingRecipe.of("abmil", recipe="paper")


@pytest.mark.parametrize(
    ("head", "chosen", "words"),
    [
        (
            "abmil",
            {"epoch": 3},
            "'epoch' is unknown; did you mean 'epochs'\\? known are attention, ",
        ),
        ("abmil", {"learning-rate": 1}, "did you mean 'learning_rate'\\?"),
        ("abmil", {"xyzzy": 1}, "'xyzzy' is unknown; known are attention, .*, weight_decay$"),
        ("meta_encoder", {"strategi": 1}, "did you mean 'strategy'\\?"),
        ("abmil", {"epochs": 0}, "'epochs'"),
        ("pooled_kernel", {"networks": 3}, "'networks'.*a pooled head has none"),
        ("abmil", {"folds": 1}, "'folds'"),
        ("abmil", {"dropout": 1.0}, "'dropout'"),
        ("abmil", {"validation": 0.7}, "'validation'"),
        ("abmil", {"learning_rate": 0}, "'learning_rate'"),
        ("abmil", {"group": "ward"}, "'group'.*'patient' or 'site'.*not 'ward'"),
        ("resnet", {}, "'head'.*not 'resnet'"),
    ],
)
def test_sentences(head, chosen, words):
    with pytest.raises(InputError, match=f"^the recipe of an expert: .*{words}"):
        TrainingRecipe.of(head, **chosen)


def test_ours_averages_three_networks_where_there_are_any(monkeypatch):
    plain = "from pathfuse.experts.recipe import NETWORKS; print(NETWORKS)"  # not that of the tests
    told = subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True, check=True)
    monkeypatch.setattr(module, "NETWORKS", int(told.stdout))
    assert TrainingRecipe.of("abmil").networks == TrainingRecipe.of("meta_encoder").networks == 3
    assert TrainingRecipe.of("abmil", networks=1).networks == 1
    for head, recipe in (("abmil", "published"), ("trans_mil", "ours"), ("pooled_forest", "ours")):
        assert TrainingRecipe.of(head, recipe=recipe).networks == 1
