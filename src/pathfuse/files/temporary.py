"""Hidden names of what is not whole yet: each says whose it is, so that what a killed run left is
taken away by the next one, and what a living run is writing stays.
"""

import itertools
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pathfuse.errors import InputError, unwritten
from pathfuse.files.lock import LOCK, writing
from pathfuse.files.owner import TAG, Owner, tag_ended

PARTIAL, OLD, WORK, PROBE = "partial", "old", "work", "probe"
"""What a hidden name stands for: a result that is not whole yet; an earlier result that one takes
the place of; a folder to work in; a file that shows that one can be written."""
_NAME = re.compile(rf"\.(.+)\.({PARTIAL}|{OLD}|{WORK}|{PROBE})-({TAG})-\d+", re.DOTALL)
_SERIAL = itertools.count()


def temporary_name(out: Path, what: str) -> Path:
    """A hidden name next to an output that no other process or thread uses, on any machine.

    Args:
        out: The output.
        what: ``PARTIAL``, ``OLD``, ``WORK`` or ``PROBE``.
    """
    return out.parent / f".{out.name}.{what}-{Owner.here().tag}-{next(_SERIAL)}"


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary name to write to, which takes the file's place when the block ends well."""
    partial = temporary_name(file, PARTIAL)
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside an output that goes when the block ends; those that killed runs left
    go, too.

    Raises:
        InputError: It cannot be made.
    """
    sweep(out)
    place = temporary_name(out, WORK)
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise unwritten(f"the output {out}", error) from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def is_ours(path: Path) -> bool:
    """Whether a path has a temporary name of this process."""
    match = _NAME.fullmatch(path.name)
    return match is not None and match[3] == Owner.here().tag


def was_left(path: Path, gone: Collection[str] = ()) -> bool:
    """Whether a path has a temporary name whose owner has ended.

    Args:
        path: Any path.
        gone: Tags of owners on other machines that are known to be gone.
    """
    match = _NAME.fullmatch(path.name)
    return match is not None and (match[3] in gone or tag_ended(match[3]))


def sweep(out: Path, gone: Collection[str] = ()) -> None:
    """Puts right what killed runs left next to an output: an old result comes back, half-written
    ones go. What a living process is writing stays, and so does what nobody knows of.

    Args:
        out: The output.
        gone: Tags of owners on other machines that are known to be gone.
    """
    with suppress(OSError), os.scandir(out.parent) as inside:
        # whoever writes says that there is no folder yet, or none that may be read
        for name in sorted(one.name for one in inside if one.name.startswith(".")):
            match = _NAME.fullmatch(name)
            if match and (match[1] == out.name or match[2] == PROBE):
                _settle(out.parent / name, gone)


def sweep_inside(folder: Path, gone: Collection[str] = ()) -> None:
    """The same of all that lies in a folder that pathfuse made, and goes on in."""
    for place, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            if _NAME.fullmatch(name):
                _settle(Path(place, name), gone)
                if name in folders:
                    folders.remove(name)


def sweep_claims(folder: Path) -> None:
    """The same in a folder that holds claims and nothing else, with locks that nobody holds."""
    sweep_inside(folder)
    for lock in [one for one in folder.glob(".?*") if one.name.endswith(LOCK) and one.name != LOCK]:
        with suppress(InputError), writing(lock.with_name(lock.name[1 : -len(LOCK)])):
            pass


def _settle(left: Path, gone: Collection[str]) -> None:
    match = _NAME.fullmatch(left.name)
    if match is None or not was_left(left, gone):
        return
    out = left.with_name(match[1])
    with suppress(OSError):  # another run was quicker, or it may not be taken away
        if match[2] == OLD and not out.exists():
            left.rename(out)
        elif left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()


def name_first(partial: Path, file: Path) -> None:
    """Gives a complete file its name, if nobody was quicker; the temporary name may stay.

    Raises:
        FileExistsError: Somebody was.
        OSError: It cannot be named.
    """
    try:
        file.hardlink_to(partial)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: an empty file holds the name for the moment
        file.touch(exist_ok=False)
        try:
            partial.replace(file)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
