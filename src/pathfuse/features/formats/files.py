"""Folders with one feature file per slide: TRIDENT, CLAM, STAMP, and whoever else writes HDF5 or
PyTorch files.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pathfuse.features.formats import h5, pt
from pathfuse.features.formats.base import Coords, Header, Store
from pathfuse.types import Bag, Index


class FileStore(Store):
    """One file per slide, HDF5 or PyTorch by its suffix."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.paths = {name: (path,) for name, path in files.items()}

    def _at(self, name: str) -> tuple[Path, bool]:
        (path,) = self.paths[name]
        return path, path.suffix.lower() == pt.SUFFIX

    def header(self, name: str) -> Header:
        """See ``Store``."""
        path, is_pt = self._at(name)
        return pt.header(path) if is_pt else h5.header(path)

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """See ``Store``."""
        path, is_pt = self._at(name)
        return pt.read(path, rows) if is_pt else h5.read(path, rows)

    def stored(self, name: str) -> Bag:
        """See ``Store``."""
        path, is_pt = self._at(name)
        return pt.stored(path) if is_pt else h5.stored(path)

    def chunks(self, name: str) -> Iterator[Bag]:
        """See ``Store``."""
        path, is_pt = self._at(name)
        return pt.chunks(path) if is_pt else h5.chunks(path)

    def coords(self, name: str) -> Coords | None:
        """See ``Store``; the header says whether there are any."""
        path, is_pt = self._at(name)
        return None if is_pt else h5.read_coords(path)
