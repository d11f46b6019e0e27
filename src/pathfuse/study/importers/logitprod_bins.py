"""Time bins of LogitProd's survival experts: mostly [a, b) on disk, (a, b] in the contract.

See docs/design/logitprod.md, section 1.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from pathfuse.errors import InputError
from pathfuse.study.importers.imported import edges_text
from pathfuse.study.importers.logitprod_files import DumpPart, Log

NAMES = ("the bin Y", "the censored flag", "the time")
"""Columns of the survival labels."""


@dataclass(frozen=True)
class TimeBins:
    """T bins between T + 1 edges."""

    edges: tuple[float, ...]
    left_closed: bool

    def bin_of(self, time: Float[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
        """Bin of each time, from 1; 0 if the time lies outside the edges."""
        inner = np.array(self.edges[1:-1])
        bins = np.searchsorted(inner, time, side="right" if self.left_closed else "left") + 1
        return np.where((time > self.edges[0]) & (time <= self.edges[-1]), bins, 0)

    def right_closed(self) -> tuple[float, ...]:
        """The edges for (a, b] bins: each inner edge of [a, b) bins moves to the next smaller
        float.
        """
        first, *inner, last = self.edges
        moved = (
            [float(np.nextafter(edge, -np.inf)) for edge in inner] if self.left_closed else inner
        )
        return (first, *moved, last)


def time_bins(
    edges: tuple[float, ...] | None, left_closed: bool, parts: Sequence[DumpPart]
) -> TimeBins:
    """The bins, from what the user gave.

    Args:
        edges: ``--time-edges``; None if they were not given.
        left_closed: Whether the experts' bins are [a, b).
        parts: All parts read; for the number of bins, and to propose edges.

    Raises:
        InputError: The edges are missing, not increasing, or not one more than the hazards.
    """
    n_bins = parts[0].values.shape[1]
    if edges is None:
        raise InputError(
            f"{parts[0].file} has hazards of {n_bins} time bins, but no file of the dump holds the bins' edges: "
            f"give the {n_bins + 1} edges that the experts were trained with, --time-edges 0,...,inf"
            f"{_proposal(parts, n_bins)}"
        )
    text = edges_text(edges)
    if any(not low < high for low, high in pairwise(edges)) or not edges[0] >= 0:
        raise InputError(
            f"--time-edges {text} must start at 0 or above and increase from number to number"
        )
    if len(edges) != n_bins + 1:
        raise InputError(
            f"--time-edges {text} has {len(edges)} numbers, but {parts[0].file} has {n_bins} time bins, "
            f"which need {n_bins + 1}"
        )
    return TimeBins(edges, left_closed)


def _proposal(parts: Sequence[DumpPart], n_bins: int) -> str:
    """Quantiles of the uncensored train times, if they reproduce every train Y.

    See docs/design/logitprod.md, section 1.6.
    """
    labels = [
        part.labels[~np.isnan(part.labels).any(axis=1)] for part in parts if part.name == "train"
    ]
    for one in labels:
        events = one[one[:, 1] == 0, 2]
        times = events if len(events) >= n_bins else one[:, 2]
        if not len(times):
            continue
        inner = np.quantile(times, np.linspace(0, 1, n_bins + 1)[1:-1]).tolist()
        for left_closed in (True, False):
            bins = TimeBins((0.0, *inner, np.inf), left_closed)
            rows = np.concatenate(labels)
            rows = rows[rows[:, 2] > 0]
            if len(rows) and np.array_equal(bins.bin_of(rows[:, 2]), rows[:, 0]):
                quantiles = "quartiles" if n_bins == 4 else f"{n_bins}-quantiles"
                flag = "" if left_closed else " --right-closed"
                return (
                    f"; the {quantiles} of the uncensored train times reproduce every train Y: "
                    f"--time-edges {edges_text(bins.edges)}{flag}"
                )
    return ""


def check_survival_labels(part: DumpPart) -> None:
    """Flags are 0 or 1, bins whole numbers from 1 to T, times not negative; NaN is a missing value.

    Raises:
        InputError: A label is something else.
    """
    n_bins = part.values.shape[1]
    y, censored, time = part.labels.T
    known = ~np.isnan(part.labels)
    wrong = np.zeros_like(known)
    wrong[:, 0] = ~np.isin(y, np.arange(1, n_bins + 1))
    wrong[:, 1] = ~np.isin(censored, (0, 1))
    wrong[:, 2] = (time < 0) | np.isinf(time)
    rules = (
        f"a whole number from 1 to {n_bins}",
        "0 (observed) or 1 (censored)",
        "a finite number of at least 0",
    )
    bad = np.argwhere(wrong & known)
    if len(bad):
        row, k = bad[0]
        raise InputError(
            f"{part.label_file}, row {row} (counted from 0): {NAMES[k]} is {part.labels[row, k]:g}; "
            f"it must be {rules[k]}"
        )


def check_bins(part: DumpPart, bins: TimeBins, trust: bool, log: Log) -> None:
    """Every bin number on disk agrees with the edges.

    The published code recomputes the edges on train, val and test (docs/design/logitprod.md,
    section 3.3, defect 21). Only the train rows' bins say what the hazards mean, so ``trust`` lets
    the others differ; then the count is noted.

    Raises:
        InputError: A row does not agree; the first is named.
    """
    y, _, time = part.labels.T
    usable = ~np.isnan(part.labels).any(axis=1) & (time > 0)
    found = bins.bin_of(time)
    outside, differs = np.flatnonzero(usable & (found == 0)), np.flatnonzero(usable & (found != y))
    text = edges_text(bins.edges)
    if len(outside):
        row = outside[0]
        raise InputError(
            f"{part.label_file}, row {row} (counted from 0): the time {time[row]:g} lies outside --time-edges {text}"
        )
    if not len(differs):
        return
    if trust and part.name != "train":
        log.note(
            f"the bin Y on disk disagrees with --time-edges in {len(differs)} of {len(y)} rows of {part.place} "
            "(--trust-time-edges); only time and event are used"
        )
        return
    row = differs[0]
    hint = (
        ""
        if part.name == "train"
        else "; if its bins were made on these rows alone, add --trust-time-edges"
    )
    raise InputError(
        f"{part.label_file}, row {row} (counted from 0): Y is {y[row]:g}, but the time {float(time[row])!r} lies in "
        f"bin {found[row]} of --time-edges {text} ({'left' if bins.left_closed else 'right'}-closed){hint}"
    )
