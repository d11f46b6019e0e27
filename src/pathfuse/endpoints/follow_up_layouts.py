"""Follow-up in other columns than one time and one event: as the GDC writes it, and the pairs of
cBioPortal and UCSC Xena (``DFS_MONTHS`` and ``DFS_STATUS``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from pathfuse.endpoints.follow_up import FOLLOW_UP, observed
from pathfuse.errors import InputError
from pathfuse.files.fields import with_our_names
from pathfuse.files.tables import Table

_GDC = r"(?i)(?:.*\.)?{}"
"""Exports of the GDC put the name of a node in front: ``demographic.days_to_death``."""
_DEATH = _GDC.format("days_to_death")
_LAST = _GDC.format("days_to_last_follow_?up")
_VITAL = _GDC.format("vital_status")
_STEM = r"(?i)(DFS|PFS|DSS|PFI|DFI|RFS|EFS)"
_TIME = _STEM + r"[_.](?:months|days|years|time)"
_EVENT = _STEM + r"(?:[_.](?:status|event))?"
_LIKE_FOLLOW_UP = r"(?i).*(?:months|days|survival|follow_?up|[_.]time|status|event|censor|death|dead|deceased).*|time"


def with_follow_up(table: Table, chosen: Mapping[str, str]) -> tuple[Table, dict[str, str]]:
    """The table with ``time`` and ``event`` where it has them in one of these layouts.

    Nothing is changed where the usual names of columns are enough, or where a time was chosen.

    Returns:
        The table, and our name to the table's.

    Raises:
        InputError: It has several such pairs.
    """
    known, _ = with_our_names(table, FOLLOW_UP, chosen)
    if "time" in chosen or "time" in known.frame.columns:
        return table, {}
    return _gdc(table, chosen) or _pair(table, chosen) or (table, {})


def _only(header: Sequence[str], pattern: str) -> str | None:
    found = [name for name in header if re.fullmatch(pattern, name)]
    return found[0] if len(found) == 1 else None


def _gdc(table: Table, chosen: Mapping[str, str]) -> tuple[Table, dict[str, str]] | None:
    header = table.frame.columns
    death, last = _only(header, _DEATH), _only(header, _LAST)
    own = "event" if "event" in header else None
    event = chosen.get("event") or own or _only(header, _VITAL)
    if death is None or last is None or event is None or event not in header:
        return None
    died = observed(event, table.frame[event]) == "1"
    time = pl.select(
        pl.when(died).then(table.frame[death].cast(pl.String))
        .otherwise(table.frame[last].cast(pl.String)).alias("time")
    ).to_series()  # fmt: skip
    frame = table.frame if event == "event" else table.frame.drop("event", strict=False)
    frame = frame.rename({event: "event"}).with_columns(time)
    names = {"time": f"{death} (of the dead) or {last} (of all others)", "event": event}
    return replace(table, frame=frame), {ours: name for ours, name in names.items() if ours != name}


def _pair(table: Table, chosen: Mapping[str, str]) -> tuple[Table, dict[str, str]] | None:
    if "event" in chosen:
        return None
    times, events = _by_stem(table, _TIME), _by_stem(table, _EVENT)
    both = [stem for stem in times if stem in events]
    if not both:
        return None
    if len(both) > 1:
        ways = " or ".join(f"--columns time={times[s]},event={events[s]}" for s in both)
        raise InputError(f"{table.source} has {len(both)} kinds of follow-up; say which: {ways}")
    time, event = times[both[0]], events[both[0]]
    frame = table.frame.drop("event", strict=False).rename({time: "time", event: "event"})
    return replace(table, frame=frame), {"time": time, "event": event}


def _by_stem(table: Table, pattern: str) -> dict[str, str]:
    found = ((re.fullmatch(pattern, name), name) for name in table.frame.columns)
    return {match[1].upper(): name for match, name in found if match}


def follow_up_hint(header: Sequence[str]) -> str:
    """How to name the columns of a follow-up, where some look like one; empty if none does."""
    if not any(re.fullmatch(_LIKE_FOLLOW_UP, name) for name in header):
        return ""
    return (
        "; --columns time=NAME,event=NAME says which hold a follow-up (censorship=NAME in place of event=NAME if "
        "1 means censored or alive)"
    )
