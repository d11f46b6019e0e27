"""Where feature files lie, and what their slides are called."""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.features.formats import eva
from pathfuse.features.formats.base import Store
from pathfuse.features.formats.clam import FOLDERS
from pathfuse.features.formats.eva import EvaStore
from pathfuse.features.formats.files import COMMON, READERS, FileStore
from pathfuse.features.formats.files import FOLDERS as FOLDER_SUFFIXES
from pathfuse.features.formats.vectors import VectorStore
from pathfuse.files.names import bare_file_name
from pathfuse.files.special import refuse_special, special_kind
from pathfuse.files.tables import IN_WORDS, read_table, suffix_of

SUFFIXES = tuple(READERS)
"""Of feature files; of two files of one slide the earlier suffix wins."""
PER_SLIDE = "features"
"""Stem of a feature file in its slide's own folder; the slide is then called as the folder."""


def split_layer(path: Path) -> tuple[Path, int | None]:
    """A folder and the layer that is asked for: ``gigapath#11``; None where the name is the whole.

    Examples:
        >>> split_layer(Path("features/gigapath#11"))[1], split_layer(Path("features/uni"))[1]
        (11, None)
    """
    found = re.fullmatch(r"(.+)#(\d+)", path.name)
    if found is None or path.exists():
        return path, None
    return path.with_name(found[1]), int(found[2])


class NoFeaturesError(InputError):
    """A place that holds no features that can be used; later it may."""


def find_store(path: Path) -> Store:
    """The feature files under a folder, or the vectors in a table.

    Raises:
        NoFeaturesError: There are none.
        InputError: The place does not exist, or two files claim one slide.
    """
    path, layer = split_layer(path)
    refuse_special(path)
    if path.is_file():
        if suffix_of(path):
            return VectorStore(path)
        raise InputError(
            f"{path} is one file; give the folder of the features, or a table of vectors ({IN_WORDS})"
        )
    if not path.is_dir():
        raise InputError(f"{path} does not exist")
    manifest = _eva_manifest(path)
    return manifest if manifest is not None else FileStore(_one_per_slide(path), layer)


def encoder_folders(path: Path) -> list[Path]:
    """The folder itself if it is one encoder's, or else its sub-folders with feature files, one
    encoder each.

    Raises:
        InputError: There is no feature file.
    """
    if not path.is_dir() or _eva_manifest(path) is not None:
        return [path]
    inside = _children(path)
    if any(_is_feature_file(child, COMMON) or child.name in FOLDERS for child in inside):
        return [path]
    folders = [
        child
        for child in inside
        if child.is_dir() and not child.name.startswith(".") and not _is_feature_file(child)
    ]
    if any((folder / (PER_SLIDE + suffix)).is_file() for folder in folders for suffix in SUFFIXES):
        return [path]
    found = [folder for folder in folders if next(_feature_files(folder), None) is not None]
    if not found and any(_is_feature_file(child) for child in inside):
        return [path]
    if not found:
        raise InputError(_nothing(path))
    return found


def _eva_manifest(path: Path) -> EvaStore | None:
    """The store of eva's manifest; None if there is none, or a manifest of another kind."""
    if not (path / eva.MANIFEST).is_file():
        return None
    table = read_table(path / eva.MANIFEST)
    return EvaStore(path, table) if eva.recognises(table) else None


def _one_per_slide(path: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    everything = list(_feature_files(path))
    common = [file for file in everything if file.suffix.lower() in COMMON]
    for file in sorted(
        common or everything, key=lambda file: (SUFFIXES.index(file.suffix.lower()), file)
    ):
        name = _name(file, path)
        first = found.setdefault(name, file)
        if _home(first) != _home(file):
            raise InputError(
                f"{path} has two files of the slide '{name}', {first} and {file}; give the folder of one"
            )
    if not found:
        raise NoFeaturesError(_nothing(path))
    return found


def _nothing(path: Path) -> str:
    return f"{path} holds no feature file ({', '.join(SUFFIXES)}, or eva's {eva.MANIFEST})"


def _name(file: Path, root: Path) -> str:
    own_folder = file.stem == PER_SLIDE and file.parent != root and file.parent.name not in FOLDERS
    return bare_file_name(file.parent.name if own_folder else file.name)


def _home(file: Path) -> Path:
    """CLAM's two folders hold the same slides twice, in two kinds of file."""
    return file.parent.parent if file.parent.name in FOLDERS else file.parent


def _is_feature_file(file: Path, suffixes: Collection[str] = SUFFIXES) -> bool:
    suffix = file.suffix.lower()
    if suffix not in suffixes or file.name.startswith("."):
        return False
    if suffix in FOLDER_SUFFIXES:
        return file.is_dir()
    return file.is_file() or special_kind(file) is not None  # which is named as one that is no use


def _feature_files(path: Path) -> Iterator[Path]:
    """All feature files under a folder, sub-folders and links to folders included."""
    seen = set()
    for place, folders, names in os.walk(path, onerror=_refuse, followlinks=True):
        real = Path(place).resolve()
        if real in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        whole = [name for name in folders if _is_feature_file(Path(place) / name)]
        folders[:] = sorted(
            folder for folder in folders if not folder.startswith(".") and folder not in whole
        )
        for file in (Path(place) / name for name in sorted([*names, *whole])):
            # TRIDENT keeps the coordinates of patches next to the features, in files that are none
            # of ours.
            if _is_feature_file(file) and not (
                file.parent.name == "patches" and file.stem.endswith("_patches")
            ):
                yield file


def _children(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror or error}") from error
