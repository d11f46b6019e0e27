"""Where each expert's Parquet files are; nothing is read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pathfuse.errors import InputError

SUFFIX = ".parquet"
Places: TypeAlias = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[Path]]
"""One place or several; or by expert its file, its folder or its files."""


def parquet_files(places: Places, experts: Sequence[str]) -> dict[str, tuple[Path, ...]] | None:
    """The files of each expert, if all that is given is Parquet.

    An expert is a file ``<expert>.parquet``, or a folder of that name with any number of files;
    either may lie in a folder that is given.

    Args:
        places: What is given.
        experts: Names that are expected: a folder that is called as one of them is that expert's.

    Returns:
        By expert, sorted; None if a place holds something else, or nothing.

    Raises:
        InputError: Two places are of one expert.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for name, files in _each(places, experts):
        if not files or any(file.suffix.lower() != SUFFIX for file in files):
            return None
        if name in found:
            raise InputError(
                f"two experts have the name '{name}': {found[name][0]} and {files[0]}; give one "
                "folder with all of its files"
            )
        found[name] = files
    return dict(sorted(found.items())) or None


def _each(places: Places, experts: Sequence[str]) -> Iterable[tuple[str, tuple[Path, ...]]]:
    if isinstance(places, Mapping):
        for name, place in places.items():
            own = [Path(place)] if isinstance(place, str | Path) else [Path(one) for one in place]
            yield name, tuple(file for one in own for file in ([one], _inside(one))[one.is_dir()])
        return
    for place in [Path(places)] if isinstance(places, str | Path) else map(Path, places):
        if not place.is_dir():
            yield place.stem, (place,)
            continue
        files = _inside(place)
        if place.name in experts and not {file.stem for file in files} & set(experts):
            yield place.name, tuple(files)
            continue
        yield from ((file.stem, (file,)) for file in files)
        for folder in sorted(one for one in place.iterdir() if one.is_dir() and _shown(one)):
            yield folder.name, tuple(_inside(folder))


def _inside(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_file() and _shown(one))


def _shown(path: Path) -> bool:
    """Not what is hidden, being written, or about the files, such as ``_SUCCESS``."""
    return not path.name.startswith((".", "_"))
