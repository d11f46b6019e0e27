"""Digests of files, and of what JSON can hold: SHA-256, hexadecimal."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special


def digest_of(what: Any) -> str:
    """Of anything that JSON can say, and of paths; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(file: Path) -> str:
    """Of a file's content.

    Raises:
        InputError: It cannot be read.
    """
    refuse_special(file)
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error


def files_digest(files: Iterable[Path]) -> str:
    """Of the names and contents of files, in order.

    Raises:
        InputError: One cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file_digest(file)}\n".encode())
    return digest.hexdigest()


def state_of(places: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of change of files, and of all files in folders: contents that are too
    large to read.
    """
    files = (
        file
        for place in places
        for file in (sorted(place.rglob("*")) if place.is_dir() else [place])
    )
    found = [(file, file.stat()) for file in files if file.is_file()]
    return [(str(file), about.st_size, about.st_mtime_ns) for file, about in found]
