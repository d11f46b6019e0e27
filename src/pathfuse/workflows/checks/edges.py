"""Times in another unit than the bin edges."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from scipy.stats import binom

from pathfuse.endpoints.survival import Survival
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence

MOST = 0.8
"""Share of the events beyond the last finite edge, or before the first."""
UNITS = {
    "days to months": 30.44,
    "days to years": 365.25,
    "months to years": 12.0,
    "weeks to months": 4.35,
    "months to days": 1 / 30.44,
    "years to days": 1 / 365.25,
    "years to months": 1 / 12.0,
}
"""What times would be divided by."""
FULL, CHANCE = 0.6, 0.01
"""Share of the events that a sound bin may have, and the p-value up to which one has more."""
SPREAD = 0.6
"""A unit is guessed if no bin has a larger share of the events in it."""
LAST_EDGE = {"years": (0.0, 15.0), "months": (6.0, 240.0), "days": (150.0, np.inf)}
"""Where the last finite edge lies by the unit of the edges."""
AS_GOOD = 0.1
"""Units whose fullest bins differ by less cannot be told apart: all are named."""


class Edges(Check):
    """The commonest mistake of survival tables."""

    name: ClassVar[str] = "edges"
    looks_for: ClassVar[str] = "times in another unit than the bin edges"
    threshold: ClassVar[str] = (
        "at least 80 % of the patients with an event (10 or more) after the last finite edge, or before the "
        "first edge after the start, and more than 60 % beyond chance (p below 0.01): bins are made so that "
        "events are in all of them"
    )
    way_forward: ClassVar[str] = "bring times and edges to one unit"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One at most."""
        endpoint = evidence.study.endpoint
        truth = next(iter(evidence.study.truth.values()))
        if not isinstance(endpoint, Survival) or truth.time is None or truth.event is None:
            return
        inner = [edge for edge in endpoint.edges[1:] if np.isfinite(edge)]
        happened = np.flatnonzero(truth.event == 1)
        first = np.unique(evidence.study.samples.patients[happened], return_index=True)[1]
        times = truth.time[happened[np.sort(first)]]
        if not inner or len(times) < FEWEST:
            return
        late, early = times > inner[-1], times <= inner[0]
        where = ""
        if not any(_is_most(side) for side in (late, early)):
            return
        if late.mean() >= MOST:
            where = f"{int(late.sum())} of {len(times)} events lie after the last finite edge, {inner[-1]:g}"
        elif early.mean() >= MOST and len(endpoint.edges) > 2:
            where = f"{int(early.sum())} of {len(times)} events lie before the first edge after the start, {inner[0]:g}"
        if where:
            yield (
                f"{where} (median time of an event {np.median(times):g}): are times and edges in different "
                f"units?{_unit(times, inner)} {self.way_forward}"
            )


def _is_most(side: np.ndarray) -> bool:
    """Whether most of the events are on a side, beyond what a bin with many of them has by chance."""
    return bool(side.mean() >= MOST and binom.sf(side.sum() - 1, len(side), FULL) < CHANCE)


def _unit(times: np.ndarray, inner: list[float]) -> str:
    """The conversion that spreads events over the bins best; empty if none does."""
    bounds = [0.0, *inner, np.inf]

    def fullest(divisor: float) -> float:
        return float((np.histogram(times / divisor, bounds)[0] / len(times)).max())

    late = bool(np.median(times) > inner[-1])
    of_edges = [unit for unit, (low, high) in LAST_EDGE.items() if low <= inner[-1] <= high]
    shares = {
        unit: fullest(by)
        for unit, by in UNITS.items()
        if (by > 1) == late and unit.endswith(tuple(f" to {one}" for one in of_edges))
    }
    best = min(shares.values(), default=1.0)
    if best > SPREAD:
        return ""
    fit = sorted(
        (unit for unit, share in shares.items() if share <= min(SPREAD, best + AS_GOOD)),
        key=lambda unit: shares[unit],
    )
    found = f" Taken from {fit[0]}, the fullest bin would have {100 * best:.0f} % of the events"
    others = [f"from {unit} {100 * shares[unit]:.0f} %" for unit in fit[1:]]
    return f"{found}{' (' + ', '.join(others) + ')' if others else ''}."
