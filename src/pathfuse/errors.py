"""What goes wrong, in one sentence for a person."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class PathfuseError(Exception):
    """Base of every error that pathfuse raises on purpose."""


class InputError(PathfuseError, ValueError):
    """The input is wrong. The message names the file, the column and the value."""


class NotFittedError(PathfuseError, RuntimeError):
    """A fusion was asked for a prediction before it was fitted."""


def first_problem(error: "ValidationError") -> str:
    """What pydantic says first, as half a sentence."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":  # one of our own sentences
        return str(problem["ctx"]["error"])
    where = ".".join(str(part) for part in problem["loc"]) or "the content"
    if problem["type"] == "extra_forbidden":
        return f"'{where}' is unknown"
    if problem["type"] == "missing":
        return f"'{where}' is missing"
    return f"'{where}': {problem['msg'][:1].lower()}{problem['msg'][1:]}, not {problem['input']!r}"
