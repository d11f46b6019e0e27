"""Cells of text that a spreadsheet would run as a formula: written so that it does not, and read back
as they were.

A cell that begins, after any apostrophes, with a sign of a formula gets one apostrophe more, and one
apostrophe before such a cell is taken away. So every text is read as it was written, also one that
begins with an apostrophe itself. Numbers and lone signs (``+++``) are not run, and stay.
"""

from collections.abc import Sequence

import polars as pl

RUN = r"^'*[=+\-@\t\r\n＝＋－＠]"
"""How cells begin that are run, or whose first sign is passed over; also by the wide signs that
Japanese spreadsheets take for the same."""
NOT_RUN = (
    r"^'*(?:[+-]+|[+-]?[0-9.,]*[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?%?|(?i:[+-](?:inf|infinity|nan)))$"
)
"""Signs and numbers."""
MARK = "'"


def guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """A table as it is written to text: names of columns and cells of text are not run.

    Examples:
        >>> guarded(pl.DataFrame({"id": ["=1+1", "'=1+1", "-1.5", "+"]}))["id"].to_list()
        ["'=1+1", "''=1+1", '-1.5', '+']
    """
    texts = [
        name
        for name, kind in frame.schema.items()
        if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum)
    ]
    cells = {name: frame[name].cast(pl.String) for name in texts}
    changed = [_guarded(cell) for cell in cells.values() if cell.str.contains(RUN).any()]
    names = _guarded(pl.Series(frame.columns, dtype=pl.String)).to_list()
    return frame.with_columns(changed).rename(dict(zip(frame.columns, names, strict=True)))


def unguarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The cells of a table of text or of a spreadsheet, as they were before ``guarded``.

    Args:
        frame: All its columns are text.
    """
    marked = [name for name in frame.columns if frame[name].str.starts_with(MARK).any()]
    return frame.with_columns(_unguarded(frame[name]) for name in marked)


def unguarded_names(names: Sequence[str]) -> list[str]:
    """The names of columns, as they were before ``guarded``."""
    return _unguarded(pl.Series(names, dtype=pl.String)).to_list()


def _guarded(cells: pl.Series) -> pl.Series:
    return _chosen(cells, _runs(pl.col("cell")), MARK + pl.col("cell"))


def _unguarded(cells: pl.Series) -> pl.Series:
    rest = pl.col("cell").str.slice(1)
    return _chosen(cells, pl.col("cell").str.starts_with(MARK) & _runs(rest), rest)


def _runs(cell: pl.Expr) -> pl.Expr:
    return cell.str.contains(RUN) & ~cell.str.contains(NOT_RUN)


def _chosen(cells: pl.Series, where: pl.Expr, changed: pl.Expr) -> pl.Series:
    """Cells, changed where a condition on ``cell`` holds."""
    cell = cells.alias("cell").to_frame()
    return cell.select(pl.when(where).then(changed).otherwise("cell")).to_series().alias(cells.name)
