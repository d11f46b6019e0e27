"""What a table has and a study does not use: counted, said, and never more than half in silence."""

from collections.abc import Sequence
from typing import Any

from pathfuse.errors import InputError
from pathfuse.study.reading import Reading

SHOWN = 5
"""Names that a line lists."""


def line_of(reason: str, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """A line of ``left_out`` in the manifest."""
    return {**more, "reason": reason, "n": len(names), "first": list(names[:SHOWN])}


def check_left_out(
    source: str, reason: str, names: Sequence[str], n_all: int, reading: Reading, what: str
) -> None:
    """Refuses to leave out what must stay.

    Args:
        source: The table.
        reason: Why rows are left out, in words.
        names: Their names.
        n_all: How many rows there are.
        reading: ``strict`` refuses any, ``allow_partial`` allows more than half.
        what: What the rows are: ``samples``, ``predictions``.

    Raises:
        InputError: As ``reading`` says.
    """
    if not names:
        return
    some = ", ".join(f"'{name}'" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    if reading.strict:
        raise InputError(f"{source}: {reason}: {some}{more}; without --strict they are left out")
    if 2 * len(names) > n_all and not reading.allow_partial:
        raise InputError(
            f"{source}: {len(names)} of {n_all} {what} would be left out ({reason}: {some}{more}); "
            "if that is right, say --allow-partial"
        )
