"""The cells of a leaderboard as numbers, and what of them is left out or not understood."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.importers.metric_names import find_metric
from pathfuse.study.importers.printed_numbers import Printed, printed

Values: TypeAlias = "Sequence[float | None]"
NEARLY = re.compile(r"^[\s*_]*[0-9]{0,3}[.,][0-9]+\s*[-–/~;|]\s*[0-9.]")
"""What looks like scores and cannot be read as one: ``0.61-0.92``, ``0.81 / 0.79``."""
SHARES_AND_PER_CENT = 10.0
"""A column with shares in it, whose largest number is above this, mixes them with per cent."""


@dataclass(frozen=True)
class Cells:
    """Columns of a table, read as numbers."""

    source: str
    rows: Sequence[str]
    """What each row is called."""
    texts: Mapping[str, Sequence[str | None]]
    """Column to its cells as they stand."""
    numbers: Mapping[str, Sequence[Printed | None]]
    """The same as numbers."""

    @property
    def values(self) -> dict[str, Values]:
        """Column to its values."""
        return {
            name: [None if cell is None else cell.value for cell in own]
            for name, own in self.numbers.items()
        }

    def check(self, columns: Sequence[str], rows: Sequence[int]) -> None:
        """Complains about cells that hold scores.

        Raises:
            InputError: A cell has figures and is not understood, or its comma may stand for thousands.
        """
        for name in columns:
            for row in rows:
                text, cell = self.texts[name][row], self.numbers[name][row]
                place = f"{self.source}, column '{name}', '{self.rows[row]}'"
                if cell is None and text is not None and any(letter.isdigit() for letter in text):
                    raise InputError(
                        f"{place}: '{text}' is not understood as one number; write the value alone, or with its spread "
                        "behind it, such as 0.81 ± 0.02 or 0.81 (0.79-0.83)"
                    )
                if cell is not None and cell.in_doubt:
                    raise InputError(
                        f"{place}: the comma of '{text}' may stand for thousands or for decimals; write the number "
                        "with a point"
                    )

    def check_unread(self, columns: Sequence[str]) -> None:
        """Complains about columns of words that look like scores.

        Raises:
            InputError: One has cells such as ``0.61-0.92``.
        """
        for name in columns:
            odd = next((text for text in self.texts[name] if NEARLY.match(text or "")), None)
            if odd is not None:
                raise InputError(
                    f"{self.source}, column '{name}': '{odd}' is not understood as one number; write one value, also "
                    "with its spread behind it (0.81 ± 0.02 or 0.81 (0.79-0.83)), or take the column out"
                )

    def check_scale(self, study: str, places: Sequence[tuple[str, int]]) -> None:
        """Complains about a study whose values are shares and per cent.

        Args:
            study: The study.
            places: Column and row of each of its values.

        Raises:
            InputError: They seem to be mixed.
        """
        cells = [self.numbers[column][row] for column, row in places]
        there = [cell for cell in cells if cell is not None]
        signs = {cell.per_cent for cell in there}
        sizes = [abs(cell.value) for cell in there] or [0.0]
        metric = find_metric(study)
        shares = any(0 < size < 1 for size in sizes) and max(sizes) > SHARES_AND_PER_CENT
        if len(signs) > 1 or (shares and (metric is None or metric.lower_is_better is False)):
            raise InputError(
                f"{self.source}: the values of '{study}' seem to mix shares and per cent (from {min(sizes):g} to "
                f"{max(sizes):g}{', some with a sign for per cent' if len(signs) > 1 else ''}); write all of them in "
                "one way, or take them out if they are no scores"
            )

    def notes(self, columns: Sequence[str]) -> list[str]:
        """What stands behind the numbers and is left out."""
        behind = [
            text
            for name in columns
            for text, cell in zip(self.texts[name], self.numbers[name], strict=True)
            if cell is not None and cell.behind
        ]
        if not behind:
            return []
        note = (
            f"{self.source}: of {len(behind)} cells such as '{behind[0]}' the value is read, and what stands behind "
            "it (in brackets, or with ±) is left out"
        )
        return [note]


def read_cells(table: Table, rows: Sequence[str], columns: Sequence[str]) -> Cells:
    """Reads columns of a table.

    Args:
        table: The table.
        rows: What each row is called.
        columns: Which columns.
    """
    texts = {name: text_column(table, name) for name in columns}
    numbers = {name: [printed(cell) for cell in own] for name, own in texts.items()}
    return Cells(table.source, rows, texts, numbers)
