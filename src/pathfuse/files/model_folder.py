"""Folders of fitted models: what they are as JSON, their numbers as safetensors; never a pickle."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pathfuse.errors import InputError, clipped
from pathfuse.files.json import read_json
from pathfuse.files.write import usual_mode, write_json

EMPTY = "empty"
"""The array of a model without numbers: safetensors wants one."""
MAX_MB = 2048
"""Of a file of numbers."""


def write_model(
    folder: Path, name: str, content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> None:
    """Writes ``<name>.json`` and ``<name>.safetensors`` into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(content, folder / f"{name}.json")
    with usual_mode(folder / f"{name}.safetensors"):
        save_file(dict(tensors) or {EMPTY: np.zeros(1)}, folder / f"{name}.safetensors")


def has_model(folder: Path, name: str) -> bool:
    """Whether a folder, or the output folder that holds a model folder, has files of this name."""
    return (place_of(folder, name) / f"{name}.json").exists()


def remove_model(folder: Path, name: str) -> None:
    """Removes files of this name that an earlier model left there."""
    for ending in ("json", "safetensors"):
        (folder / f"{name}.{ending}").unlink(missing_ok=True)


def place_of(folder: Path, name: str) -> Path:
    """The model folder: the one that is given, or the one in the output folder that is given."""
    inner = folder / "model"
    return inner if (inner / f"{name}.json").exists() else folder


@contextmanager
def read_model(
    folder: Path, name: str, schema: int, what: str
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """What a model folder, or the output folder that holds one, says.

    The block makes the model of it.

    Args:
        folder: The folder.
        name: Of its two files, without their endings.
        schema: The newest that this version reads.
        what: What the model is, in sentences.

    Raises:
        InputError: There is no model, its files are damaged (also if the block finds that), or a
            newer version wrote it.
    """
    about, numbers = f"{name}.json", f"{name}.safetensors"
    place = place_of(folder, name)
    try:
        if not ((place / about).is_file() and (place / numbers).is_file()):
            raise InputError(f"{place} holds no {what}: {about} or {numbers} is missing")
        content = _content(place / about)
        check_version(content, schema, place)
        yield content, read_tensors(place / numbers)
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise InputError(f"the {what} in {place} is damaged: {clipped(error)}") from error


def _content(file: Path) -> Any:
    try:
        return read_json(file)
    except InputError as error:
        raise ValueError(str(error)) from None


def check_version(content: Any, newest: int, place: Path) -> None:
    """Refuses what a newer version wrote.

    Args:
        content: Of a JSON file with a ``schema``.
        newest: What this version reads.
        place: The file or folder.

    Raises:
        InputError: It is newer.
        ValueError: It names no version.
    """
    found = content.get("schema") if isinstance(content, dict) else None
    if type(found) is not int or found < 1:
        raise ValueError("it does not say which schema it has")
    if found > newest:
        raise InputError(
            f"{place} was written by a newer pathfuse (schema {found}); update pathfuse"
        )


def read_tensors(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file.

    Raises:
        ValueError: It is damaged, or too large for a file of ours.
    """
    size = file.stat().st_size
    if size > MAX_MB * 2**20:
        raise ValueError(f"{file.name} has {size / 2**20:.0f} MB; at most {MAX_MB} MB are read")
    try:
        return dict(load_file(file))
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:  # of an unknown type
        raise ValueError(f"{file.name}: {error}") from error
