"""Whose something is: a process, known by its machine and its start, since numbers of processes are
used again, and mean nothing on another machine or in another container.
"""

import hashlib
import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TAG = r"([0-9a-f]{8})-(\d+)-([0-9a-f]{8})"
"""A regular expression for ``Owner.tag``."""


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
        return _this(os.getpid())

    @property
    def ended(self) -> bool:
        """Whether it is surely gone; never said of a process on another machine."""
        return self.host == host() and _ended(self.pid, self.started, _started(self.pid))

    @property
    def is_near(self) -> bool:
        """Whether it is on this machine, and in this container."""
        return self.host == host()

    @property
    def tag(self) -> str:
        """The same in a few characters, for the names of files."""
        return f"{_short(self.host)}-{self.pid}-{_short(self.started)}"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition(' ')[0]}"


def tag_ended(tag: str) -> bool:
    """Whether the process of an ``Owner.tag`` is surely gone."""
    match = re.fullmatch(TAG, tag)
    if match is None or match[1] != _short(host()):
        return False
    pid = int(match[2])
    return _ended(pid, match[3], _short(_started(pid)))


def _ended(pid: int, started: str, now: str) -> bool:
    """Whether a process of this machine is gone, or another has its number now."""
    if sys.platform == "win32":  # a signal of number 0 would end it
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return now != started


def host() -> str:
    """This machine; in a container also its space of processes."""
    return _host(platform.node())


@cache
def _host(node: str) -> str:
    space = machine = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path, but a name
    with suppress(OSError):  # names of machines are used twice
        machine = Path("/etc/machine-id").read_text(encoding="utf-8", errors="replace").strip()
    return " ".join(part for part in (node, space, machine) if part)


@cache
def _this(pid: int) -> Owner:
    return Owner(host(), pid, _started(pid))


def _started(pid: int) -> str:
    """Empty of a process that is gone or has ended (and only waits for its parent to look)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name of a program may hold blanks
    return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
