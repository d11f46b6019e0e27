"""What numbers a fitted method holds: a model file is checked against it before anything is predicted."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from pathfuse.types import Params, Present

Layout: TypeAlias = Mapping[str, tuple[int, ...]]
"""Shapes by name; all are floating numbers."""
MOST_TRIED = 20
"""Experts that a made-up sample is predicted without."""


def check_numbers(name: str, params: Params, layouts: Sequence[Layout]) -> None:
    """Refuses numbers that no fit of a method can have left.

    Args:
        name: The method's.
        params: As they were read.
        layouts: What it may hold; several where options or versions differ.

    Raises:
        ValueError: A number is missing, unknown, of another shape or kind, infinite or NaN.
    """
    found = {key: array.shape for key, array in params.items()}
    if not any(dict(layout) == found for layout in layouts):
        raise ValueError(_difference(name, found, _nearest(found, layouts)))
    for key, array in params.items():
        if array.dtype.kind != "f":
            raise ValueError(f"{name}: '{key}' holds no floating numbers, but {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: '{key}' holds NaN or infinity")


def check_order(name: str, params: Params, n_experts: int) -> None:
    """Refuses an ``order`` that does not name each expert once.

    Raises:
        ValueError: It is missing, or names others.
    """
    if "order" not in params:
        raise ValueError(f"{name}: 'order' is missing")
    check_integers(f"{name}: 'order'", params["order"], 0, n_experts - 1)
    if len(params["order"]) != n_experts:
        raise ValueError(f"{name}: 'order' does not name all experts")


def check_integers(name: str, array: np.ndarray, low: int, high: int) -> None:
    """Refuses what is no list of different whole numbers of a range.

    Args:
        name: In sentences.
        array: As it was read.
        low: The smallest that there may be.
        high: The largest.

    Raises:
        ValueError: It is none.
    """
    whole = array.ndim == 1 and array.dtype.kind == "i"
    if not whole or len(np.unique(array)) != len(array):
        raise ValueError(f"{name} holds no list of different whole numbers")
    if len(array) and not low <= array.min() <= array.max() <= high:
        raise ValueError(f"{name} must be between {low} and {high}")


def made_up_presence(n_experts: int) -> Present:
    """Who scores the made-up samples that a model predicts when it is loaded: all experts, each
    alone, and all but each.
    """
    alone = np.eye(n_experts, dtype=bool)[:MOST_TRIED]
    shown = np.concatenate([np.ones((1, n_experts), dtype=bool), alone, ~alone])
    return np.asarray(shown[shown.any(axis=1)])


def _nearest(found: Layout, layouts: Sequence[Layout]) -> Layout:
    return max(layouts, key=lambda one: len(set(one.items()) & set(found.items())))


def _difference(name: str, found: Layout, wanted: Layout) -> str:
    for key, shape in wanted.items():
        if key not in found:
            return f"{name}: '{key}' is missing"
        if found[key] != shape:
            return f"{name}: '{key}' has the shape {found[key]}, not {shape}"
    unknown = next(key for key in found if key not in wanted)
    return f"{name}: '{unknown}' is unknown"
