"""Files that nobody writes while they are read: what was read would be neither the old table nor the
new one.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from pathfuse.errors import InputError

States: TypeAlias = dict[Path, tuple[int, int, int]]
"""Number, size and time of change of files."""


def read_steady(file: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: It cannot be read.
        InputError: It was written, or replaced, while it was read.
    """
    with file.open("rb") as opened:
        about = os.fstat(opened.fileno())
        content = opened.read()
    if stat.S_ISREG(about.st_mode):
        whole = len(content) == about.st_size
        refuse_changed({file: _state(about) if whole else (0, 0, 0)})
    return content


def states(files: Iterable[Path]) -> States:
    """How files are before they are read.

    Raises:
        InputError: One is not there.
    """
    return {file: _now(file) for file in files}


def refuse_changed(before: States) -> None:
    """Refuses files that are no longer as they were.

    Raises:
        InputError: Naming the first.
    """
    for file, known in before.items():
        if _now(file) != known:
            raise InputError(
                f"{file} was changed while it was read; run it again once nobody writes it"
            )


def _now(file: Path) -> tuple[int, int, int]:
    try:
        return _state(file.stat())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error


def _state(about: os.stat_result) -> tuple[int, int, int]:
    return about.st_ino, about.st_size, about.st_mtime_ns
