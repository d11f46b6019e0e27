"""What goes wrong, in one sentence for a person."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class PathfuseError(Exception):
    """Base of every error that pathfuse raises on purpose."""


class InputError(PathfuseError, ValueError):
    """The input is wrong. The message names the file, the column and the value."""


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
    return f"'{where}': {problem['msg'][:1].lower()}{problem['msg'][1:]}, not {problem['input']!r}"


def _advice(name: str, known: Sequence[str]) -> str:
    """Which key may be meant, and all that there are."""
    if not known or "." in name:  # of something inside, whose keys are others
        return ""
    near = get_close_matches(name, known, 1)
    meant = f"; did you mean '{near[0]}'?" if near else ";"
    return f"{meant} known are {', '.join(known)}"
