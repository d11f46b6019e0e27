"""Folders with one feature file per slide: TRIDENT, CLAM, STAMP, slideflow, LazySlide, and whoever
else writes HDF5, PyTorch, NumPy or AnnData files.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pathfuse.features.formats import anndata, h5, npy, pt
from pathfuse.features.formats.base import Coords, Header, Store
from pathfuse.types import Bag, Index


class Reader(Protocol):
    """The module of one kind of file; ``layer`` is that of a model whose layers a file holds."""

    def header(self, path: Path, layer: int | None, /) -> Header:
        """Shape and kind; raises ``UnusableError``."""

    def read(self, path: Path, rows: Index | None, layer: int | None, /) -> Bag:
        """All rows, or those asked for."""

    def stored(self, path: Path, layer: int | None, /) -> Bag:
        """All rows, float16 where the file has it."""

    def chunks(self, path: Path, layer: int | None, /) -> Iterator[Bag]:
        """All rows, a part at a time."""

    def read_coords(self, path: Path, layer: int | None, /) -> Coords | None:
        """Where the tiles lie."""


COMMON: Mapping[str, Reader] = {**dict.fromkeys(h5.SUFFIXES, h5), pt.SUFFIX: pt}
"""By suffix; of two files of one slide the earlier suffix wins."""
FURTHER: Mapping[str, Reader] = {npy.SUFFIX: npy, anndata.SUFFIX: anndata, anndata.ZARR: anndata}
"""Only where a folder has none of the common ones, next to which they mean other things."""
READERS: Mapping[str, Reader] = {**COMMON, **FURTHER}
FOLDERS = (anndata.ZARR,)
"""Suffixes of what is a folder, and counts as one file."""


class FileStore(Store):
    """One file per slide, of a kind that its suffix tells."""

    def __init__(self, files: Mapping[str, Path], layer: int | None = None) -> None:
        self.paths = {name: (path, *_others(path)) for name, path in files.items()}
        self.layer = layer

    def _at(self, name: str) -> tuple[Reader, Path]:
        path = self.paths[name][0]
        return READERS[path.suffix.lower()], path

    def header(self, name: str) -> Header:
        """See ``Store``."""
        reader, path = self._at(name)
        return reader.header(path, self.layer)

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """See ``Store``."""
        reader, path = self._at(name)
        return reader.read(path, rows, self.layer)

    def stored(self, name: str) -> Bag:
        """See ``Store``."""
        reader, path = self._at(name)
        return reader.stored(path, self.layer)

    def chunks(self, name: str) -> Iterator[Bag]:
        """See ``Store``."""
        reader, path = self._at(name)
        return reader.chunks(path, self.layer)

    def coords(self, name: str) -> Coords | None:
        """See ``Store``; the header says whether there are any."""
        reader, path = self._at(name)
        return reader.read_coords(path, self.layer)


def _others(path: Path) -> list[Path]:
    """What belongs to a feature file in addition: slideflow's index, or what lies in a zarr folder."""
    if path.suffix.lower() in FOLDERS:
        return sorted(file for file in path.rglob("*") if file.is_file())
    index = pt.index_of(path) if path.suffix.lower() == pt.SUFFIX else None
    return [] if index is None else [index]
