"""One run at a time on an output: who works on it says so beside it, and a second run ends with a
sentence before it has changed anything. Runs that share work say which share is theirs.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pathfuse.errors import InputError, full_disk, unwritten
from pathfuse.files.claims import STALE_S, AtWork, claimed, forget, who_is_at
from pathfuse.files.outputs import Outputs, outputs
from pathfuse.files.temporary import is_ours, sweep, sweep_claims, sweep_inside

AT_WORK = ".at-work"
"""Ending of the hidden folder beside an output that holds the claims."""
ALONE = "alone"
"""The claim of a run that shares the output with no other."""


def claim_output(out: Path, share: str | None = None) -> None:
    """Claims an output until the block of ``outputs_claimed`` ends, unless it is claimed already, or
    a folder that it lies in.

    Args:
        out: A file or a folder.
        share: What of the work this process does, such as ``1-of-4``: others do other shares at the
            same time. None: all.

    Raises:
        InputError: Another process is at work there; or the disk is full.
    """
    own, place = outputs.get(), out.resolve()
    if own is None or _holds(own, place) or not place.name:
        return
    own.stack.enter_context(_claim(own, place, share))


@contextmanager
def claimed_meanwhile(out: Path) -> Iterator[None]:
    """The same for a block.

    Raises:
        InputError: As of ``claim_output``.
    """
    own, place = outputs.get(), out.resolve()
    if own is None or _holds(own, place) or not place.name:
        yield
        return
    with _claim(own, place, None):
        yield


def clear_inside(folder: Path) -> None:
    """Takes away what killed runs left in a folder that pathfuse made, and goes on in."""
    own = outputs.get()
    sweep_inside(folder, () if own is None else own.gone)


def _holds(own: Outputs, place: Path) -> bool:
    """Whether an output is one of ours, or lies in one, or in what this process makes of one."""
    return any(one in own.held or is_ours(one) for one in (place, *place.parents))


@contextmanager
def _claim(own: Outputs, place: Path, share: str | None) -> Iterator[None]:
    folder = _folder(place)
    mine = folder / (ALONE if share is None else share)
    missing = [one for one in folder.parents if not os.path.exists(one)]  # noqa: PTH110 - never raises
    with ExitStack() as stack:
        stack.callback(_remove, [folder, *missing])
        try:
            held = stack.enter_context(claimed(mine))
        except InputError as error:
            cause = error.__cause__
            if full_disk(cause or error) is not None or folder.is_dir():
                what = f"the output {place}"  # nobody knows the file of the claim
                if isinstance(cause, OSError):
                    raise unwritten(what, cause) from error
                raise InputError(f"{what} cannot be written: {error}") from error
        else:
            if held is None:
                raise InputError(_sentence(place, who_is_at(mine)))
            _refuse_others(place, mine)
            if held.before is not None:
                own.gone.add(held.before.tag)
            sweep_claims(folder)
            sweep(place, own.gone)
            own.held.add(place)
            stack.callback(own.held.discard, place)
        yield  # where nothing can be written, whoever looks at the place says why


def _remove(folders: list[Path]) -> None:
    """Takes away folders, innermost first, as far as nothing is in them."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _folder(place: Path) -> Path:
    return place.with_name(f".{place.name}{AT_WORK}")


def _refuse_others(place: Path, mine: Path) -> None:
    """Refuses an output that another is at work on, or a folder that it lies in.

    Raises:
        InputError: Saying who, and since when.
    """
    for above in (place, *place.parents):
        for claim in _claims(above):
            shared = above == place and ALONE not in (mine.name, claim.name)
            if shared or claim == mine:
                continue
            at_work = who_is_at(claim)
            if at_work is not None:
                raise InputError(_sentence(above, at_work))
            forget(claim)


def _claims(place: Path) -> list[Path]:
    """The claims on an output."""
    if not place.name:  # the root
        return []
    folder = _folder(place)
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def _sentence(place: Path, at_work: AtWork | None) -> str:
    since = f" since {at_work.since} UTC" if at_work is not None and at_work.since else ""
    known = at_work is not None and at_work.owner is not None and at_work.owner.is_near
    silent = "" if known else f" (a run that was killed counts as ended after {STALE_S:.0f} s)"
    return (
        f"{at_work or 'another run'} is at work in {place}{since}; wait until it has ended, or "
        f"choose another place{silent}"
    )
