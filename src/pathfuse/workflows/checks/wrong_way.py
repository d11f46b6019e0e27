"""An expert that ranks samples the wrong way round."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np

from pathfuse.types import Index
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

SURE = 3.3
"""Standard errors below chance: 1 in 2,000, since there are many experts."""
SURE_IN_FOLD = 4.0
"""The same in one of many folds."""
BELOW = 0.1
"""So far below chance at least."""


class WrongWay(Check):
    """Columns in another order, or a risk that is a survival time."""

    name: ClassVar[str] = "wrong way round"
    looks_for: ClassVar[str] = "an expert that ranks samples the wrong way round"
    threshold: ClassVar[str] = (
        "AUROC or C-index below 0.4 (Pearson r below -0.1) on the fit rows, or on all rows without roles, "
        "by at least 3.3 standard errors below chance; or in one fold, by 4, where it is above 0.6 in the "
        "others. Experts that know nothing scatter around "
        "chance: of the sound studies one has a C-index of 0.415, 2 standard errors below"
    )
    way_forward: ClassVar[str] = (
        "look at which column is which class (or whether higher means earlier), and turn them round"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert and label, or for a fold of it."""
        rows = evidence.open_rows
        for group in evidence.groups:
            for name in evidence.study.expert_names:
                found = _below_chance(evidence, name, group, rows, SURE)
                if found is not None:
                    yield (
                        f"{name} ranks the wrong way round{group}: {found} on the "
                        f"{found.n} {evidence.open_words} ({found.interval}); "
                        f"are its columns in another order? {self.way_forward}"
                    )
                else:
                    yield from self._in_folds(evidence, name, group)

    def _in_folds(self, evidence: Evidence, name: str, group: str) -> Iterator[str]:
        """Of an expert that is well above chance in the other folds."""
        if len(evidence.parts) < 2:
            return
        for part in evidence.parts:
            found = _below_chance(evidence, name, group, part.judged, SURE_IN_FOLD)
            if found is None:
                continue
            others = np.setdiff1d(evidence.judged, part.judged)
            rest = evidence.discrimination(name, group, others)
            if rest is not None and rest.value - found.chance > BELOW:
                yield (
                    f"{name} ranks the wrong way round{group} in fold {part.name}: {found} on its {found.n} rows "
                    f"({found.interval}), and {rest.value:.3f} on the others; are its columns in another order "
                    f"there? {self.way_forward}"
                )


class _Found(NamedTuple):
    """An expert below chance."""

    label: str
    value: float
    chance: float
    n: int
    error: float

    def __str__(self) -> str:
        return f"{self.label} {self.value:.3f}"

    @property
    def interval(self) -> str:
        """In words, with what chance is."""
        lowest = 2 * self.chance - 1  # chance is in the middle, and 1 is perfect
        low = max(self.value - 1.96 * self.error, lowest)
        high = min(self.value + 1.96 * self.error, 1.0)
        return f"95 % interval {low:.3f} to {high:.3f}; chance is {self.chance:g}"


def _below_chance(
    evidence: Evidence, name: str, group: str, rows: Index, sure: float
) -> _Found | None:
    """An expert whose measure of discrimination is below chance by so many standard errors."""
    found = evidence.discrimination(name, group, rows)
    if found is None or found.metric.chance is None:
        return None
    below = found.metric.chance - found.value
    if not below > BELOW:
        return None
    error = evidence.error_of_discrimination(name, group, rows)
    if below < sure * error:
        return None
    return _Found(found.metric.label, found.value, found.metric.chance, found.n, error)
