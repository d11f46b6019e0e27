"""Trees as arrays: grown by scikit-learn, kept and walked without it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pathfuse.experts.targets.linear import Table

Trees = dict[str, np.ndarray]
"""``starts`` (tree,): first node of each; of each node ``feature`` (-1 for a leaf), ``threshold``,
``left`` and ``right`` (of a leaf ``left`` is its row in ``leaves``); ``leaves`` (leaf, column)."""
ROWS = 1024
"""Units that walk down all trees at a time."""


def grown_trees(
    table: Table,
    columns: np.ndarray,
    groups: np.ndarray,
    share: str | float,
    leaf: int,
    n_trees: int,
    seed: int,
) -> tuple[Trees, Float[np.ndarray, "unit column"], Int[np.ndarray, " unit"]]:
    """Grows trees, each on a bootstrap of groups.

    Args:
        table: Float, (unit, feature).
        columns: Float, (unit, column): what leaves average.
        groups: Patient of each unit.
        share: Features that a split looks at, as scikit-learn takes it.
        leaf: Units in a leaf, at least.
        n_trees: How many.
        seed: Of the bootstrap and the splits.

    Returns:
        The trees; the mean of each unit's leaves over the trees that left its group out, and how
        many trees those are.
    """
    rng = np.random.default_rng(seed)
    features = table.astype(np.float32)
    names, member = np.unique(groups, return_inverse=True)
    total, seen_by = np.zeros(columns.shape), np.zeros(len(table), dtype=np.int64)
    grown = []
    for _ in range(n_trees):
        drawn = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[member]
        from sklearn.tree import ExtraTreeRegressor  # prediction does without

        model: Any = ExtraTreeRegressor(
            max_features=share, min_samples_leaf=leaf, random_state=int(rng.integers(2**31))
        )
        fitted: Any = model.fit(features, columns, sample_weight=drawn.astype(np.float64))
        tree = fitted.tree_
        grown.append(tree)
        out = drawn == 0
        if out.any():
            total[out] += tree.value[tree.apply(features[out])][:, :, 0]
            seen_by += out
    return _as_arrays(grown), total / np.maximum(seen_by, 1)[:, None], seen_by


def _as_arrays(grown: list[Any]) -> Trees:
    counts = [tree.node_count for tree in grown]
    starts = np.cumsum([0, *counts[:-1]])
    feature = np.concatenate([tree.feature for tree in grown])
    leaf = feature < 0
    left = np.concatenate([tree.children_left for tree in grown]) + np.repeat(starts, counts)
    right = np.concatenate([tree.children_right for tree in grown]) + np.repeat(starts, counts)
    left[leaf], right[leaf] = np.arange(leaf.sum()), 0
    return {
        "starts": starts.astype(np.int64),
        "feature": np.where(leaf, -1, feature).astype(np.int32),
        "threshold": np.concatenate([tree.threshold for tree in grown]),
        "left": left.astype(np.int32),
        "right": right.astype(np.int32),
        "leaves": np.concatenate([tree.value[:, :, 0] for tree in grown])[leaf].astype(np.float32),
    }


def check_trees(trees: Mapping[str, np.ndarray], width: int) -> None:
    """Refuses trees that cannot be walked down: a child comes after its parent, so that no walk is
    endless.

    Args:
        trees: As they were read.
        width: Columns of the table.

    Raises:
        ValueError: They are damaged.
    """
    starts, feature, leaves = trees["starts"], trees["feature"], trees["leaves"]
    nodes = [feature, trees["threshold"], trees["left"], trees["right"]]
    n = len(feature)
    if any(one.shape != (n,) for one in (*nodes, feature)) or starts.ndim != 1 or leaves.ndim != 2:
        raise ValueError("the trees have arrays of different lengths")
    if any(trees[name].dtype.kind != "i" for name in ("starts", "feature", "left", "right")):
        raise ValueError("the trees have nodes that are no whole numbers")
    if not len(starts) or not ((starts >= 0) & (starts < n)).all():
        raise ValueError("a tree starts at a node that there is not")
    if not ((feature >= -1) & (feature < width)).all():
        raise ValueError("a tree asks for a feature that there is not")
    inner, place = feature >= 0, np.arange(n)
    for name in ("left", "right"):
        child = trees[name]
        if not ((child > place) & (child < n))[inner].all():
            raise ValueError("a tree has a node that leads back")
    rows = trees["left"][~inner]
    if not ((rows >= 0) & (rows < len(leaves))).all():
        raise ValueError("a tree ends in a leaf that there is not")


def mean_leaves(table: Table, trees: Mapping[str, np.ndarray]) -> Float[np.ndarray, "unit column"]:
    """Mean over all trees of the leaf that each unit ends in."""
    features = table.astype(np.float32)
    parts = [_walk(features[start : start + ROWS], trees) for start in range(0, len(table), ROWS)]
    return np.concatenate(parts)


def _walk(features: np.ndarray, trees: Mapping[str, np.ndarray]) -> np.ndarray:
    unit = np.arange(len(features))[None]
    node = np.repeat(trees["starts"][:, None], len(features), axis=1)
    while True:
        column = trees["feature"][node]
        inner = column >= 0
        if not inner.any():
            break
        goes_left = features[unit, np.maximum(column, 0)] <= trees["threshold"][node]
        below = np.where(goes_left, trees["left"][node], trees["right"][node])
        node = np.where(inner, below, node)
    leaves = trees["leaves"][trees["left"][node]]
    return np.asarray(leaves.astype(np.float64).sum(axis=0) / len(node))
