"""Columns of one table as arrays, with the words to complain about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.table import not_a_number


@dataclass(frozen=True)
class Columns:
    """What an endpoint reads: named columns of equal length."""

    source: str
    """The file, or what stands for it, as a person would name it."""
    ids: Sequence[str]
    """``sample_id`` of each row."""
    values: dict[str, np.ndarray]
    """Column name to values: text (object, None = empty) of a samples table, float64 of a
    prediction table."""
    header: tuple[str, ...] = ()
    """Names of all columns of a prediction table; ``values`` has those that carry predictions."""

    def wrong(self, column: str, row: int, what: str) -> InputError:
        """The error for one cell."""
        return InputError(f"{self.source}, column '{column}', sample '{self.ids[row]}': {what}")

    def number(self, column: str, row: int) -> float:
        """One cell of a samples table as a number; NaN where empty.

        Raises:
            InputError: It is not a number.
        """
        text = self.values[column][row]
        try:
            return float("nan") if text is None else float(text)
        except ValueError:
            raise self.wrong(column, row, not_a_number(text)) from None

    def check_finite(self, names: Sequence[str], table: np.ndarray) -> None:
        """Refuses NaN and infinite cells of a prediction table.

        Raises:
            InputError: Naming the first such cell.
        """
        bad = np.argwhere(~np.isfinite(table))
        if len(bad):
            row, k = bad[0]
            shown = (
                "empty or not a number (NaN)"
                if np.isnan(table[row, k])
                else f"infinite ({table[row, k]:g})"
            )
            what = f"the value is {shown}; leave the row out if the expert did not score the sample"
            raise self.wrong(names[k], row, what)


RISK = "risk"
"""The column of an expert of survival that gives a risk and no hazards."""
YES = frozenset({"1", "1.0", "true", "yes", "positive"})
NO = frozenset({"0", "0.0", "false", "no", "negative"})
"""Words for yes and no, in small letters."""


def flags(column: pl.Series, yes: frozenset[str] = YES, no: frozenset[str] = NO) -> pl.Series:
    """A column of words for yes and no as ``1`` and ``0``; any other cell stays as it is.

    A number in front of a word, as in cBioPortal's ``1:DECEASED``, is what counts.
    """
    text = column.cast(pl.String)
    plain = text.str.to_lowercase()
    word = pl.select(pl.coalesce(plain.str.extract(r"^([01]):\s*\D"), plain)).to_series()
    return pl.select(
        pl.when(word.is_in(sorted(yes))).then(pl.lit("1"))
        .when(word.is_in(sorted(no))).then(pl.lit("0"))
        .otherwise(text)
        .alias(column.name)
    ).to_series()  # fmt: skip


def number_text(value: float) -> str:
    """A number as a person would type it."""
    return f"{value:g}"
