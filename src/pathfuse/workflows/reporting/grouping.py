"""Groups of samples by columns of the samples table (``--by``)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.columns import number_text
from pathfuse.errors import InputError
from pathfuse.study.samples import Samples
from pathfuse.study.study import Study
from pathfuse.types import Index, PerSample

SITE = "site"
"""The column that is always looked at, where there is one."""
IDS = ("sample_id", "patient_id")
PARTS = ("split", "fold")
"""They say what is fitted and what is judged, and so have no groups inside the judged rows."""
MOST_NUMBERS = 10
"""A column with more different numbers than this is cut at its quartiles."""
N_QUANTILES = 4
BLANK = "(none)"


def named_columns(by: str | None) -> list[str]:
    """The columns that ``--by`` names, each once."""
    return list(dict.fromkeys(part.strip() for part in (by or "").split(",") if part.strip()))


def check_by(samples: Samples, endpoint: Endpoint, by: str | None) -> None:
    """Refuses columns that name no groups.

    Raises:
        InputError: A column is not there, is the target, an identifier, or the split, or has one
            value in all samples.
    """
    header = samples.frame.columns
    targets = endpoint.target_columns(header)
    free = [name for name in header if name not in (*IDS, *PARTS, *targets)]
    if by is not None and not named_columns(by):
        raise InputError("--by names no column; give some of the samples table, such as sex,stage")
    for name in named_columns(by):
        if name not in header:
            there = (
                f"those that can name groups are {', '.join(free)}" if free else "it has no other"
            )
            raise InputError(f"--by {name}: {samples.source} has no such column; {there}")
        reasons = {
            "is what is predicted": name in targets,
            "names samples or patients, not groups of them": name in IDS,
            "says which rows are judged and has no groups among them": name in PARTS,
            "holds lists, not names": samples.frame[name].dtype.is_nested(),
        }
        reason = next((words for words, true in reasons.items() if true), None)
        if reason is not None:
            raise InputError(f"--by {name}: the column {reason}")
        _check_values(samples, name)


def _check_values(samples: Samples, column: str) -> None:
    """Refuses a column that is empty or has one value."""
    cells, _ = _texts(samples.columns([column]).values[column])
    values = set(cells.tolist())
    if values == {None}:
        raise InputError(f"--by: the column '{column}' of {samples.source} is empty")
    if len(values) == 1:
        raise InputError(
            f"--by: the column '{column}' has one value ('{values.pop()}') in all samples, so there is "
            "nothing to compare"
        )


def columns_by(study: Study, by: str | None) -> list[str]:
    """Columns that name subgroups: ``site``, if there is one, and those asked for."""
    site = [SITE] if SITE in study.samples.frame.columns else []
    return list(dict.fromkeys([*site, *named_columns(by)]))


@dataclass(frozen=True)
class Grouping:
    """The groups of one column."""

    column: str
    names: tuple[str, ...]
    """In order; blank cells are the last group."""
    member: Int[np.ndarray, " sample"]
    """The group of every sample of the study."""
    numbers: PerSample | None = None
    """The values, where they were cut into groups; NaN where blank."""

    def divides(self, rows: Index) -> bool:
        """Whether some rows are in more than one group."""
        return len(np.unique(self.member[rows])) > 1

    @property
    def note(self) -> str:
        """That numbers were cut; empty where they were not."""
        if self.numbers is None:
            return ""
        named = ", ".join(name for name in self.names if name != BLANK)
        return f"--by {self.column}: its numbers are in quarters of the judged samples: {named}"


def grouping(study: Study, column: str, judged: Index) -> Grouping:
    """The groups of one column.

    Args:
        study: The study.
        column: One of its samples table.
        judged: Rows that are judged, of which quarters are made where there are many numbers.
    """
    cells = study.samples.columns([column]).values[column]
    numbers = _numbers(cells)
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > MOST_NUMBERS:
        return _quarters(column, numbers, judged)
    cells, order = _texts(cells)
    names = [*order, *([BLANK] if any(cell is None for cell in cells) else [])]
    position = {name: n for n, name in enumerate(names)}
    member = np.array([position[BLANK if cell is None else str(cell)] for cell in cells])
    return Grouping(column, tuple(names), member)


def _texts(cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The cells as texts, equal numbers alike and None where blank, and these in order."""
    numbers = _numbers(cells)
    if numbers is None:
        return cells, sorted({str(cell) for cell in cells if cell is not None})
    texts = [None if math.isnan(x) else number_text(x) for x in numbers.tolist()]
    order = [number_text(x) for x in np.unique(numbers[~np.isnan(numbers)]).tolist()]
    return np.array(texts, dtype=object), order


def _numbers(cells: Sequence[str | None] | np.ndarray) -> PerSample | None:
    """The cells as numbers; None if one of them is not, or all are blank."""
    found = np.full(len(cells), np.nan)
    for n, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            found[n] = float(cell)
        except ValueError:
            return None
        if not math.isfinite(found[n]):
            return None
    return None if np.isnan(found).all() else found


def _quarters(column: str, numbers: PerSample, judged: Index) -> Grouping:
    """Groups between quartiles; they are named by the judged values that they hold."""
    own = numbers[judged][~np.isnan(numbers[judged])]
    source = own if len(own) else numbers[~np.isnan(numbers)]
    shares = np.arange(1, N_QUANTILES) / N_QUANTILES
    cuts = np.unique(np.quantile(source, shares))
    group = np.searchsorted(cuts, numbers, side="left")
    inside = np.searchsorted(cuts, source, side="left")
    kept = np.unique(inside)
    # A group that only rows without a verdict lie in joins its neighbour.
    member = np.minimum(np.searchsorted(kept, group, side="left"), len(kept) - 1)
    names = [_span(source[inside == g]) for g in kept.tolist()]
    if np.isnan(numbers).any():
        member[np.isnan(numbers)] = len(names)
        names.append(BLANK)
    return Grouping(column, tuple(names), member, numbers)


def _span(values: PerSample) -> str:
    low, high = number_text(float(values.min())), number_text(float(values.max()))
    return low if low == high else f"{low} to {high}"
