"""The cluster of each tile of a unit, kept as indices, and the tiles that an epoch or a draw takes
of them.
"""

import hashlib
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from pathfuse.costs import tallied
from pathfuse.experts.batches import BagReader, FeatureScale, Tiles
from pathfuse.experts.cohort import Unit
from pathfuse.experts.networks.fusecpath.selection import cluster, draw
from pathfuse.experts.recipe import FuseCPathRecipe
from pathfuse.features.folder import FeatureFolder
from pathfuse.files.temporary import replacing
from pathfuse.types import Index


class Clusters:
    """Clusters of every unit's tiles, found once: in memory, and in a folder that all models of an
    expert share.

    Args:
        folder: Features of one encoder or of several.
        recipe: Number of clusters, method and seed.
        place: Where labels are kept; None: in memory alone.
    """

    def __init__(
        self, folder: FeatureFolder, recipe: FuseCPathRecipe, place: Path | None = None
    ) -> None:
        self.folder, self.recipe, self.place = folder, recipe, place
        self.known: dict[tuple[str, ...], Index] = {}

    def labels(self, unit: Unit) -> Index:
        """Int, (tile,): cluster of each of a unit's tiles, from 0."""
        if unit.slides not in self.known:
            file = None if self.place is None else self.place / f"{_code(unit)}.npy"
            if file is not None and file.exists():
                self.known[unit.slides] = np.load(file)
            else:
                self.known[unit.slides] = self.find(unit)
                if file is not None:
                    _keep(self.known[unit.slides], file)
        return self.known[unit.slides]

    def find(self, unit: Unit) -> Index:
        """``labels``, from the features."""
        parts = [self.folder.read(name) for name in unit.slides]
        bag = parts[0] if len(parts) == 1 else np.concatenate(parts)
        edges = np.cumsum([0, *self.folder.views.values()]).tolist()
        views = [bag[:, start:end] for start, end in pairwise(edges)]
        recipe = self.recipe
        return cluster(
            views, recipe.clusters, recipe.view_components, recipe.clustering, recipe.seed
        )


class ClusteredReader(BagReader):
    """Reads some tiles of each cluster: new ones for every epoch, fixed ones for each draw of a
    prediction.
    """

    def __init__(
        self,
        folder: FeatureFolder,
        cache_mb: int,
        scale: FeatureScale | None,
        clusters: Clusters,
        masks: bool = False,
    ) -> None:
        super().__init__(folder, cache_mb, scale, masks)
        self.clusters, self.draws, self.draw = clusters, clusters.recipe.draws, 0

    def drawing(self, draw: int) -> Self:
        """The reader of one of the ``draws``; it shares what is kept."""
        other = type(self)(self.folder, 0, self.scale, self.clusters)
        other.fill, other.room, other.kept, other.draw = self.fill, self.room, self.kept, draw
        return other

    def count(self, unit: Unit, max_tiles: int | None = None) -> int:
        """See ``BagReader``; what is drawn does not depend on ``max_tiles``."""
        recipe = self.clusters.recipe
        return min(sum(self.sizes(unit)), recipe.clusters * recipe.per_cluster)

    def take(
        self, unit: Unit, max_tiles: int | None = None, rng: np.random.Generator | None = None
    ) -> Tiles:
        """Some tiles of each cluster, and their clusters."""
        labels = self.clusters.labels(unit)
        chosen = draw(
            labels, self.clusters.recipe.per_cluster, self._fixed(unit) if rng is None else rng
        )
        order = np.sort(chosen)  # as they lie in the file
        return Tiles(self.rows(unit, order), labels[order])

    def preparing_flops(self, unit: Unit) -> int:
        """Operations of clustering a unit's tiles, found by doing it again."""
        with tallied() as tally:
            self.clusters.find(unit)
        return tally.flops

    def _fixed(self, unit: Unit) -> np.random.Generator:
        """Of a draw: the same for a slide in whatever company."""
        return np.random.default_rng(
            [self.clusters.recipe.seed, self.draw, zlib.crc32("\0".join(unit.slides).encode())]
        )


def cluster_table(clusters: Clusters, units: Sequence[Unit]) -> pl.DataFrame:
    """``slide_id, tile, cluster``: every tile of some units, tiles numbered from 0 as the slide's
    features are read.

    Clusters are numbered within a unit: slides that are one bag share them.
    """
    slides, tiles, labels = [], [], []
    for unit in units:
        labels.append(clusters.labels(unit))
        for name in unit.slides:
            n = clusters.folder.slides[name].n_tiles
            slides += [name] * n
            tiles.append(np.arange(n))
    columns = {"slide_id": slides, "tile": np.concatenate(tiles), "cluster": np.concatenate(labels)}
    return pl.DataFrame(columns).sort("slide_id", "tile")


def _code(unit: Unit) -> str:
    return hashlib.sha256("\0".join(unit.slides).encode()).hexdigest()[:24]


def _keep(labels: Index, file: Path) -> None:
    """Written to a temporary name, then renamed: workers may find the same labels at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as partial, partial.open("wb") as stream:
        np.save(stream, labels, allow_pickle=False)
