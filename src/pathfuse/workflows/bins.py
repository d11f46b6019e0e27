"""``bins``: time edges for discrete-time survival, proposed once from the fit rows and stored,
never recomputed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pathfuse.endpoints.follow_up import follow_up
from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.files.write import check_file, write_text_file
from pathfuse.study.intake import samples_table, take_in
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.study.samples import partitions, read_samples
from pathfuse.study.study import parse_edges

LONGEST = 10_000
"""Characters of a file that could hold edges."""
DIGITS = 4
"""Significant digits of an edge; more only where fewer would leave a bin without an event."""


@dataclass(frozen=True)
class ProposedBins:
    """Proposed edges and what lies between them on the fit rows."""

    edges: tuple[float, ...]
    """From 0 to infinity."""
    events: tuple[int, ...]
    """Events in each bin."""
    censored: tuple[int, ...]
    """Cases censored in each bin."""
    n_merged: int
    """Bins fewer than asked for, because event times are tied."""

    @property
    def text(self) -> str:
        """The edges as ``--time-edges`` takes them."""
        return ",".join(repr(edge).removesuffix(".0") for edge in self.edges)

    def save(self, file: Path, force: bool = False) -> None:
        """Writes the edges as one line, to a temporary name, then renamed.

        Raises:
            InputError: The file exists and ``force`` is off, or it cannot be written.
        """
        check_edges_file(file, force)
        write_text_file(f"{self.text}\n", file, force)


def check_edges_file(file: Path, force: bool, inputs: Sequence[Path] | None = None) -> None:
    """Refuses a bad place for the edges, before any work is done.

    Raises:
        InputError: The file exists and ``force`` is off or it holds something else, or it cannot be
            written.
    """
    check_file(file, force, inputs)
    if not file.exists():
        return
    try:
        with file.open(encoding="utf-8") as content:
            parse_edges(content.read(LONGEST).strip(), str(file))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the output {file} cannot be overwritten: it holds no time edges, so it is somebody else's"
        ) from error


def propose_bins(
    samples: str | Path | Any,
    n_bins: int = 4,
    allow_in_sample: bool = False,
    reading: Reading = DEFAULT,
) -> ProposedBins:
    """Edges at the quantiles of the fit rows' event times, so that each bin holds about as many
    events.

    Args:
        samples: Path or data frame with ``time``, ``event`` and roles. With folds all rows count.
        n_bins: How many bins; tied event times can leave fewer.
        allow_in_sample: Count ``train`` rows too.
        reading: How the table is understood if it does not have the contract's names.

    Raises:
        InputError: The table is wrong, or holds too few distinct event times.

    Examples:
        >>> import polars as pl
        >>> months = [2.0, 5.0, 9.0, 14.0, 20.0, 31.0]
        >>> table = {"sample_id": list("abcdef"), "split": ["fit"] * 5 + ["test"], "time": months, "event": [1] * 6}
        >>> propose_bins(pl.DataFrame(table), n_bins=2).text
        '0,9,inf'
    """
    if n_bins < 2:
        raise InputError(f"--bins {n_bins} is too few; give 2 or more")
    table = samples_table(samples, reading)
    people = read_samples(take_in(table, Survival.kind, reading).table)
    time, event = follow_up(people.columns(["time", "event"]))
    rows = np.unique(np.concatenate([part.fit for part in partitions(people, allow_in_sample)]))
    time, event = time[rows], event[rows] == 1
    distinct = np.unique(time[event])
    if len(distinct) < n_bins:
        raise InputError(
            f"{people.source}, column 'time': the {len(rows)} fit rows have {len(distinct)} distinct event times, "
            f"too few for {n_bins} bins"
        )
    exact = _keep_filled(np.quantile(time[event], np.arange(1, n_bins) / n_bins), distinct)
    edges = np.array([0.0, *_rounded(exact, distinct), np.inf])
    events, censored = (_count(time[kind], edges) for kind in (event, ~event))
    return ProposedBins(tuple(edges.tolist()), events, censored, n_bins + 1 - len(edges))


def _count(time: Float[np.ndarray, " case"], edges: Float[np.ndarray, " edge"]) -> tuple[int, ...]:
    """Cases in each bin (a, b]."""
    return tuple(int(((time > a) & (time <= b)).sum()) for a, b in pairwise(edges.tolist()))


def _keep_filled(
    inner: Float[np.ndarray, " edge"], distinct: Float[np.ndarray, " time"]
) -> list[float]:
    """The edges that leave an event in every bin."""
    kept: list[float] = []
    for edge in inner.tolist():
        below = kept[-1] if kept else 0.0
        if ((distinct > below) & (distinct <= edge)).any() and (distinct > edge).any():
            kept.append(edge)
    return kept


def _rounded(inner: list[float], distinct: Float[np.ndarray, " time"]) -> list[float]:
    """As few digits as leave the order, and an event in every bin."""
    for digits in range(DIGITS, 17):
        edges = [float(f"{edge:.{digits}g}") for edge in inner]
        if _keep_filled(np.array(edges), distinct) == edges:
            return edges
    return inner
