"""One writer at a time: a lock beside an output that is read, made longer, and written again."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pathfuse.errors import InputError, unwritten

LOCK = ".lock"
"""Ending of the hidden file."""


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """No other process or thread is inside this block for the same output.

    The lock is one of the system's on a hidden file beside the output, so that a killed call leaves
    nothing locked.

    Raises:
        InputError: Another is inside the block now, or the file cannot be made.
    """
    place = out.resolve()
    lock = place.parent / f".{place.name}{LOCK}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(lock)
    except BlockingIOError as error:
        raise InputError(f"another call is writing {out} at this moment; call again") from error
    except OSError as error:
        raise unwritten(f"the output {out}", error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # gone while it is still locked: whoever waits opens another
            lock.unlink()
        os.close(handle)


def _locked(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR)
        try:
            _lock(handle)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), lock.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another call ended, and took the file away, between the two


def _lock(handle: int) -> None:
    if sys.platform == "win32":  # no such locks: what was read is still compared
        return
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks: what was read is still compared
        return
