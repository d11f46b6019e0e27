"""The one door for JSON: files are read with limits, and a key that stands twice in one place is refused."""

import json
import re
from pathlib import Path
from typing import Any

from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special

MAX_MB = 64
"""A file of ours has a few; parsed, it takes up to twenty times as much memory."""
MAX_DEPTH = 100
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a character: it can be written in JSON, and nowhere else."""


def read_json(file: Path, named: str = "", max_mb: int = MAX_MB) -> Any:
    """The content of a JSON file.

    Args:
        file: The file.
        named: What it is, in front of its name in sentences, such as ``the split file``.
        max_mb: A larger one is refused.

    Raises:
        InputError: It cannot be read, is too large, or is not JSON.
    """
    what = f"{named} {file}".strip()
    refuse_special(file, named)
    try:
        size = file.stat().st_size
        if size > max_mb * 2**20:
            raise InputError(f"{what} has {size / 2**20:.0f} MB; at most {max_mb} MB are read")
        return parse_json(file.read_text(encoding="utf-8"))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # no UTF-8 is a ValueError, too
        raise InputError(f"{what} is not JSON: {error}") from error


def read_object(file: Path) -> dict[str, Any]:
    """What a JSON file of ours says.

    Empty if there is none that can be read, or if it holds something else.
    """
    try:
        content = read_json(file)
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises:
        ValueError: It is none, a key stands twice in one place, a number is infinite or NaN, or it
            is nested too deeply.

    Examples:
        >>> parse_json('{"a": [1, 2.5]}')
        {'a': [1, 2.5]}
        >>> parse_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: the key 'a' stands twice in one place
    """
    try:
        content = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from None
    if _deeper(content, MAX_DEPTH):
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    if SURROGATE.search(text):
        json.dumps(content, ensure_ascii=False).encode()
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for n, name in enumerate(names) if name in names[:n])
        raise ValueError(f"the key '{twice[:100]}' stands twice in one place")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), -float("inf")):
        raise ValueError(f"{text[:40]} is not a number that a computer can hold")
    return number


def _deeper(content: Any, most: int) -> bool:
    """Whether something is nested more deeply than it may be."""
    level = [content]
    for _ in range(most):
        level = [one for outer in level for one in _inside(outer)]
        if not level:
            return False
    return True


def _inside(content: Any) -> list[Any]:
    found = list(content.values()) if isinstance(content, dict) else content
    return [one for one in found if isinstance(one, dict | list)] if isinstance(found, list) else []
