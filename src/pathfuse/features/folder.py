"""The features of one encoder: every slide's shape at once, its numbers only when they are asked
for.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats.base import Coords, Header, Store, UnusableError
from pathfuse.features.held import check_held
from pathfuse.features.locate import NoFeaturesError, find_store
from pathfuse.features.moments import Moments, moments_of
from pathfuse.files.digests import file_digest
from pathfuse.types import Bag, Index

__all__ = ["Broken", "Coords", "FeatureFolder", "Slide", "open_folder"]


@dataclass(frozen=True)
class Slide:
    """One slide, or one sample of a table of vectors."""

    name: str
    """Stem of its file, or its folder's name; ``wsi_id`` or ``origin`` of eva; ``sample_id`` of a
    table."""
    path: Path
    """Its file; the first if it has several."""
    n_tiles: int
    """1 for a vector of the whole slide."""
    dtype: str
    """As stored."""
    has_coords: bool = False
    """Whether its tiles have coordinates."""


@dataclass(frozen=True)
class Broken:
    """What could not be used."""

    name: str
    path: Path
    reason: str


@dataclass(frozen=True)
class FeatureFolder:
    """The features of one encoder."""

    source: str
    """The folder or table as given."""
    format: str
    """trident, clam, stamp, slideflow, eva, anndata, pt, npy, vectors, h5 (unknown writer); several
    with ``+`` between them."""
    granularity: str
    """``tile``: a bag per slide; ``slide``: one vector each."""
    dim: int
    encoder: str | None
    """As the files state it."""
    slides: dict[str, Slide]
    """Sorted by name."""
    broken: tuple[Broken, ...]
    """Sorted by name."""
    store: Store = field(repr=False, compare=False)
    """Reads the files."""
    scanned: Moments | None = field(default=None, repr=False, compare=False, kw_only=True)
    """Of every slide, in their order; None where the values were not looked at."""
    digests: dict[Path, str] = field(default_factory=dict, repr=False, compare=False, kw_only=True)
    """SHA-256 of the contents of files, as far as they were needed."""
    readings: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)
    """How files were read where there was a choice, a sentence each."""

    @property
    def constant(self) -> int:
        """Dimensions with one value in every tile of every slide; 0 where values were not looked at
        and of one tile, which says nothing of that.
        """
        if self.scanned is None or self.scanned.n[:, 0].sum() < 2:
            return 0
        return int((self.scanned.low.min(axis=0) == self.scanned.high.max(axis=0)).sum())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What there is to know of features that can be used."""
        if not self.constant:
            return self.readings
        many = f"{self.constant} of {self.dim} dimensions"
        return (
            *self.readings,
            f"{self.source}: {many} have one value in every tile of every slide, and say nothing",
        )

    @property
    def views(self) -> dict[str, int]:
        """The parts that the columns consist of, by name, in their order: of one encoder, one part."""
        return {"features": self.dim}

    def read(self, name: str, rows: Index | None = None) -> Bag:
        """The features of one slide.

        Args:
            name: The slide.
            rows: Int, (row,). Which tiles, in any order; None: all. Of HDF5 only these are read.

        Returns:
            Float32, (tile, dim), in the order of ``rows``.

        Raises:
            InputError: There is no such slide or tile, they are too many to be held, or the file
                has become unreadable.
        """
        slide = self._slide(name)
        if rows is not None:
            rows = np.asarray(rows, dtype=np.int64)
            wrong = rows[(rows < 0) | (rows >= slide.n_tiles)]
            if wrong.size:
                raise InputError(
                    f"{slide.path}: there is no tile {wrong[0]} (counted from 0) of {slide.n_tiles}"
                )
        check_held(slide.n_tiles if rows is None else len(rows), self.dim, str(slide.path))
        try:
            return self.store.read(name, rows)
        except UnusableError as error:
            raise InputError(f"{slide.path}: {error}") from error

    def stored(self, name: str) -> Bag:
        """The features of one slide as they are kept in memory: float16 if the file has that,
        otherwise float32, (tile, dim).

        Raises:
            InputError: There is no such slide, it has more tiles than can be held, or the file has
                become unreadable.
        """
        slide = self._slide(name)
        check_held(slide.n_tiles, self.dim, str(slide.path))
        try:
            return self.store.stored(name)
        except UnusableError as error:
            raise InputError(f"{slide.path}: {error}") from error

    def coords(self, name: str) -> Coords | None:
        """Where the tiles of one slide lie.

        None if its files do not say, or for a vector of the whole slide.

        Raises:
            InputError: There is no such slide, or the file has become unreadable.
        """
        slide = self._slide(name)
        if not slide.has_coords:
            return None
        try:
            return self.store.coords(name)
        except UnusableError as error:
            raise InputError(f"{slide.path}: {error}") from error

    def sha256(self) -> str:
        """A fingerprint: of the names and contents of all files, and of the layer that is read.

        Every file is read once for it, unless that was done when the folder was opened.
        """
        digest, base = hashlib.sha256(), Path(self.source)
        base = base if base.is_dir() else base.parent
        for path in sorted(self.store.files()):
            if path not in self.digests:
                self.digests[path] = _content(path)
            name = Path(os.path.relpath(path, base)).as_posix()
            digest.update(os.fsencode(f"{name}\0{self.digests[path]}\n"))
        if self.store.layer is not None:
            digest.update(f"layer {self.store.layer}\n".encode())
        return digest.hexdigest()

    def _slide(self, name: str) -> Slide:
        if name in self.slides:
            return self.slides[name]
        broken = next((item for item in self.broken if item.name == name), None)
        if broken is not None:
            raise InputError(f"{broken.path}: {broken.reason}")
        raise InputError(f"{self.source} has no slide '{name}'")


def open_folder(
    path: Path,
    *,
    strict: bool = False,
    check_values: bool = True,
    fingerprint: bool = False,
    only: Collection[str] | None = None,
) -> FeatureFolder:
    """Looks at all feature files of one encoder.

    Args:
        path: A folder that TRIDENT, CLAM, STAMP, slideflow or eva wrote, any other folder of HDF5,
            PyTorch, NumPy or AnnData files, or a table (``.csv``, ``.parquet`` ...) with ``sample_id`` and one
            column per dimension. Of files with the layers of a model the last is read, or layer N of
            a path that ends in ``#N``.
        strict: A slide that cannot be used is an error; otherwise it is listed in ``broken``.
        check_values: Look for NaN and infinite values, and note each slide's moments: reads every
            file once, a part at a time.
        fingerprint: Read the contents of every file for ``sha256`` right before its values are
            looked at, so that the disk is read once.
        only: Look at these slides, and at no others.

    Raises:
        NoFeaturesError: There is no feature file that can be used.
        InputError: The folder is missing; two files claim one slide; files differ in dimensions, in
            granularity, or in the encoder that they state.
    """
    store = find_store(path)
    headers: dict[str, Header] = {}
    moments: list[Moments] = []
    digests: dict[Path, str] = {}
    broken: list[Broken] = []
    for name in sorted(store.paths if only is None else set(only) & set(store.paths)):
        file = store.paths[name][0]
        if fingerprint:
            digests |= {one: _content(one) for one in store.paths[name] if one not in digests}
        try:
            header = store.header(name)
            if check_values:
                moments.append(moments_of(_finite(store.chunks(name), header.dtype)))
            headers[name] = header
        except UnusableError as error:
            if strict:
                raise InputError(f"{_shown(file, name)}: {error}") from error
            broken.append(Broken(name, file, str(error)))
    if not headers:
        if not broken:
            raise NoFeaturesError(f"{path}: there are no features of the slides that are asked for")
        first = broken[0]
        raise NoFeaturesError(
            f"{path}: none of its {len(broken)} slides can be used; the first, {_shown(first.path, first.name)}: "
            f"{first.reason}"
        )
    granularity = _granularity(store, headers)
    _check_dims(store, headers)
    slides = {
        name: Slide(
            name, store.paths[name][0], h.n_tiles, h.dtype, h.has_coords and granularity == "tile"
        )
        for name, h in headers.items()
    }
    written_by = "+".join(sorted({h.format for h in headers.values()}))
    dim, encoder = next(iter(headers.values())).dim, _encoder(store, headers)
    return FeatureFolder(
        str(path), written_by, granularity, dim, encoder, slides, tuple(broken), store,
        scanned=Moments.stacked(moments) if check_values else None, digests=digests, readings=_readings(path, headers),
    )  # fmt: skip


def _readings(path: Path, headers: Mapping[str, Header]) -> tuple[str, ...]:
    """What the files' headers note, each with the slides that it is true of."""
    slides: dict[str, list[str]] = {}
    for name, header in headers.items():
        for note in header.notes:
            slides.setdefault(note, []).append(name)
    return tuple(
        f"{path}: {note} ({len(names)} of {len(headers)} slides, the first is '{names[0]}')"
        for note, names in slides.items()
    )


def _content(path: Path) -> str:
    """Digest of a file's content; a word where it cannot be read."""
    try:
        return file_digest(path)
    except InputError:
        return "absent"


def _shown(file: Path, name: str) -> str:
    """The file; with the slide's name where the file's does not tell it."""
    return str(file) if name in (file.stem, file.parent.name) else f"{file}, slide '{name}'"


def _finite(chunks: Iterable[Bag], dtype: str) -> Iterator[Bag]:
    """The parts of a slide; raises ``UnusableError`` at the first NaN or infinite value."""
    start = 0
    for chunk in chunks:
        wrong = ~np.isfinite(chunk)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            what = "NaN" if np.isnan(chunk[row, column]) else "infinite"
            overflow = what == "infinite" and dtype == "float16"
            raise UnusableError(
                f"column {column} of tile {start + row} (both counted from 0) is {what}"
                f"{', as float16 ends at 65504; write the features as float32' if overflow else ''}"
            )
        yield chunk
        start += len(chunk)


def _granularity(store: Store, headers: Mapping[str, Header]) -> str:
    """Of the folder.

    A single row is what the other files are, and a vector of the slide if all are single rows.
    """
    tiles = next((name for name, h in headers.items() if h.granularity == "tile"), None)
    whole = next((name for name, h in headers.items() if h.granularity == "slide"), None)
    if tiles is not None and whole is not None:
        one, other = store.paths[tiles][0], store.paths[whole][0]
        raise InputError(
            f"{one} holds tiles ({headers[tiles].n_tiles} × {headers[tiles].dim}), but {other} one vector of the whole "
            f"slide ({headers[whole].dim}); keep them in different folders"
        )
    return "slide" if tiles is None else "tile"


def _check_dims(store: Store, headers: Mapping[str, Header]) -> None:
    first, *others = headers
    other = next((name for name in others if headers[name].dim != headers[first].dim), None)
    if other is not None:
        raise InputError(
            f"{store.paths[first][0]} has {headers[first].dim} dimensions, but {store.paths[other][0]} has "
            f"{headers[other].dim}; a folder holds the features of one encoder"
        )


def _encoder(store: Store, headers: Mapping[str, Header]) -> str | None:
    stated = {name: h.encoder for name, h in headers.items() if h.encoder is not None}
    if not stated:
        return None
    first, *others = stated
    other = next((name for name in others if stated[name] != stated[first]), None)
    if other is not None:
        raise InputError(
            f"{store.paths[first][0]} is by the encoder '{stated[first]}', but {store.paths[other][0]} by "
            f"'{stated[other]}'; a folder holds the features of one encoder"
        )
    return stated[first]
