"""Which studies share patients: five genes on the same slides are no five independent tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.tables import read_table, text_column
from pathfuse.workflows.suite.cards import Card


def read_cohorts(file: Path, studies: Sequence[str]) -> dict[str, str]:
    """A table with the columns ``study`` and ``cohort``; studies that it leaves out are allowed.

    Raises:
        InputError: A study is unknown or named twice, or a cell is empty.
    """
    table = read_table(file)
    given: dict[str, str] = {}
    columns = (text_column(table, name) for name in ("study", "cohort"))
    for row, (study, cohort) in enumerate(zip(*columns, strict=True), start=1):
        if study is None or cohort is None:
            raise InputError(f"{file}: row {row} is not complete")
        if study not in studies:
            raise InputError(f"{file}, column 'study': '{study}' is not one of the studies")
        if study in given:
            raise InputError(f"{file}, column 'study': '{study}' occurs twice")
        given[study] = cohort
    return given


def shared_cohorts(cards: Mapping[str, Card]) -> dict[str, str]:
    """One cohort per study, so that studies whose cards have a cohort in common get the same one.

    Args:
        cards: By study, for those that have a card.
    """
    groups: list[set[str]] = []
    for card in cards.values():
        touching = [group for group in groups if group & set(card.cohorts)]
        groups = [group for group in groups if group not in touching] + [
            set(card.cohorts).union(*touching)
        ]
    named = {cohort: " + ".join(sorted(group)) for group in groups for cohort in group}
    return {study: named[card.cohorts[0]] for study, card in cards.items()}
