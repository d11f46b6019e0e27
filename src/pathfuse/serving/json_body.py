"""A JSON body, checked against the form that it must have."""

import json
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pathfuse.serving.refused import RefusedError

LONGEST_KEY = 60
"""Characters of a key that are shown."""
LONGEST_PLACE = 200
"""Characters of a place in the body that are shown."""
_BRANCH = "list["
"""What pydantic calls one of several forms of a list begins with this."""
_SAID = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "dict_type": "must be a JSON object",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing_size": "is too large",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "too_long": "has {actual_length} entries, but {max_length} at most are allowed",
    "string_too_long": "has more than {max_length} characters",
    "greater_than_equal": "must be {ge} or more",
    "literal_error": "must be {expected}",
}
"""By pydantic's name of what is wrong."""


def checked(kind: TypeAdapter, raw: bytes) -> object:  # type: ignore[type-arg]
    """A JSON body of the form that it must have.

    Raises:
        RefusedError: It is not JSON (400), or has another form or an object with one key twice (422).
    """
    try:
        found: object = kind.validate_json(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        if problem["type"] == "json_invalid":
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, f"the body is not JSON: {problem['ctx']['error']}"
            ) from None
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, _sentence(problem)) from None
    _check_keys(raw)
    return found


def _sentence(problem: ErrorDetails) -> str:
    """What is wrong in our words: pydantic's are of its own types."""
    place = [str(part) for part in problem["loc"]]
    if not place:
        return "the body must be a JSON object"
    form = next((n for n, two in enumerate(pairwise(place), 1) if _is_branch(*two)), len(place))
    where = ".".join(place[:form])[:LONGEST_PLACE]
    if form < len(place):
        said = "must be a list of numbers, of lists of numbers, or of texts"
    else:
        said = _SAID.get(problem["type"], "is not what it must be")
    return f"the body: '{where}' {said.format_map(problem.get('ctx', {}))}"


def _is_branch(before: str, part: str) -> bool:
    """Whether a part of a place is one of the forms of a tensor's data, and no key."""
    return before == "data" and part.startswith(_BRANCH)


def _check_keys(raw: bytes) -> None:
    """Refuses a key that an object has twice: pydantic takes the last, which may be another's.

    Args:
        raw: JSON that pydantic has read, so that it is not too deep.

    Raises:
        RefusedError: Naming the key.
    """
    try:
        # whole numbers stay text: Python refuses very long ones
        json.loads(raw.decode(), object_pairs_hook=_once, parse_int=str, strict=False)
    except (ValueError, RecursionError):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Nothing of an object is kept, whatever its size."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) == len(keys):
        return
    seen = set[str]()
    twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    shown = twice if len(twice) < LONGEST_KEY else f"{twice[:LONGEST_KEY]}..."
    raise RefusedError(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"the body: the key '{shown}' is twice in one object"
    )
