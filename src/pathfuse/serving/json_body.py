"""A JSON body, checked against the form that it must have."""

import json
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pathfuse.serving.refused import RefusedError

LONGEST_KEY = 60
"""Characters of a key that are shown."""


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
                HTTPStatus.BAD_REQUEST, f"the body is not JSON: {problem['msg']}"
            ) from None
        where = ".".join(str(part) for part in problem["loc"]) or "the body"
        said = problem["msg"][:1].lower() + problem["msg"][1:]
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"the body, '{where[:200]}': {said}"
        ) from None
    _check_keys(raw)
    return found


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
