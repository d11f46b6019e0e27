"""Pieces of a benchmark, cells and fusions, that several runs and several processes share: each is
done by one of them, and waited for by the others.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal, Protocol, TypeVar

from joblib import delayed

from pathfuse.files.claims import STALE_S, claimed, forget, is_claimed
from pathfuse.files.json import read_object
from pathfuse.files.owner import Owner
from pathfuse.files.write import write_json
from pathfuse.progress import Progress, silent, within
from pathfuse.training.devices import DevicePool
from pathfuse.training.threads import one_thread
from pathfuse.workers import file_to_file, runs_here

CLAIMS = ".claims"
"""Folder of the benchmark's claims."""
POLL_S = 2.0
"""How often pieces are looked at that other runs are at."""

State = Literal["done", "elsewhere", "failed", "busy"]
Key = TypeVar("Key")


class Piece(Protocol):
    """Something to do from file to file."""

    @property
    def name(self) -> str:
        """Its place below the claims."""

    @property
    def ready(self) -> bool:
        """Whether it is done, by whomever."""

    def failed_since(self, when: float) -> str | None:
        """Why it failed, if it did after some time by the clock of the files."""

    def do(self, progress: Progress) -> str | None:
        """Does it; a sentence if it failed."""

    def lost(self, sentence: str) -> None:
        """Records that the process that did it was ended."""


@dataclass(frozen=True)
class Outcome:
    """What became of a piece."""

    state: State
    """``done``: here; ``elsewhere``: by another run meanwhile; ``busy``: another run is at it."""
    sentence: str | None = None
    """Why it failed."""
    note: str | None = None
    """Whose claim was taken over."""


@dataclass(frozen=True)
class Turn:
    """What a run knows of the others; it travels to worker processes."""

    claims: Path
    since: float
    """When the run began, by the clock of the files: what failed after that is not tried again."""
    stale_s: float = STALE_S
    poll_s: float = POLL_S
    owner: Owner = field(default_factory=Owner.here)
    run: str = field(default_factory=partial(token_hex, 8))
    """What the run signs with, and whose it is."""

    def file(self, piece: Piece) -> Path:
        """The claim of a piece."""
        return self.claims / f"{piece.name.replace('/', ',')}.json"

    def sign(self, piece: Piece) -> None:
        """Notes that this run did a piece: the process that did it may end before it can say so."""
        write_json({**asdict(self.owner), "token": self.run}, self._signature(piece))

    def signed(self, piece: Piece) -> bool:
        """Whether this run did a piece that is done."""
        return read_object(self._signature(piece)).get("token") == self.run

    def forget_signature(self, piece: Piece) -> None:
        """Takes this run's signature away, or that of a run that has ended."""
        if self.signed(piece):
            self._signature(piece).unlink(missing_ok=True)
        else:
            forget(self._signature(piece), self.stale_s)

    def _signature(self, piece: Piece) -> Path:
        return self.file(piece).with_suffix(".done")


def share(
    pieces: Mapping[Key, Piece],
    turn: Turn,
    *,
    n_jobs: int | None = None,
    devices: DevicePool | None = None,
    on_end: Callable[[Key, Outcome], None] | None = None,
    progress: Progress = silent,
) -> dict[Key, Outcome]:
    """Does all pieces, or sees to it that another run has.

    Args:
        pieces: What is to be done, most urgent first.
        turn: Where the claims are.
        n_jobs: Pieces at a time, as in joblib, where no devices are named.
        devices: One piece at a time on each of them.
        on_end: Called when a piece has ended.
        progress: Of the piece that runs, where they run one after the other in this process; and
            of waiting.
    """
    found: dict[Key, Outcome] = {}
    left, n = dict(pieces), len(pieces)

    def part(piece: Piece) -> Progress:
        return within(progress, len(found) / n, (len(found) + 1) / n, f"{piece}: ")

    while left:
        before = len(left)
        for key, outcome in _pass(left, turn, n_jobs, devices, part):
            if outcome.state != "busy":
                found[key] = outcome
                turn.forget_signature(left[key])
                if on_end is not None:
                    on_end(key, outcome)
        left = {key: piece for key, piece in left.items() if key not in found}
        if len(left) == before:
            progress(f"waiting for {len(left)} that other runs are at", len(found) / n)
            time.sleep(turn.poll_s)
    return {key: found[key] for key in pieces}


def _pass(
    pieces: Mapping[Key, Piece],
    turn: Turn,
    n_jobs: int | None,
    devices: DevicePool | None,
    part: Callable[[Piece], Progress],
) -> Iterator[tuple[Key, Outcome]]:
    """Each piece once, unless another is at it."""
    todo: dict[Key, Piece] = {}
    for key, piece in pieces.items():
        outcome = _known(piece, turn)
        if outcome is not None:
            forget(turn.file(piece), turn.stale_s)
            yield key, outcome
        elif not is_claimed(turn.file(piece), turn.stale_s):
            todo[key] = piece
    if not todo:
        return
    if devices is None and runs_here(n_jobs):
        for key, piece in todo.items():
            yield key, do_piece(piece, turn, None, part(piece))
        return
    numbered = list(todo)
    work = (
        delayed(_numbered)(number, todo[key], turn, devices) for number, key in enumerate(numbered)
    )
    processes = n_jobs if devices is None else len(devices.names)
    for number, outcome in file_to_file(processes, work, _lost):
        yield numbered[number], outcome


def do_piece(
    piece: Piece, turn: Turn, devices: DevicePool | None = None, progress: Progress = silent
) -> Outcome:
    """Claims a piece and does it, on one core and on a device that is free."""
    with claimed(turn.file(piece), turn.stale_s) as held:
        if held is None:
            return Outcome("busy")
        known = _known(piece, turn)  # another may have ended it before the claim was ours
        if known is not None:
            return known
        with one_thread(), nullcontext() if devices is None else devices.taken():
            sentence = piece.do(progress)
        if sentence is None:
            turn.sign(piece)
        return Outcome("done" if sentence is None else "failed", sentence, held.note)


def _known(piece: Piece, turn: Turn) -> Outcome | None:
    if piece.ready:
        return Outcome("done" if turn.signed(piece) else "elsewhere")
    sentence = piece.failed_since(turn.since)
    return None if sentence is None else Outcome("failed", sentence)


def _numbered(
    number: int, piece: Piece, turn: Turn, devices: DevicePool | None
) -> tuple[int, Outcome]:
    return number, do_piece(piece, turn, devices)


def _lost(sentence: str, number: int, piece: Piece, *_: Any) -> tuple[int, Outcome]:
    """What ``_numbered`` would say of a piece whose process was ended."""
    piece.lost(sentence)
    return number, Outcome("failed", sentence)
