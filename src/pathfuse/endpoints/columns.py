"""Columns of one table as arrays, with the words to complain about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pathfuse.errors import InputError


@dataclass(frozen=True)
class Columns:
    """What an endpoint reads: named columns of equal length."""

    source: str
    """The file, or what stands for it, as a person would name it."""
    ids: Sequence[str]
    """``sample_id`` of each row."""
    values: dict[str, np.ndarray]
    """Column name to values: text (object, None = empty) of a samples table, float64 of a prediction table."""

    def wrong(self, column: str, row: int, what: str) -> InputError:
        """The error for one cell."""
        return InputError(f"{self.source}, column '{column}', sample '{self.ids[row]}': {what}")


def number_text(value: float) -> str:
    """A number as a person would type it."""
    return f"{value:g}"
