"""Work that several runs share, on one machine or several that see the same files: a file says who
does a piece of it, and by its time of change that he is still at it.
"""

import json
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex

from pathfuse.errors import InputError
from pathfuse.files.json import read_object
from pathfuse.files.lock import writing

STALE_S = 120.0
"""An owner that gave no sign of life for so long has ended, whatever machine he is on."""
BEATS = 8
"""Signs of life in that time."""
TRIES = 5


@dataclass(frozen=True)
class Owner:
    """A process that is at some work."""

    host: str
    """Its machine; and of a container its space of processes, since numbers mean nothing outside."""
    pid: int
    started: str
    """When the process began, as the machine has it: numbers of processes are used again. Empty
    where that cannot be known."""

    @staticmethod
    def here() -> "Owner":
        """This process."""
        return Owner(_host(), os.getpid(), _started(os.getpid()))

    @property
    def ended(self) -> bool:
        """Whether it is surely gone; never said of a process on another machine."""
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition(' ')[0]}"


@dataclass(frozen=True)
class Held:
    """A claim that this process has."""

    file: Path
    token: str
    note: str | None
    """Whose it was before, if he left it behind."""

    @property
    def ours(self) -> bool:
        """Whether no other has taken it over, as one does whose owner seemed gone."""
        return read_object(self.file).get("token") == self.token


@contextmanager
def claimed(file: Path, stale_s: float = STALE_S) -> Iterator[Held | None]:
    """Claims a piece of work for the block; None if another is at it.

    A thread touches the file meanwhile. A claim whose owner has ended, or gave no sign of life for
    ``stale_s``, is taken over.

    Raises:
        InputError: The file cannot be made.
    """
    held = _take(file, stale_s)
    if held is None:
        yield None
        return
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(held, done, stale_s / BEATS), daemon=True)
    heart.start()
    try:
        yield held
    finally:
        done.set()
        heart.join()
        if held.ours:
            file.unlink(missing_ok=True)


def is_claimed(file: Path, stale_s: float = STALE_S) -> bool:
    """Whether somebody, this process included, is at this piece of work now."""
    return file.exists() and _left(file, read_object(file), stale_s) is None


def forget(file: Path, stale_s: float = STALE_S) -> None:
    """Takes away a claim on work that is done, if its owner left it behind."""
    if file.exists():
        found = read_object(file)
        if _left(file, found, stale_s) is not None:
            _removed(file, found)


def now_there(folder: Path) -> float:
    """The time by the clock that gives files in a folder theirs: of its server, not of this machine.

    Raises:
        InputError: Nothing can be written there.
    """
    probe = folder / f".clock-{os.getpid()}-{token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        return probe.stat().st_mtime
    except OSError as error:
        raise InputError(
            f"the output {folder} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def _take(file: Path, stale_s: float) -> Held | None:
    token, note = token_hex(8), None
    content = json.dumps({**asdict(Owner.here()), "token": token})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(_unwritten(file, error)) from error
    for _ in range(TRIES):
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(content)
            return Held(file, token, note)
        except FileExistsError:
            found = read_object(file)
            why = _left(file, found, stale_s)
            if why is None or not _removed(file, found):
                return None
            note = why
        except OSError as error:
            raise InputError(_unwritten(file, error)) from error
    return None


def _unwritten(file: Path, error: OSError) -> str:
    return f"the claim {file} cannot be written: {error.strerror or error}"


def _left(file: Path, found: dict[str, object], stale_s: float) -> str | None:
    """Why a claim counts no more; None while it does, and where it has just gone."""
    try:
        age = now_there(file.parent) - file.stat().st_mtime
    except FileNotFoundError:
        return None
    owner = _owner(found)
    if owner is not None and owner.ended:
        return f"taken over from {owner}, which has ended"
    if age > stale_s:
        return (
            f"taken over from {owner or 'another run'}, which gave no sign of life for {age:.0f} s"
        )
    return None


def _owner(found: dict[str, object]) -> Owner | None:
    """None of a claim whose owner is just writing it."""
    try:
        return Owner(str(found["host"]), int(str(found["pid"])), str(found["started"]))
    except (KeyError, ValueError):
        return None


def _removed(file: Path, found: dict[str, object]) -> bool:
    """Takes a claim away that was left behind, unless another was quicker."""
    try:
        with writing(file):
            if read_object(file) != found:
                return False
            file.unlink(missing_ok=True)
            return True
    except InputError:  # another is at it in this moment
        return False


def _beat(held: Held, done: threading.Event, every_s: float) -> None:
    while not done.wait(every_s):
        if not held.ours:
            return
        with suppress(OSError):
            os.utime(held.file)


def _host() -> str:
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path, but a name
    except OSError:
        space = ""
    return f"{platform.node()} {space}".strip()


def _started(pid: int) -> str:
    """Empty of a process that is gone or has ended (and only waits for its parent to look)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name of a program may hold blanks
    return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"
