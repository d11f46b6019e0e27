"""Features of some of an expert's encoders, as wide as all of them: those that are not given are
masked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pathfuse.features.folder import FeatureFolder
from pathfuse.features.formats.base import Coords, Header, Store
from pathfuse.types import Bag, Index


@dataclass(frozen=True)
class WideFolder(FeatureFolder):
    """A bank with columns of NaN where an encoder is not given."""

    wanted: dict[str, int]

    @property
    def views(self) -> dict[str, int]:
        """Encoder to its dimensions, in the order of the columns."""
        return self.wanted


class WideStore(Store):
    """Puts a narrower store's columns where they belong."""

    def __init__(self, inner: Store, given: Mapping[str, int], wanted: Mapping[str, int]) -> None:
        self.inner, self.paths = inner, inner.paths
        ends = np.cumsum([0, *wanted.values()]).tolist()
        start = dict(zip(wanted, ends, strict=False))
        self.columns = np.concatenate(
            [np.arange(start[name], start[name] + dim) for name, dim in given.items()]
        )
        self.dim = int(ends[-1])

    def header(self, name: str) -> Header:
        """See ``Store``."""
        return self.inner.header(name)

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """See ``Store``."""
        return self._wide(self.inner.read(name, rows))

    def stored(self, name: str) -> Bag:
        """See ``Store``."""
        return self._wide(self.inner.stored(name))

    def chunks(self, name: str) -> Iterator[Bag]:
        """See ``Store``."""
        return (self._wide(bag) for bag in self.inner.chunks(name))

    def coords(self, name: str) -> Coords | None:
        """See ``Store``."""
        return self.inner.coords(name)

    def _wide(self, bag: Bag) -> Bag:
        values = np.full((len(bag), self.dim), np.nan, dtype=bag.dtype)
        values[:, self.columns] = bag
        return values


def widen(folder: FeatureFolder, wanted: Mapping[str, int]) -> FeatureFolder:
    """The folder with a column for every wanted encoder; itself if it has them all.

    Args:
        folder: Features of some of the wanted encoders, each as long as wanted.
        wanted: Encoder to its dimensions, sorted by name.
    """
    if folder.views == dict(wanted) or len(wanted) == 1:
        return folder
    return WideFolder(
        source=folder.source,
        format=folder.format,
        granularity=folder.granularity,
        dim=sum(wanted.values()),
        encoder=None,
        slides=folder.slides,
        broken=folder.broken,
        readings=folder.readings,
        store=WideStore(folder.store, folder.views, wanted),
        wanted=dict(wanted),
    )
