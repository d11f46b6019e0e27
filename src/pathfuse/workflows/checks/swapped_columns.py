"""An expert whose columns have each other's names."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from pathfuse.workflows.checks.agreement import Agreement, agreements
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence

BETTER = 0.15
"""So much higher must AUROC or Pearson's r be than with their own columns, and than chance, on average
over the outcomes that move."""
SURE = 4.0
"""Standard errors of all these gains together: the best of many orders is looked at."""
SHOWN = 3


class _Move(NamedTuple):
    """An outcome that another outcome's column ranks better than its own."""

    name: str
    column: str
    own: float
    """Agreement with its own column."""
    other: float


class SwappedColumns(Check):
    """Of two classes the check ``wrong way round`` sees it."""

    name: ClassVar[str] = "swapped columns"
    looks_for: ClassVar[str] = (
        "an expert whose columns of three or more classes, of labels or of targets have each other's names"
    )
    threshold: ClassVar[str] = (
        "in the order of its columns that fits the truth best on the fit rows, the AUROC (one class against "
        "the rest, or a label) or Pearson r of those that move is on average 0.15 higher than with their own "
        "columns, together by 4 standard errors, with 10 rows of each (of targets: 5 patients): classes that "
        "are merely alike share their columns' ranks and gain nothing"
    )
    way_forward: ClassVar[str] = "give each column its own name"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert."""
        for name, agreement in agreements(evidence, FEWEST):
            moves = _moves(agreement)
            if moves:
                yield (
                    f"{name} has its columns in another order: on the {evidence.open_words}, "
                    f"{_shown(moves, agreement.unit)}; {self.way_forward}"
                )


def _shown(moves: list[_Move], unit: str) -> str:
    shown = ", ".join(
        f"'{m.name}' is ranked by the column of '{m.column}' ({unit} {m.other:.3f}), "
        f"not by its own ({m.own:.3f})"
        for m in moves[:SHOWN]
    )
    more = f" and {len(moves) - SHOWN} more" if len(moves) > SHOWN else ""
    return f"{shown}{more}"


def _moves(agreement: Agreement) -> list[_Move]:
    """The outcomes that move, if together they gain much and surely; else none."""
    values, names = agreement.values, agreement.names
    order = linear_sum_assignment(-np.nan_to_num(values))[1]
    moved = np.flatnonzero((order != np.arange(len(names))) & agreement.enough)
    columns = order[moved]
    gain = float((values[moved, columns] - values[moved, moved]).sum())
    above_chance = float((values[moved, columns] - agreement.chance).sum())
    if len(moved) < 2 or not min(gain, above_chance) >= BETTER * len(moved):
        return []
    if not gain >= SURE * agreement.error_of_gain(moved, columns):
        return []
    return [
        _Move(names[k], names[j], float(values[k, k]), float(values[k, j]))
        for k, j in zip(moved.tolist(), columns.tolist(), strict=True)
    ]
