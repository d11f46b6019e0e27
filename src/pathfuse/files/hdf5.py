"""HDF5 that is read with limits: what a file reaches for outside itself, and what it claims against what it
holds. Nothing here needs h5py before a file is open.
"""

import math
from pathlib import Path
from typing import Any

MOST_LINKS = 10_000
"""A file of features has a few; each is looked at."""
MOST_RATIO = 1000
"""Claimed bytes for one that is stored. Numbers of an encoder shrink to a half; only what is one value
throughout, or was never written, comes near."""
SMALL_BYTES = 2**27
"""So much may be claimed in any case: an array of zeros is no attack."""
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises over a damaged object, which then is of no use."""


class Hdf5Error(ValueError):
    """What is wrong with a file, as half a sentence that begins with ``it`` or ``its``."""


def check_reach(file: Any, path: Path) -> None:
    """Refuses what reads other files: a file that says so could show any file of this computer.

    Links and virtual datasets may lead to files in the folder of the file itself.

    Args:
        file: The file, open.
        path: Where it is.

    Raises:
        Hdf5Error: It leads elsewhere, keeps numbers in a file that is no HDF5, or has too many
            links.
    """
    _check_reach(file, path.parent.resolve(), {path.resolve()})


def check_claim(item: Any, what: str) -> None:
    """Refuses a dataset that unpacks to far more than is stored of it, before it is read.

    Args:
        item: A dataset of HDF5, or an array of zarr.
        what: What it is, in sentences, such as ``features``.

    Raises:
        Hdf5Error: With what it claims and what there is.
    """
    shape = item.shape or ()
    chunk = getattr(item, "chunks", None) or ()
    claimed = max(math.prod(shape), math.prod(chunk)) * item.dtype.itemsize
    if claimed <= SMALL_BYTES:
        return
    stored = _stored(item)
    if claimed > MOST_RATIO * stored:
        raise Hdf5Error(
            f"its {what} have the shape {tuple(shape)} and unpack to {claimed / 2**20:,.0f} MB, of which "
            f"{stored:,} bytes are stored: more than {MOST_RATIO:,} times as much"
        )


def _stored(item: Any) -> int:
    """The bytes that are stored of a dataset; of a virtual one those of the files behind it."""
    if not hasattr(item, "id"):  # zarr
        found = item.nbytes_stored
        return int(found() if callable(found) else found)
    if not item.is_virtual:
        return int(item.id.get_storage_size())
    own = Path(item.file.filename)
    names = {one.file_name for one in item.virtual_sources()}
    return sum((own if name == "." else own.parent / name).stat().st_size for name in names)


def _check_reach(file: Any, folder: Path, seen: set[Path]) -> None:
    for target in _targets(file, folder):
        if target in seen:
            continue
        seen.add(target)
        import h5py

        with h5py.File(target, "r", locking="best-effort") as other:
            _check_reach(other, folder, seen)


def _targets(file: Any, folder: Path) -> list[Path]:
    """The other files that a file leads to."""
    import h5py

    kinds: dict[bytes, int] = {}

    def seen(name: bytes, about: Any) -> bool | None:
        kinds[name] = about.type
        return True if len(kinds) > MOST_LINKS else None

    file.id.links.visit(seen, info=True)
    if len(kinds) > MOST_LINKS:
        raise Hdf5Error(
            f"it has more than {MOST_LINKS:,} objects, and no file of features has so many"
        )
    found = []
    for name, kind in kinds.items():
        if kind == h5py.h5l.TYPE_EXTERNAL:
            found.append(_inside(folder, file.get(name, getlink=True).filename, "a link"))
        elif kind == h5py.h5l.TYPE_HARD:
            found += _sources(file, name, folder)
    return found


def _sources(file: Any, name: bytes, folder: Path) -> list[Path]:
    """The files that a dataset takes its numbers from."""
    import h5py

    try:
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            return []
        how = item.id.get_create_plist()
        raw = how.get_external(0)[0] if how.get_external_count() else None
        virtual = item.virtual_sources() if how.get_layout() == h5py.h5d.VIRTUAL else []
    except _DAMAGE:
        return []
    if raw is not None:
        raise Hdf5Error(
            f"its dataset '{name.decode(errors='replace')}' keeps its numbers in another file, "
            f"{raw.decode(errors='replace')}, which can be any file of this computer, and is not read: write them into "
            "the file itself"
        )
    names = {one.file_name for one in virtual} - {"."}
    return [_inside(folder, one, "a virtual dataset") for one in sorted(names)]


def _inside(folder: Path, name: str, what: str) -> Path:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder) or not target.is_file():
        raise Hdf5Error(
            f"it has {what} to another file, {name}, which does not lie in its folder, and is not read: copy the "
            "numbers into the file itself, or put that file next to it"
        )
    return target
