"""eva's embeddings (docs/design/formats.md, section 5): ``manifest.csv`` next to ``.pt`` files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats import pt
from pathfuse.features.formats.base import Header, Store, UnusableError
from pathfuse.files.tables import Table, text_column
from pathfuse.types import Bag, Index

MANIFEST = "manifest.csv"
NEEDED = {"origin", "embeddings"}


def recognises(table: Table) -> bool:
    """Whether a table is eva's manifest."""
    return set(table.frame.columns) >= NEEDED


class EvaStore(Store):
    """The slides of a manifest: by ``wsi_id``, whose rows are stacked in their order, or else by
    ``origin``.

    A file that several rows of one slide name is read once.
    """

    def __init__(self, folder: Path, manifest: Table) -> None:
        self.manifest = folder / MANIFEST
        self.by_slide = "wsi_id" in manifest.frame.columns
        key = "wsi_id" if self.by_slide else "origin"
        found: dict[str, list[Path]] = {}
        pairs = zip(text_column(manifest, key), text_column(manifest, "embeddings"), strict=True)
        for row, (name, file) in enumerate(pairs):
            if name is None or file is None:
                column = key if name is None else "embeddings"
                raise InputError(f"{manifest.source}, column '{column}': row {row + 1} is empty")
            files = found.setdefault(name, [])
            if folder / file not in files:
                files.append(folder / file)
            if len(files) > 1 and not self.by_slide:
                raise InputError(
                    f"{manifest.source}, column 'origin': '{name}' occurs twice, and there is no wsi_id"
                )
        self.paths = {name: tuple(files) for name, files in found.items()}

    def header(self, name: str) -> Header:
        """See ``Store``."""
        parts = [pt.header(path) for path in self.paths[name]]
        dims = sorted({part.dim for part in parts})
        if len(dims) > 1:
            raise UnusableError(f"its files have {dims[0]} and {dims[1]} dimensions")
        granularity = "tile" if self.by_slide else parts[0].granularity
        dtype = "+".join(sorted({part.dtype for part in parts}))
        return Header(sum(part.n_tiles for part in parts), dims[0], granularity, dtype, "eva")

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """See ``Store``."""
        values = np.concatenate([pt.read(path, None) for path in self.paths[name]])
        return values if rows is None else values[rows]

    def stored(self, name: str) -> Bag:
        """See ``Store``."""
        parts = [pt.stored(path) for path in self.paths[name]]
        return np.concatenate(parts)  # of float16 and float32 files float32

    def chunks(self, name: str) -> Iterator[Bag]:
        """See ``Store``."""
        return (chunk for path in self.paths[name] for chunk in pt.chunks(path))

    def files(self) -> set[Path]:
        """See ``Store``."""
        return super().files() | {self.manifest}
