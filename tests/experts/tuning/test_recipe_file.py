"""Recipes in files, for ``experts train`` and ``study.yaml``."""

import pytest

from pathfuse.errors import InputError
from pathfuse.experts.tuning.recipe_file import merge_recipe, recipe_text, with_recipe_files


def test_a_file_and_what_is_chosen_otherwise(tmp_path):
    file = tmp_path / "tuned.yaml"
    file.write_text(recipe_text("abmil", {"epochs": 7, "dropout": 0.1}, "found: 'by' a search"))
    wanted = {"head": "abmil", "epochs": 9, "dropout": 0.1}
    assert merge_recipe(file, {"epochs": 9, "head": None}) == wanted
    content = {
        "experts": [{"recipe_file": "tuned.yaml", "epochs": 9}, {"head": "clam"}],
        "out": "x",
    }
    assert with_recipe_files(content, tmp_path)["experts"] == [wanted, {"head": "clam"}]
    with pytest.raises(InputError, match="is a recipe of the head 'abmil', not of 'clam'"):
        merge_recipe(file, {"head": "clam"})
    file.write_text("epochs: 3\n")
    with pytest.raises(InputError, match="holds no recipe: a mapping with 'head'"):
        merge_recipe(file, {})
