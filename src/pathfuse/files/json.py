"""Reading JSON."""

import json
from pathlib import Path
from typing import Any

from pathfuse.errors import InputError


def read_json(file: Path, named: str = "") -> Any:
    """The content of a JSON file.

    Args:
        file: The file.
        named: What it is, in front of its name in sentences, such as ``the split file``.

    Raises:
        InputError: It cannot be read, or is not a JSON.
    """
    what = f"{named} {file}".strip()
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8 is a ValueError, too
        raise InputError(f"{what} is not JSON: {error}") from error


def read_object(file: Path) -> dict[str, Any]:
    """What a JSON file of ours says.

    Empty if there is none that can be read, or if it holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
