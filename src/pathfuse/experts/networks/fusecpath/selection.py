"""Which tiles of a slide FuseCPath reads: clusters that several encoders agree on, and some tiles
of each.

FuseCPath, arXiv 2510.27237, section 3.1; docs/design/fusecpath.md, section 7.1. A selection is row
numbers, never copies of features. The partition depends on the tiles and the seed, not on the order
of the rows: rows are sorted by a digest of their content before anything else.
"""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Int
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import StandardScaler

from pathfuse.costs import add_flops, pca_flops
from pathfuse.errors import InputError

Method: TypeAlias = Literal["kmeans", "spectral"]
View: TypeAlias = Float32[np.ndarray, "tile _"]
"""One encoder's tiles; a row of NaN where it has no such tile."""
Labels: TypeAlias = Int[np.ndarray, " tile"]
"""The cluster of each tile: 0 to k-1 without gaps, the largest cluster first."""

SPECTRAL_MOST = 4000
"""Tiles above which spectral clustering is refused: that many take half a minute, and the cost is
cubic."""
NEIGHBOURS = 10
"""Of a tile in the affinity of one view, as published."""
STARTS = 3
"""Of k-means; the best counts."""
LEARNED_FROM = 20_000
"""Tiles that principal components and centres of k-means are found on, at most. All tiles of a
larger slide are placed by them. Which tiles these are, the digests of their content decide: as good
as a random draw, and the same in any order of the rows."""
BLOCK = 8192
"""Tiles that are projected at once."""
ROUNDS = 10
"""Of k-means once more where tiles lack views; see ``_k_means``."""


class Joint(NamedTuple):
    """The tiles of a slide in the coordinates that are clustered."""

    blocks: list[Float32[np.ndarray, "tile _"]]
    """One per view, each with a summed variance of 1 (of 0 if all its tiles are equal); 0 where
    absent."""
    present: Bool[np.ndarray, "tile view"]
    """False where the view has no such tile."""
    content: Int[np.ndarray, " tile"]
    """Equal for equal tiles."""


def cluster(
    views: Sequence[View],
    n_clusters: int = 50,
    pca: int = 64,
    method: Method = "kmeans",
    seed: int = 0,
) -> Labels:
    """Clusters the tiles of one slide by all views together.

    Each view is standardised, reduced by PCA, and scaled to a summed variance of 1, so that each
    has an equal say. ``kmeans`` clusters the concatenation. A tile that a view lacks is placed by
    the views that it has. ``spectral`` clusters the sum of the views' nearest-neighbour affinities.

    Args:
        views: One or more of the same tiles in the same order. NaN rows mark absent tiles; each
            tile is in some view.
        n_clusters: At most; there are never more than distinct tiles.
        pca: Components per view, at most.
        method: ``kmeans`` or ``spectral``.
        seed: Sets everything that is random.

    Returns:
        Int, (tile,): 0 to k-1 without gaps. Same tiles and seed, same partition and same numbers,
        in any row order.

    Raises:
        InputError: There is no view, no tile, a tile in no view, views of unequal length, a number
            that makes no sense, or too many tiles for spectral clustering (``SPECTRAL_MOST``).
    """
    return _clustered(views, n_clusters, pca, method, seed)[0]


def draw(labels: Labels, per_cluster: int, rng: np.random.Generator) -> Int[np.ndarray, " drawn"]:
    """Draws tiles of each cluster without replacement, at random.

    Args:
        labels: Of ``cluster``.
        per_cluster: Tiles of each cluster; a smaller cluster gives all that it has.
        rng: Sets the draw.

    Returns:
        Int, (n,): tiles, sorted by cluster, then by tile.
    """
    order = np.lexsort((rng.random(len(labels)), labels))
    ordered = labels[order]
    rank = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    drawn = np.sort(order[rank < per_cluster])
    return drawn[np.argsort(labels[drawn], kind="stable")]


def _clustered(
    views: Sequence[View], n_clusters: int, pca: int, method: Method, seed: int
) -> tuple[Labels, Joint]:
    """The labels, and the coordinates in the order of the rows."""
    present = _checked(views, n_clusters, pca, method)
    content = _contents(views, present)
    order = np.argsort(content, kind="stable")
    blocks = [
        _block(view, order[here[order]], pca, seed)[order]
        for view, here in zip(views, present.T, strict=True)
    ]
    joint = Joint(blocks, present[order], content[order])
    if content.max() < n_clusters:
        found = joint.content
    else:
        found = (_k_means if method == "kmeans" else _spectral)(joint, n_clusters, seed)
    back = np.argsort(order)
    return _numbered(found)[back], Joint([block[back] for block in blocks], present, content)


def _checked(
    views: Sequence[View], n_clusters: int, pca: int, method: Method
) -> Bool[np.ndarray, "tile view"]:
    """Which view has which tile."""
    if not views:
        raise InputError("there is no view to cluster tiles by")
    lengths = [len(view) for view in views]
    if len(set(lengths)) > 1:
        raise InputError(
            f"the views have {', '.join(map(str, lengths))} tiles, but they must be the same tiles"
        )
    if lengths[0] == 0:
        raise InputError("there is no tile to cluster")
    if n_clusters < 1 or pca < 1:
        raise InputError(f"{n_clusters} clusters and {pca} components: both must be at least 1")
    if method == "spectral" and lengths[0] > SPECTRAL_MOST:
        raise InputError(
            f"{lengths[0]} tiles are too many for spectral clustering (at most {SPECTRAL_MOST}); use 'kmeans'"
        )
    present = np.stack([~np.isnan(view).any(axis=1) for view in views], axis=1)
    nowhere = np.flatnonzero(~present.any(axis=1))
    if len(nowhere):
        raise InputError(f"tile {nowhere[0]} has no features in any view")
    return present


def _contents(
    views: Sequence[View], present: Bool[np.ndarray, "tile view"]
) -> Int[np.ndarray, " tile"]:
    """Numbers the tiles by their content alone, whatever the order of the rows.

    Equal tiles have the same number.
    """
    digests = []
    for tile, here in enumerate(present):
        digest = hashlib.blake2b(here.tobytes(), digest_size=16)
        for view, has in zip(views, here, strict=True):
            if has:
                digest.update(np.ascontiguousarray(view[tile]).data)
        digests.append(digest.hexdigest())
    return np.unique(digests, return_inverse=True)[1]


def _block(
    view: View, known: Int[np.ndarray, " known"], pca: int, seed: int
) -> Float32[np.ndarray, "tile _"]:
    """One view's coordinates, 0 where it is absent.

    Args:
        view: Of all tiles.
        known: The tiles that it has, in the order of their digests.
        pca: Components at most.
        seed: Of the components.
    """
    learned = view[known[:LEARNED_FROM]].astype(np.float32, copy=False)
    if len(learned) == 0 or not (learned != learned[0]).any():
        return np.zeros((len(view), 1), dtype=np.float32)  # nothing to tell tiles apart by
    scaler = StandardScaler().fit(learned)
    scaled = scaler.transform(learned)
    model = PCA(min(pca, *scaled.shape), random_state=seed)
    kept = model.fit_transform(scaled)
    add_flops(pca_flops(scaled.shape, kept.shape[1]))
    block = np.zeros((len(view), kept.shape[1]), dtype=np.float32)
    spread = np.sqrt(kept.var(axis=0).sum())
    block[known[:LEARNED_FROM]] = kept / spread
    for start in range(LEARNED_FROM, len(known), BLOCK):
        rows = known[start : start + BLOCK]
        block[rows] = model.transform(scaler.transform(view[rows])) / spread
        add_flops(2 * view.shape[1] * kept.shape[1] * len(rows))
    return block


def _k_means(joint: Joint, n_clusters: int, seed: int) -> Labels:
    """K-means over the coordinates that each tile has (the objective of k-POD, Chi, Chi and
    Baraniuk 2016).

    Starts from the tiles that have all views of the slide: what tiles lack is nothing to cluster
    them by.
    """
    tiles, of_slide = np.hstack(joint.blocks), joint.present.any(axis=0)
    whole = np.flatnonzero(joint.present[:, of_slide].all(axis=1))
    complete = len(whole) == len(tiles)
    if len(np.unique(joint.content[whole])) < n_clusters:
        whole = np.arange(len(tiles))
    with warnings.catch_warnings():  # tiles that differ only where PCA does not look
        warnings.simplefilter("ignore", ConvergenceWarning)
        learned = tiles[whole[:LEARNED_FROM]]
        model = KMeans(n_clusters, n_init=STARTS, max_iter=100, random_state=seed).fit(learned)
    add_flops(2 * learned.size * n_clusters * STARTS * model.n_iter_)
    if complete and len(learned) == len(tiles):
        return model.labels_
    seen = np.repeat(joint.present, [block.shape[1] for block in joint.blocks], axis=1).astype(
        np.float32
    )
    centres = model.cluster_centers_
    for _ in range(0 if complete else ROUNDS):
        of = (_nearest(tiles, seen, centres)[:, None] == np.arange(n_clusters)).astype(np.float32)
        n_seen = of.T @ seen
        centres = np.where(n_seen > 0, of.T @ tiles / np.maximum(n_seen, 1), centres)
    return _nearest(tiles, seen, centres)


def _nearest(
    tiles: Float32[np.ndarray, "tile dim"],
    seen: Float32[np.ndarray, "tile dim"],
    centres: Float32[np.ndarray, "cluster dim"],
) -> Int[np.ndarray, " tile"]:
    """The nearest centre of each tile in the coordinates that it has.

    ``tiles`` are 0 in the others.
    """
    return np.argmin(seen @ (centres**2).T - 2 * tiles @ centres.T, axis=1)


def _spectral(joint: Joint, n_clusters: int, seed: int) -> Labels:
    """Spectral clustering of the sum of the views' affinities.

    An absent tile has no neighbour in that view.
    """
    n = len(joint.present)
    affinity = np.zeros((n, n), dtype=np.float32)
    for block, here in zip(joint.blocks, joint.present.T, strict=True):
        known = np.flatnonzero(here)
        if block.any():  # else the tiles have no neighbours that say anything
            near = kneighbors_graph(
                block[known], min(NEIGHBOURS, len(known)), include_self=True
            ).toarray()
            affinity[np.ix_(known, known)] += (near + near.T) / 2
    model = SpectralClustering(
        n_clusters, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
    )
    with warnings.catch_warnings():  # islands of tiles are clusters, not a fault
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        return model.fit(affinity).labels_


def _numbered(found: Labels) -> Labels:
    """Labels without gaps: the largest cluster first, then the one that comes first."""
    _, first, inverse, count = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    return np.argsort(np.lexsort((first, -count)))[inverse]
