"""Time and event of a follow-up, from the words that tables have for them."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from pathfuse.endpoints.base import Understood
from pathfuse.endpoints.columns import NO, YES, Columns, flags
from pathfuse.errors import InputError
from pathfuse.files.fields import Field
from pathfuse.files.tables import Table

OBSERVED = YES | {
    "deceased",
    "dead",
    "event",
    "died",
    "uncensored",
    "recurred",
    "progressed",
    "recurred/progressed",
}
CENSORED = NO | {"living", "alive", "censored", "diseasefree", "disease free", "progression-free"}
CENSORSHIP = "censorship"
"""What a column in which 1 means censored is called, and the word of ``--columns`` for one."""
TURNED = (CENSORSHIP, "censored", "censoring", "censor")
"""Columns that are known by their names alone, and say 1 where nothing was observed."""
_SAYS_CENSORED = r"(?:(?<!li)cens(?!us)|zens)"
_SAYS_ALIVE = r"\b(?:alive|living|survived|survivors?|lebend|lebt)\b"
_FREE_OF = "disease|progression|event|recurrence|relapse|metastas[ie]s|failure|tumou?r"
_SAYS_FREE = rf"\b(?:(?:{_FREE_OF}) ?free|(?:is )?surv) ?$"
"""At the end of a name alone: a ``disease_free_status`` or ``surv_time`` is something else."""
_SAYS_EVENT = (
    r"\b(?:events?|deaths?|dead|died|deceased|fail\w*|relapse\w*|recurr\w*|progress\w*|tot)\b"
)
_NOT = r"(?:\b(?:not|no(?: longer| more)?|non|un|nicht(?: mehr)?|kein\w*) ?|\bun)"
"""Parts of names, of small letters and single blanks."""
FOLLOW_UP = (
    Field(
        "time",
        "time",
        ("os_months", "os.months", "survival_months", "survival_time", "time_months", "follow_up_months",
         "followup_months", "months", "os_days", "survival_days", "time_days", "days", "os.time", "os_time",
         "time_to_event", "futime", "duration"),
    ),
    Field(
        "event",
        "event",
        ("os_status", "os", "vital_status", "event_observed", "death", "dead", "deceased", "status",
         *TURNED),
    ),
)  # fmt: skip
EVENT_NAMES = ("event", *FOLLOW_UP[1].others)
"""What a column of events may be called, in small letters."""
DAYS_IN = {"day": 1.0, "month": 30.4375, "year": 365.25}
"""Units of time by the word in a column's name."""
NEARLY_ALL, CHANCE = 0.95, 0.01
"""Share of one value of ``event`` among rows without a time, and how rare that must be by chance,
for the rows not to be left out without a word."""
HALF_DAY, DROP = "half-day", "drop"
ZERO, NONE = "a follow-up of 0", "no follow-up"


def understood_follow_up(
    table: Table, names: Mapping[str, str], zero_time: str | None
) -> Understood:
    """Words become 1 and 0, ``censorship`` is turned round, and rows without follow-up are of no use.

    Args:
        table: With ``time`` and ``event``.
        names: What the table calls them, where that differs.
        zero_time: What becomes of a time of 0: ``half-day``, ``drop``, or an error.

    Raises:
        InputError: A time is 0 and nothing says what to do, or half a day has no length since the
            unit is not known.
    """
    name = names.get("event", "event")
    notes = _about_flags(table, name, flags(table.frame["event"]))
    event = observed(name, table.frame["event"])
    time = table.frame["time"].cast(pl.String).replace("", None)
    _check_words(table, name, event.set(time.is_null(), None))
    unusable: dict[str, list[int]] = {}
    none = (time.is_null() | event.is_null()).arg_true().to_list()
    objections: tuple[str, ...] = ()
    if none:
        unusable[NONE] = none
        objections = _one_sided(table, names.get("time", "time"), time, event)
    zero = ((time.cast(pl.Float64, strict=False) == 0) & event.is_not_null()).fill_null(False)
    if zero.any():
        n = int(zero.sum())
        if zero_time is None:
            row = table.frame["sample_id"][int(zero.arg_true()[0])]
            raise InputError(
                f"{table.source}, column '{names.get('time', 'time')}', sample '{row}': 0 is not a time above 0 "
                f"({n} such in all); "
                f"--zero-time {HALF_DAY} makes them half a day, --zero-time {DROP} leaves them out"
            )
        if zero_time == DROP:
            unusable[ZERO] = zero.arg_true().to_list()
        else:
            half = repr(0.5 / _days(table, names.get("time", "time")))
            time = pl.select(
                pl.when(zero).then(pl.lit(half)).otherwise(time).alias("time")
            ).to_series()
            notes.append(f"{table.source}: {n} times of 0 are taken as half a day ({half})")
    frame = table.frame.with_columns(time.alias("time"), event.alias("event"))
    return Understood(replace(table, frame=frame), tuple(notes), unusable, objections=objections)


def turned(name: str) -> bool:
    """Whether the name of a column says that 1 means censored, alive or free of an event.

    Examples:
        >>> [turned(name) for name in ("is_censored", "OS.cens", "isAlive", "uncensored", "death")]
        [True, True, True, False, False]
        >>> [turned(name) for name in ("disease_free", "disease_free_status", "nicht_zensiert")]
        [True, False, False]
    """
    says_so, event = _says(name)
    return says_so and not event


def _words(name: str) -> str:
    """The words of a column's name in small letters, with single blanks between them."""
    return re.sub(r"[^a-z]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _says(name: str) -> tuple[bool, bool]:
    """Whether a name says censored or alive, and whether it says that something happened."""
    words = _words(name)
    not_so = rf"{_NOT}{_SAYS_CENSORED}\w*|{_NOT}{_SAYS_ALIVE}|{_NOT}{_SAYS_FREE}"
    left = re.sub(_SAYS_FREE, "alive", re.sub(not_so, " event ", words))
    return bool(re.search(f"{_SAYS_CENSORED}|{_SAYS_ALIVE}", left)), bool(
        re.search(_SAYS_EVENT, left)
    )


def _about_flags(table: Table, name: str, given: pl.Series) -> list[str]:
    """What is done to the numbers and truth values of a column of events, where that is not plain.

    Raises:
        InputError: The name says both that something happened and that it did not.
    """
    if not given.is_in(["0", "1"]).any():
        return []
    if all(_says(name)):
        raise InputError(
            f"{table.source}: whether 1 in the column '{name}' means an event or a censored case cannot be told "
            f"by its name; if it means censored or alive, say --columns {CENSORSHIP}={name}, else call the "
            "column 'event'"
        )
    if not turned(name):
        return []
    free, alive = (re.search(said, _words(name)) for said in (_SAYS_FREE, _SAYS_ALIVE))
    what = "no event" if free else "alive" if alive else "censored"
    other = "" if name.lower() in TURNED else "; if 1 means an event, call the column 'event'"
    return [f"{table.source}: event is 1 minus the column '{name}', in which 1 means {what}{other}"]


def observed(name: str, column: pl.Series) -> pl.Series:
    """A column of events as 1 and 0.

    Numbers and truth values are turned round where the column's name says that 1 is censored; words
    such as ``dead`` or ``censored`` speak for themselves.
    """
    if not turned(name):
        return flags(column, OBSERVED, CENSORED)
    given = flags(column)
    opposite = pl.select(
        pl.when(given == "1").then(pl.lit("0")).when(given == "0").then(pl.lit("1"))
        .otherwise(given).alias("event")
    ).to_series()  # fmt: skip
    return flags(opposite, OBSERVED - YES, CENSORED - NO)


def _check_words(table: Table, name: str, event: pl.Series) -> None:
    """Refuses an event in a word that says neither.

    Raises:
        InputError: Naming the table's own column and the words that are understood.
    """
    wrong = (event.is_not_null() & event.cast(pl.Float64, strict=False).is_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        sample = table.frame["sample_id"][row]
        words = ", ".join(sorted(OBSERVED - YES)), ", ".join(sorted(CENSORED - NO))
        raise InputError(
            f"{table.source}, column '{name}', sample '{sample}': '{event[row]}' is neither 1 (observed; also "
            f"yes, true, {words[0]}) nor 0 (censored; also no, false, {words[1]}); leave the cell empty where "
            "it is not known"
        )


def _one_sided(table: Table, name: str, time: pl.Series, event: pl.Series) -> tuple[str, ...]:
    """Why rows without a time should not be left out: nearly all have one value of event.

    Chance is no reason: so many of one value, or more, must be drawn in fewer than one of
    ``1 / CHANCE`` cases, or else no row with this value may be left.
    """
    from scipy.stats import hypergeom  # not at the top: predict does without

    lost = time.is_null()
    for value, what, whose, elsewhere in (
        ("0", "censored", "the survivors' follow-up", "days_to_last_follow_up"),
        ("1", "cases with an event", "the time of their event", "days_to_death"),
    ):
        others = event == ("1" if value == "0" else "0")
        own = event == value
        n_lost, n_own = int((lost & (own | others)).sum()), int((lost & own).sum())
        n_all, n_value = int((own | others).sum()), int(own.sum())
        if not others.any() or n_own < 2 or n_own < NEARLY_ALL * n_lost:
            continue
        drawn = hypergeom.sf(n_own - 1, n_all, n_value, n_lost)
        if drawn < CHANCE or n_own == n_value:
            which = f"all {n_lost}" if n_own == n_lost else f"{n_own} of {n_lost}"
            sentence = (
                f"{table.source}, column '{name}': {which} samples that would be left out for lack of a time "
                f"are {what}; {whose} is perhaps in another column ({elsewhere}?)"
            )
            return (sentence,)
    return ()


def _days(table: Table, name: str) -> float:
    """Days in a unit of time, by the name of a column.

    Raises:
        InputError: The name has no unit.
    """
    unit = next((unit for unit in DAYS_IN if unit in name.lower()), None)
    if unit is None:
        raise InputError(
            f"{table.source}: half a day has no length since the column '{name}' does not say its unit; "
            f"name it time_days, time_months or time_years (--columns time=...), or say --zero-time {DROP}"
        )
    return DAYS_IN[unit]


def follow_up(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """``time`` and ``event`` as numbers.

    Raises:
        InputError: A time is missing or not positive, or an event is neither 0 nor 1.
    """
    time, event = np.empty(len(columns.ids)), np.empty(len(columns.ids))
    for row in range(len(columns.ids)):
        time[row] = columns.number("time", row)
        event[row] = columns.number("event", row)
        if not (time[row] > 0 and np.isfinite(time[row])):
            raise columns.wrong(
                "time", row, f"{columns.values['time'][row] or 'empty'} is not a time above 0"
            )
        if event[row] not in (0.0, 1.0):
            shown = columns.values["event"][row] or "empty"
            raise columns.wrong("event", row, f"{shown} is neither 1 (observed) nor 0 (censored)")
    return time, event
