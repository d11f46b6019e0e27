"""Trees as arrays against scikit-learn's own."""

import numpy as np
from sklearn.tree import ExtraTreeRegressor

from pathfuse.experts.pooled.trees import grown_trees, mean_leaves

RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(60, 7))
COLUMNS = np.stack([TABLE[:, 0] > 0, TABLE[:, 1] + RNG.normal(size=60)], axis=1).astype(float)
GROUPS = np.arange(60) // 3


def grown(n_trees=25):
    return grown_trees(TABLE, COLUMNS, GROUPS, "sqrt", 1, n_trees, 11)


def by_hand(n_trees=25):
    """The same draws, with scikit-learn predicting."""
    rng, features = np.random.default_rng(11), TABLE.astype(np.float32)
    for _ in range(n_trees):
        drawn = np.bincount(rng.integers(0, 20, 20), minlength=20)[GROUPS]
        tree = ExtraTreeRegressor(max_features="sqrt", random_state=int(rng.integers(2**31)))
        yield drawn, tree.fit(features, COLUMNS, sample_weight=drawn.astype(float))


def test_walking_the_arrays_is_scikit_learns_prediction():
    trees, _, _ = grown()
    new = RNG.normal(size=(2000, 7))
    wanted = np.mean([tree.predict(new.astype(np.float32)) for _, tree in by_hand()], axis=0)
    np.testing.assert_allclose(mean_leaves(new, trees), wanted, atol=1e-6)


def test_a_unit_is_predicted_by_the_trees_that_left_its_group_out():
    _, means, seen_by = grown()
    total, count = np.zeros((60, 2)), np.zeros(60)
    for drawn, tree in by_hand():
        out = drawn == 0
        total[out] += tree.predict(TABLE[out].astype(np.float32))
        count += out
    assert 0 < count.min() <= count.max() < 25
    np.testing.assert_array_equal(seen_by, count)
    np.testing.assert_allclose(means, total / count[:, None], atol=1e-12)


def test_a_row_depends_on_nothing_but_itself():
    trees, _, _ = grown()
    whole = mean_leaves(TABLE, trees)
    alone = np.concatenate([mean_leaves(TABLE[i : i + 1], trees) for i in range(60)])
    np.testing.assert_array_equal(whole, alone)
