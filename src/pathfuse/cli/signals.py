"""SIGTERM, which systems, SLURM and container engines send, ends a command as Ctrl-C does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""Exit status after SIGTERM, as shells have it."""


class Terminated(KeyboardInterrupt):
    """What SIGTERM raises: all that cleans up after Ctrl-C cleans up."""


class Asked:
    """Whether SIGTERM came."""

    came: bool = False


@contextmanager
def sigterm_as_interrupt() -> Iterator[Asked]:
    """Inside the block SIGTERM raises ``Terminated``; once, so that nothing breaks the cleaning up.

    Outside of the main thread, where no signal arrives, nothing changes.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def end(_: int, __: FrameType | None) -> None:
        if not asked.came:
            asked.came = True
            raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
