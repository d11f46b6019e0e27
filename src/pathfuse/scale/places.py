"""Where each expert's Parquet files are; nothing is read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pathfuse.errors import InputError

SUFFIX = ".parquet"
Places: TypeAlias = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[Path]]
"""One place or several; or by expert its file, its folder or its files."""


class NotParquetError(InputError):
    """A place does not hold Parquet files alone."""


def parquet_files(places: Places, experts: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """The files of each expert.

    An expert is a file ``<expert>.parquet``, or a folder of that name with any number of files;
    either may lie in a folder that is given.

    Args:
        places: What is given.
        experts: Names that are expected: a folder that is called as one of them is that expert's.

    Returns:
        By expert, sorted.

    Raises:
        NotParquetError: A place holds something else, or nothing.
        InputError: Two places are of one expert.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for name, files in _each(places, experts):
        if name in found:
            raise InputError(
                f"two experts have the name '{name}': {found[name][0]} and {files[0]}; give one "
                "folder with all of its files"
            )
        found[name] = files
    if not found:
        raise NotParquetError(f"no Parquet file is in {places}")
    return dict(sorted(found.items()))


def given_places(places: Places) -> list[Path]:
    """All files and folders that are given, one by one."""
    if isinstance(places, str | Path):
        return [Path(places)]
    several = places.values() if isinstance(places, Mapping) else places
    found = []
    for one in several:
        found += [_path(place) for place in (one if isinstance(one, list | tuple) else [one])]
    return found


def _each(places: Places, experts: Sequence[str]) -> Iterable[tuple[str, tuple[Path, ...]]]:
    if isinstance(places, Mapping):
        for name, place in places.items():
            own = place if isinstance(place, list | tuple) else [place]
            yield name, tuple(file for one in own for file in _files_at(_path(one)))
        return
    several = [places] if isinstance(places, str | Path) else places
    for place in map(_path, several):
        if not place.is_dir():
            yield place.stem, _files_at(place)
            continue
        inside = [one for one in place.iterdir() if _shown(one)]
        files = sorted(one for one in inside if not one.is_dir())
        if place.name in experts and not {file.stem for file in files} & set(experts):
            yield place.name, _files_at(place)
            continue
        for one in sorted(inside):
            yield one.name if one.is_dir() else one.stem, _files_at(one)


def _path(place: object) -> Path:
    if not isinstance(place, str | Path):
        raise NotParquetError(
            f"predictions that are read in blocks are files and folders, not {type(place).__name__}"
        )
    return Path(place)


def _files_at(place: Path) -> tuple[Path, ...]:
    """The Parquet files of one expert.

    Raises:
        NotParquetError: Something else is there, or nothing: what is passed over would be missing.
    """
    if not place.exists():
        raise NotParquetError(f"{place} does not exist")
    files = sorted(one for one in place.iterdir() if _shown(one)) if place.is_dir() else [place]
    for file in files:
        if file.is_dir():
            raise NotParquetError(
                f"{file} is a folder inside the folder of an expert: its files must lie side by side"
            )
        if not file.exists():
            raise NotParquetError(f"{file} is a link to nothing")
        if file.suffix.lower() != SUFFIX:
            raise NotParquetError(f"{file} is not Parquet, and only that is read in blocks")
    if not files:
        raise NotParquetError(f"the folder {place} holds no Parquet file")
    return tuple(files)


def _shown(path: Path) -> bool:
    """Not what is hidden, being written, or about the files, such as ``_SUCCESS``."""
    return not path.name.startswith((".", "_"))
