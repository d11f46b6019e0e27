"""``heads: auto`` in ``study.yaml``: one entry that stands for the default heads of each encoder."""

from collections.abc import Mapping
from typing import Any

from pathfuse.experts.heads.registry import default_heads

KEY, AUTO = "heads", "auto"
READS = {"tile": "bags of tiles", "slide": "one vector per slide"}


def is_auto(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of ``experts`` stands for several heads."""
    return KEY in entry


def expanded(entry: dict[str, Any], granularity: str | None = None) -> list[dict[str, Any]]:
    """The entries that one entry of ``experts`` stands for: itself, or one per default head.

    Args:
        entry: As written; what stands next to ``heads`` belongs to every head.
        granularity: What an encoder's files hold; None: not known yet, so that the default heads of
            all kinds are meant.

    Raises:
        ValueError: ``heads`` is not ``auto``, or a head or name stands next to it.
    """
    if not is_auto(entry):
        return [entry]
    if entry[KEY] != AUTO:
        raise ValueError(
            f"'heads' must be auto, not {entry[KEY]!r}; a single one is named by 'head'"
        )
    rest = {key: value for key, value in entry.items() if key != KEY}
    odd = next((key for key in ("head", "name") if key in rest), None)
    if odd is not None:
        raise ValueError(f"'heads: auto' names its heads itself; leave '{odd}' out")
    return [{"head": head, **rest} for head in default_heads(granularity)]


def plan_line(granularity: Mapping[str, str]) -> str:
    """Which heads ``auto`` is, in words.

    Args:
        granularity: What each encoder's files hold.

    Examples:
        >>> plan_line({"uni": "slide"})
        'heads: auto is tile_mlp, pooled_linear, pooled_kernel, pooled_forest of uni (one vector per slide)'
    """
    kinds = sorted(set(granularity.values()), reverse=True)
    parts = []
    for kind in kinds:
        encoders = ", ".join(name for name, one in granularity.items() if one == kind)
        parts.append(f"{', '.join(default_heads(kind))} of {encoders} ({READS[kind]})")
    return "heads: auto is " + "; ".join(parts)
