"""What the commands write shows names as text: nothing in one acts on a terminal."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from pathfuse.unseen import visible


class Shown:
    """A stream whose text shows what nobody sees as escapes, but for ends of lines and tabs."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream
        """rich writes past this one: it colours with escape sequences of its own."""

    def write(self, text: str) -> int:
        """Writes text; see ``io.TextIOBase.write``."""
        parts = re.split(r"([\n\t])", text)
        self.rich_proxied_file.write("".join(p if p in "\n\t" else visible(p) for p in parts))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def shown_as_text() -> Iterator[None]:
    """Inside the block, standard output and standard error are such streams."""
    out: Any = Shown(sys.stdout)
    err: Any = Shown(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        yield
