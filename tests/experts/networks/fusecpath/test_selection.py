"""Clusters of tiles over several views, and draws of them."""

import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from pathfuse.errors import InputError
from pathfuse.experts.networks.fusecpath import selection
from pathfuse.experts.networks.fusecpath.selection import SPECTRAL_MOST, cluster, draw

DIMS = (5, 9, 7)
METHODS = ("kmeans", "spectral")

every_method = pytest.mark.parametrize("method", METHODS)


def planted(n_tiles, n_groups, dims=DIMS, seed=0, noise=0.3):
    """Views of tiles in groups, and the group of each tile. Scales differ from view to view and
    column to column."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(n_tiles) % n_groups)
    views = []
    for dim in dims:
        tiles = rng.normal(size=(n_groups, dim))[groups] + noise * rng.normal(size=(n_tiles, dim))
        views.append((tiles * rng.uniform(0.1, 100, dim) + 5).astype(np.float32))
    return views, groups


@every_method
def test_planted_groups_are_found(method):
    views, groups = planted(240, 6)
    labels = cluster(views, 6, method=method)
    assert adjusted_rand_score(groups, labels) == 1.0


def test_views_join_forces():
    """View 1 tells three pairs of groups apart, view 2 the two groups of a pair."""
    groups = planted(240, 6)[1]
    rng = np.random.default_rng(1)
    first = (rng.normal(size=(3, 8))[groups // 2] + 0.15 * rng.normal(size=(240, 8))).astype(
        np.float32
    )
    second = (rng.normal(size=(2, 8))[groups % 2] + 0.15 * rng.normal(size=(240, 8))).astype(
        np.float32
    )
    both = adjusted_rand_score(groups, cluster([first, second], 6))
    assert both > 0.95
    assert max(adjusted_rand_score(groups, cluster([one], 6)) for one in (first, second)) < 0.7


def test_each_view_has_an_equal_say():
    """As computed with plain numpy: standardised, principal components, total variance 1."""
    views, _ = planted(80, 4)
    _, joint = selection._clustered(views, 4, 3, "kmeans", 0)
    for view, block in zip(views, joint.blocks, strict=True):
        scaled = (view - view.mean(axis=0, dtype=float)) / view.std(axis=0, dtype=float)
        left, size, _ = np.linalg.svd(scaled, full_matrices=False)
        wanted = left[:, :3] * size[:3]
        wanted /= np.sqrt(wanted.var(axis=0).sum())
        np.testing.assert_allclose(np.abs(block), np.abs(wanted), atol=1e-4)


@every_method
def test_the_order_of_tiles_does_not_matter(method):
    views, _ = planted(150, 9, noise=1.0)
    views[1][::7] = np.nan
    views[0][3] = views[0][11]
    order = np.random.default_rng(3).permutation(150)
    labels = cluster(views, 12, pca=4, method=method, seed=5)
    np.testing.assert_array_equal(
        cluster([v[order] for v in views], 12, 4, method, 5), labels[order]
    )


@every_method
def test_the_same_seed_gives_the_same_labels(method):
    views, _ = planted(150, 9, noise=1.0)
    first = cluster(views, 12, method=method, seed=1)
    np.testing.assert_array_equal(cluster(views, 12, method=method, seed=1), first)
    if method == "kmeans":  # the spectral labels hardly depend on it
        assert (cluster(views, 12, method=method, seed=2) != first).any()


def test_numbers_have_no_gap_and_the_largest_cluster_is_first():
    labels = cluster(planted(500, 9, noise=1.0)[0], 20)
    sizes = np.bincount(labels)
    assert len(sizes) == 20
    assert (sizes > 0).all()
    assert (np.diff(sizes) <= 0).all()


@every_method
def test_fewer_tiles_than_clusters(method):
    views, _ = planted(7, 7)
    assert sorted(cluster(views, 50, method=method)) == list(range(7))
    assert cluster([view[:1] for view in views], 50, method=method).tolist() == [0]
    assert sorted(cluster([view[:2] for view in views], 50, method=method)) == [0, 1]


@every_method
@pytest.mark.parametrize("n_clusters", [1, 2, 11, 12])
def test_hardly_more_tiles_than_clusters(method, n_clusters):
    labels = cluster(planted(13, 13)[0], n_clusters, method=method)
    assert sorted(set(labels.tolist())) == list(range(n_clusters))


@every_method
def test_equal_tiles_share_a_cluster(method):
    views, _ = planted(5, 5)
    doubled = [np.concatenate([view, view, view]) for view in views]
    labels = cluster(doubled, 50, method=method)
    assert labels.max() == 4
    np.testing.assert_array_equal(labels[:5], labels[5:10])
    same = [np.ones((9, 4), dtype=np.float32)]
    assert cluster(same, 3, method=method).tolist() == [0] * 9


def test_one_view_and_a_view_that_says_nothing():
    views, groups = planted(120, 4)
    assert adjusted_rand_score(groups, cluster(views[1:2], 4)) == 1.0
    flat = np.full((120, 3), 2.5, dtype=np.float32)
    assert adjusted_rand_score(cluster(views, 4), cluster([*views, flat], 4)) == 1.0


@every_method
def test_absent_tiles_join_those_that_they_resemble(method):
    views, groups = planted(400, 8)
    rng = np.random.default_rng(0)
    views[0][rng.random(400) < 0.3] = np.nan
    gone = rng.random(400) < 0.3
    views[1][gone] = np.nan
    assert adjusted_rand_score(groups, cluster(views, 8, method=method)) > 0.97
    views[2][:] = np.nan  # a whole view; some tiles may now be nowhere
    views[0][gone] = planted(400, 8)[0][0][gone]
    assert adjusted_rand_score(groups, cluster(views, 8, method=method)) > 0.97


def test_no_tile_has_all_views():
    views, groups = planted(200, 4, dims=(6, 6))
    views[0][:140], views[1][140:] = np.nan, np.nan
    labels = cluster(views, 4)
    assert set(labels.tolist()) <= set(range(4))
    assert adjusted_rand_score(groups[:140], labels[:140]) > 0.4


@pytest.mark.parametrize(
    ("views", "options", "says"),
    [
        ([], {}, "no view"),
        ([np.zeros((0, 3))], {}, "no tile"),
        ([np.zeros((2, 3)), np.zeros((3, 3))], {}, "2, 3 tiles"),
        ([np.array([[1.0], [np.nan]]), np.array([[2.0], [np.nan]])], {}, "tile 1 has no features"),
        ([np.zeros((2, 3))], {"n_clusters": 0}, "0 clusters"),
        ([np.zeros((SPECTRAL_MOST + 1, 1))], {"method": "spectral"}, "4001 tiles are too many"),
    ],
)
def test_bad_input(views, options, says):
    with pytest.raises(InputError, match=says):
        cluster([view.astype(np.float32) for view in views], **options)


def test_a_large_slide_takes_less_than_a_minute():
    views, _ = planted(15_000, 60, dims=(64, 96, 128), noise=2.0)
    start = time.perf_counter()
    labels = cluster(views)
    draw(labels, 10, np.random.default_rng(0))
    assert time.perf_counter() - start < 60
    assert labels.max() == 49


def test_draws():
    labels = np.array([1, 0, 1, 0, 2, 1, 1, 0, 1])
    drawn = draw(labels, 3, np.random.default_rng(0))
    of = labels[drawn]
    assert of.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert drawn[:3].tolist() == [1, 3, 7]
    assert drawn[6] == 4
    assert len(set(drawn.tolist())) == 7
    assert all(np.diff(drawn[of == c]).min(initial=1) > 0 for c in range(3))


def test_draws_are_uniform():
    labels = np.array([0] * 4 + [1] * 5)
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([draw(labels, 2, rng) for _ in range(4000)]), minlength=9)
    np.testing.assert_allclose(counts / 4000, [2 / 4] * 4 + [2 / 5] * 5, atol=0.04)


@pytest.mark.slow
def test_selection_needs_no_torch():
    code = "import sys; import pathfuse.experts.networks.fusecpath.selection; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("holes", [False, True])
def test_large_slides_are_placed_by_a_part_of_their_tiles(monkeypatch, holes):
    """In any order of the rows, and with tiles that a view lacks."""
    monkeypatch.setattr(selection, "LEARNED_FROM", 100)
    monkeypatch.setattr(selection, "BLOCK", 70)
    views, groups = planted(300, 5)
    if holes:
        views[1][::7] = np.nan
    labels = cluster(views, 5)
    assert adjusted_rand_score(groups, labels) == 1.0
    order = np.random.default_rng(3).permutation(300)
    assert cluster([view[order] for view in views], 5).tolist() == labels[order].tolist()
