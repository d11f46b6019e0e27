"""How a training in another process says how far it is: one line of JSON per epoch, which the parent
reads.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathfuse.progress import OnEpoch, Progress

EVERY_S = 0.5
"""Seconds between two looks at the files."""


def epoch_file(work: Path, part: str) -> Path:
    """Where a running part says what its epochs were; it goes when the part is shown as done."""
    return work / f".{part}.epochs.jsonl"


def append_to(file: Path) -> OnEpoch:
    """Adds every epoch's line of the history to a file."""

    def append(line: dict[str, Any]) -> None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    return append


class EpochReader:
    """Shows the lines that are new in some files."""

    def __init__(self, files: Mapping[Path, OnEpoch]) -> None:
        self.files = dict(files)
        self._read = dict.fromkeys(self.files, 0)
        self._lock = threading.Lock()
        for file in self.files:  # of a run that was stopped
            file.unlink(missing_ok=True)

    def read(self) -> None:
        """Calls each file's function with its new lines; a line that is not whole yet waits."""
        with self._lock:
            for file, on_epoch in self.files.items():
                for line in self._new_lines(file):
                    on_epoch(line)

    def _new_lines(self, file: Path) -> list[dict[str, Any]]:
        try:
            with file.open("rb") as given:
                given.seek(self._read[file])
                content = given.read()
        except OSError:  # not begun yet
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read[file] += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


@contextmanager
def following(files: Mapping[Path, OnEpoch]) -> Iterator[Callable[[], None]]:
    """Shows what other processes write into some files while the block runs, and removes them.

    Args:
        files: File to what is called with each of its lines, in a thread of its own.

    Yields:
        A function that shows at once what is new.
    """
    reader, stop = EpochReader(files), threading.Event()

    def look() -> None:
        while not stop.wait(EVERY_S):
            reader.read()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield reader.read
    finally:
        stop.set()
        thread.join()
        for file in files:
            file.unlink(missing_ok=True)


class PartShares:
    """The share of the work that is done, where several parts run at a time."""

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self.progress, self.total, self.done = progress, total, done
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Progress:
        """The progress of one part, as a part of the whole."""

        def report(message: str, share: float) -> None:
            with self._lock:
                self._running[name] = share
                whole = (self.done + sum(self._running.values())) / self.total
            self.progress(message, whole)

        return report

    def finish(self, name: str) -> None:
        """Counts a part as done."""
        with self._lock:
            self._running.pop(name, None)
            self.done += 1
            whole = (self.done + sum(self._running.values())) / self.total
        self.progress(f"{name} done", whole)
