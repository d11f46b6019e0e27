"""Which sheet of a workbook is the table: the one that is named, or the first that can be it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS


@dataclass(frozen=True)
class Sheet:
    """The beginning of one sheet."""

    number: int
    """Its place in the workbook, from 0."""
    name: str
    visible: bool = True
    first_row: tuple[str, ...] = ()
    """The names of its columns, if it is a table."""
    has_rows: bool = False
    """Whether anything stands below the first row."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns in small letters; empty where it is not a table."""
        names = tuple(name.strip(BLANKS).lower() for name in self.first_row)
        return names if self.has_rows and sum(map(bool, names)) > 1 else ()

    def names_samples(self, ids: Collection[str]) -> bool:
        """Whether one of its columns is called as samples or patients are, or is an index without
        a name.
        """
        return any(name in ids for name in self.columns) or self.columns[:1] == ("",)

    def can_be_meant(self, ids: Collection[str]) -> bool:
        """Whether it is a table, and one of samples if names of those are known."""
        return self.names_samples(ids) if ids else bool(self.columns)


@dataclass(frozen=True)
class Chosen:
    """The sheet that is read."""

    number: int
    name: str
    why: str = ""
    """Why it is not the first, for a note."""


def choose_sheet(
    source: str, sheets: Sequence[Sheet], wanted: str | None, ids: Collection[str]
) -> Chosen:
    """The sheet that is named; else the first that is not hidden, if it can be the table.

    The first is passed over where its columns name no samples and those of one other sheet do, and
    where it is not a table at all and one other is.

    Args:
        source: The workbook, for messages.
        sheets: All its sheets.
        wanted: The name that was given.
        ids: What a column of samples or patients is called, in small letters; empty if it is not
            known.

    Raises:
        InputError: No sheet has the name, none can be seen, or several could be meant.
    """
    if wanted is not None:
        return _named(source, sheets, wanted)
    seen = [sheet for sheet in sheets if sheet.visible]
    if not seen:
        raise InputError(f"{source} has no sheet that can be seen")
    first, others = seen[0], seen[1:]
    if first.can_be_meant(ids):
        return Chosen(first.number, first.name)
    lacking = "no column of samples or patients"
    found = [sheet for sheet in others if sheet.names_samples(ids)] if ids else []
    if not found and not first.columns:
        lacking = "no table"
        found = [sheet for sheet in others if sheet.columns]
    if len(found) > 1:
        there = ", ".join(f"'{sheet.name}'" for sheet in found)
        raise InputError(
            f"{source}: the first sheet, '{first.name}', has {lacking}, and {len(found)} others could be meant "
            f"({there}); say which: {source}#{found[0].name}"
        )
    if found:
        why = f", since the first, '{first.name}', has {lacking}"
        return Chosen(found[0].number, found[0].name, why)
    return Chosen(first.number, first.name)


def _named(source: str, sheets: Sequence[Sheet], wanted: str) -> Chosen:
    """The sheet of a name; the case of letters counts only where two names differ by it.

    Raises:
        InputError: There is none.
    """
    same = [sheet for sheet in sheets if sheet.name == wanted]
    found = same or [sheet for sheet in sheets if sheet.name.lower() == wanted.lower()]
    if len(found) != 1:
        there = ", ".join(f"'{sheet.name}'" for sheet in sheets)
        raise InputError(f"{source} has no sheet '{wanted}'; its sheets are {there}")
    return Chosen(found[0].number, found[0].name)
