"""Folders that grow: they are looked at again and again, and what has settled is scored."""

import time
from collections.abc import Callable, Iterator, Mapping

from pathfuse.errors import InputError
from pathfuse.progress import Say
from pathfuse.workflows.score.run import Asked, Scored, look, score
from pathfuse.workflows.score.seen import Seen, State


def watch(
    asked: Asked,
    seen: Seen,
    every_s: float,
    say: Say,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Scored]:
    """Scores what is new, look after look, without end.

    A file counts once two looks in a row have found it with the same size and time: until then
    somebody may still write it.

    Args:
        asked: What, and how.
        seen: From ``prepare``.
        every_s: Seconds between two looks.
        say: Called with what is wrong with a look, once; the next look may find it mended.
        wait: Waits some seconds.

    Yields:
        What was found, where something was new.
    """
    before: dict[str, State] = {}
    last = ""
    while True:
        try:
            now = look(asked)
            settled, before = _settled(before, now), now
            if seen.changed(settled, asked.features):
                yield score(asked, seen, settled)
            last = ""
        except InputError as error:
            if str(error) != last:
                say(str(error))
            last = str(error)
        wait(every_s)


def _settled(before: Mapping[str, State], now: Mapping[str, State]) -> dict[str, State]:
    """What two looks found alike."""
    alike = {
        name: {
            encoder: files
            for encoder, files in state.items()
            if before.get(name, {}).get(encoder) == files
        }
        for name, state in now.items()
    }
    return {name: state for name, state in alike.items() if state}
