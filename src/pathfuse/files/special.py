"""What stands at a path, told before it is opened: a named pipe would be waited for without end, and a
device has no end.
"""

import stat
from collections.abc import Iterable
from pathlib import Path

from pathfuse.errors import InputError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: Path) -> str | None:
    """What is neither a file nor a folder, in words; None of these, and of what is not there.

    Links are followed.

    Examples:
        >>> special_kind(Path("/dev/null")), special_kind(Path("/"))
        ('a device', None)
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says so
        return None
    return next((words for is_kind, words in _KINDS if is_kind(mode)), None)


def refuse_special(path: Path, named: str = "") -> None:
    """Refuses what is neither a file nor a folder.

    Args:
        path: What will be opened.
        named: What it is, in front of its name in sentences, such as ``the mask``.

    Raises:
        InputError: Saying what it is.
    """
    kind = special_kind(path)
    if kind is not None:
        raise InputError(f"{named} {path} is {kind}, not a file".strip())


def left_out(paths: Iterable[Path]) -> tuple[str, ...]:
    """A sentence for each path of a folder that is neither a file nor a folder, and is not read."""
    kinds = ((path, special_kind(path)) for path in paths)
    return tuple(f"{path} is {kind}, not a file, and was left out" for path, kind in kinds if kind)
