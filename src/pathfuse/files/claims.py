"""Work that several runs share, on one machine or several that see the same files: a file says who
does a piece of it, and by its time of change that he is still at it.
"""

import errno
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from pathfuse.errors import InputError, unwritten
from pathfuse.files.json import read_object
from pathfuse.files.lock import writing
from pathfuse.files.owner import Owner
from pathfuse.files.temporary import PARTIAL, PROBE, name_first, temporary_name

STALE_S = 120.0
"""An owner that gave no sign of life for so long has ended, whatever machine he is on."""
BEATS = 8
"""Signs of life in that time."""
TRIES = 5


@dataclass(frozen=True)
class Held:
    """A claim that this process has."""

    file: Path
    token: str
    note: str | None
    """Whose it was before, if he left it behind."""
    before: Owner | None = None
    """The same as an owner."""

    @property
    def ours(self) -> bool:
        """Whether no other has taken it over, as one does whose owner seemed gone."""
        return read_object(self.file).get("token") == self.token


@contextmanager
def claimed(
    file: Path, stale_s: float = STALE_S, *, make_folder: bool = True
) -> Iterator[Held | None]:
    """Claims a piece of work for the block; None if another is at it.

    A thread touches the file meanwhile. A claim whose owner has ended, or gave no sign of life for
    ``stale_s``, is taken over.

    Args:
        file: The claim.
        stale_s: After so many seconds of silence an owner has ended.
        make_folder: Make its folder; off: where that is gone there is nothing to claim.

    Raises:
        InputError: The file cannot be made.
    """
    held = _take(file, stale_s, make_folder)
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
    return who_is_at(file, stale_s) is not None


@dataclass(frozen=True)
class AtWork:
    """Who is at a piece of work."""

    owner: Owner | None
    """None of one that is just writing its claim."""
    since: str
    """When it began, in UTC; empty where the claim does not say so."""

    def __str__(self) -> str:
        return str(self.owner or "another run")


def who_is_at(file: Path, stale_s: float = STALE_S) -> AtWork | None:
    """Who is at a piece of work now, this process included; None if nobody is."""
    if not file.exists():
        return None
    found = read_object(file)
    if _left(file, found, stale_s) is not None:
        return None
    return AtWork(_owner(found), str(found.get("since", "")))


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
    probe = temporary_name(folder / "clock", PROBE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        return probe.stat().st_mtime
    except OSError as error:
        raise unwritten(f"the output {folder}", error) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def _take(file: Path, stale_s: float, make_folder: bool) -> Held | None:
    token, note, before = token_hex(8), None, None
    missing: OSError | None = None
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    content = json.dumps({**asdict(Owner.here()), "token": token, "since": since})
    for _ in range(TRIES):
        try:
            if make_folder and not file.parent.is_dir():
                _make(file.parent)
            _write(content, file)
            return Held(file, token, note, before)
        except FileNotFoundError as error:  # another that ended took the folder away
            missing = error
            if not make_folder:
                return None
        except FileExistsError:
            found = read_object(file)
            why = _left(file, found, stale_s)
            if why is None or not _removed(file, found):
                return None
            note, before = why, _owner(found)
        except OSError as error:
            raise unwritten(f"the claim {file}", error) from error
    if missing is not None:  # again and again: no folder can be made there
        raise unwritten(f"the claim {file}", missing) from missing
    return None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file: no claim stands there
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from error


def _write(content: str, file: Path) -> None:
    """A new file, which is whole when it appears.

    Raises:
        FileExistsError: There is one.
        OSError: It cannot be written.
    """
    partial = temporary_name(file, PARTIAL)
    try:
        partial.write_text(content, encoding="utf-8")
        name_first(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def _left(file: Path, found: dict[str, object], stale_s: float) -> str | None:
    """Why a claim counts no more; None while it does, and where it has just gone."""
    try:
        age = now_there(file.parent) - file.stat().st_mtime
    except FileNotFoundError:
        return None
    owner = _owner(found)
    if owner is not None and owner.ended:
        return f"taken over from {owner}, which has ended"
    if abs(age) > stale_s:  # a time in the future is one of another clock
        return f"taken over from {owner or 'another run'}, which gave no sign of life for {abs(age):.0f} s"
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
