"""Recipes in files: what ``experts tune`` writes and ``experts train`` and ``study.yaml`` read."""

from pathlib import Path
from typing import Any

import yaml

from pathfuse.errors import InputError
from pathfuse.files.yaml import read_yaml

RECIPE_FILE = "recipe_file"
"""Key of an expert in ``study.yaml``."""


def read_recipe_file(file: Path) -> dict[str, Any]:
    """The values of a recipe, with its ``head``.

    Raises:
        InputError: It cannot be read, or names no head.
    """
    content = read_yaml(file)
    if not isinstance(content, dict) or not isinstance(content.get("head"), str):
        raise InputError(f"{file} holds no recipe: a mapping with 'head' and values of its recipe")
    return {str(key): value for key, value in content.items()}


def merge_recipe(file: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """The values of a file, and those chosen otherwise.

    Raises:
        InputError: Another head is chosen: the values were found for the file's.
    """
    content = read_recipe_file(file)
    head = chosen.get("head")
    if head is not None and str(head).replace("-", "_") != content["head"].replace("-", "_"):
        raise InputError(f"{file} is a recipe of the head '{content['head']}', not of '{head}'")
    return content | {key: value for key, value in chosen.items() if key != "head"}


def recipe_text(head: str, values: dict[str, Any], about: str) -> str:
    """A recipe file.

    Args:
        head: Of the recipe.
        values: Those that differ from the head's defaults.
        about: A comment in the first line.
    """
    return f"# {about}\n" + yaml.safe_dump({"head": head, **values}, sort_keys=False)


def with_recipe_files(content: dict[Any, Any], base: Path) -> dict[Any, Any]:
    """The content of ``study.yaml`` with the recipes that it names filled in.

    Args:
        content: As read.
        base: What paths are relative to.

    Raises:
        InputError: See ``merge_recipe``.
    """
    filled = dict(content)
    for key in ("experts", "fused"):
        if isinstance(content.get(key), list):
            filled[key] = [_filled(one, base) for one in content[key]]
    return filled


def _filled(one: Any, base: Path) -> Any:
    if not isinstance(one, dict) or RECIPE_FILE not in one:
        return one
    rest = {key: value for key, value in one.items() if key != RECIPE_FILE}
    return merge_recipe(base / str(one[RECIPE_FILE]), rest)
