"""What goes wrong, in one sentence for a person."""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import ValidationError


LONGEST_VALUE, LONGEST_SENTENCE = 100, 3000
"""Characters of a value that a sentence repeats, and of all of it."""
Item = TypeVar("Item")
Made = TypeVar("Made")


class PathfuseError(Exception):
    """Base of every error that pathfuse raises on purpose."""


class InputError(PathfuseError, ValueError):
    """The input is wrong. The message names the file, the column and the value."""


class FaultsError(InputError):
    """Several things that are wrong. The message is about the first of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        others = len(faults) - 1
        super().__init__(
            f"{faults[0]} (and {others} more fault{'s' if others > 1 else ''}; 'pathfuse check' lists them all)"
        )


FULL = re.compile(
    r"no space left|quota exceeded|file too large|os error (27|28|122)\b", re.IGNORECASE
)
"""What systems and libraries say when nothing more can be written; some have no error of their own."""


OF_THE_SYSTEM = re.compile(r"os error \d+\b", re.IGNORECASE)
"""What libraries in Rust say when the system refuses a file; their errors are none of the system."""


def full_disk(error: BaseException) -> str | None:
    """A sentence for a disk that is full, or a file that may not grow; None of another error."""
    words = " ".join(str(error).split())
    if not FULL.search(words):
        return None
    return f"the disk is full; free some space and run it again ({words[:200]})"


def of_the_system(error: BaseException) -> str | None:
    """A sentence for what the system says: a full disk, a folder that may not be written, an input
    that is gone; None of any other error.
    """
    full, words = full_disk(error), " ".join(str(error).split())
    if full is not None:
        return full
    if not isinstance(error, OSError):
        return words[:200] if OF_THE_SYSTEM.search(words) else None
    if error.strerror is None:  # of a library
        return words[:200] or None
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def clipped(words: object, most: int = 400) -> str:
    """What a library says, in one line of at most so many characters."""
    text = " ".join(str(words).split())
    return text if len(text) <= most else f"{text[:most]}..."


def unwritten(what: str, error: OSError) -> InputError:
    """What is to be said of an output that the system refuses.

    Args:
        what: It, in words, such as ``the output results``.
        error: What the system says.
    """
    why = full_disk(error) or error.strerror or error
    return InputError(f"{what} cannot be written: {why}")


def faults_of(error: InputError) -> tuple[str, ...]:
    """All that is wrong, one sentence each."""
    return error.faults if isinstance(error, FaultsError) else (str(error),)


def tried(items: Iterable[Item], make: Callable[[Item], Made]) -> tuple[list[Made], list[str]]:
    """What can be made of some items, and what is wrong with the others.

    Examples:
        >>> def half(n):
        ...     if n % 2:
        ...         raise InputError(f"{n} is odd")
        ...     return n // 2
        >>> tried([2, 3, 4], half)
        ([1, 2], ['3 is odd'])
    """
    made, faults = list[Made](), list[str]()
    for item in items:
        try:
            made.append(make(item))
        except InputError as error:
            faults.extend(faults_of(error))
    return made, faults


def faults_in(step: Callable[[], None]) -> list[str]:
    """What a step says is wrong."""
    return tried([step], lambda one: one())[1]


def raise_faults(faults: Sequence[str]) -> None:
    """Raises what is wrong, if anything is.

    Raises:
        InputError: One thing, or several.
    """
    if len(faults) == 1:
        raise InputError(faults[0])
    if faults:
        raise FaultsError(faults)


class WorkerError(PathfuseError, RuntimeError):
    """A process or machine that worked for this one ended before its work was done."""


class NotFittedError(PathfuseError, RuntimeError):
    """A fusion was asked for a prediction before it was fitted."""


def first_problem(error: "ValidationError", known: Iterable[str] = ()) -> str:
    """What pydantic says first, as half a sentence.

    Args:
        error: What is wrong.
        known: The keys that there are; an unknown one is answered with them.
    """
    problem = error.errors()[0]
    if problem["type"] == "value_error":  # one of our own sentences
        return str(problem["ctx"]["error"])
    where = ".".join(str(part) for part in problem["loc"]) or "the content"
    if problem["type"] == "extra_forbidden":
        return f"'{where}' is unknown{_advice(where, sorted(known))}"
    if problem["type"] == "missing":
        return f"'{where}' is missing"
    if problem["type"] == "path_type":
        return f"'{where}' must be a path, not {_short(problem['input'])}"
    said = f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
    return f"'{where}': {said}, not {_short(problem['input'])}"


def _short(value: object) -> str:
    return clipped(repr(value), LONGEST_VALUE)


def _advice(name: str, known: Sequence[str]) -> str:
    """Which key may be meant, and all that there are."""
    if not known or "." in name:  # of something inside, whose keys are others
        return ""
    near = get_close_matches(name, known, 1)
    meant = f"; did you mean '{near[0]}'?" if near else ";"
    return f"{meant} known are {', '.join(known)}"
