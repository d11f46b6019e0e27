"""An expert that ranks samples the wrong way round."""

from collections.abc import Iterator
from typing import ClassVar

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

SURE = 3.3
"""Standard errors below chance: 1 in 2,000, since there are many experts."""
BELOW = 0.1
"""So far below chance at least."""


class WrongWay(Check):
    """Columns in another order, or a risk that is a survival time."""

    name: ClassVar[str] = "wrong way round"
    looks_for: ClassVar[str] = "an expert that ranks samples the wrong way round"
    threshold: ClassVar[str] = (
        "AUROC or C-index below 0.4 (Pearson r below -0.1) on the fit rows, or on all rows without roles, "
        "by at least 3.3 standard errors below chance. Experts that know nothing scatter around "
        "chance: of the sound studies one has a C-index of 0.415, 2 standard errors below"
    )
    way_forward: ClassVar[str] = (
        "look at which column is which class (or whether higher means earlier), and turn them round"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert and label."""
        rows = evidence.open_rows
        for group in evidence.groups:
            for name in evidence.study.expert_names:
                found = evidence.discrimination(name, group, rows)
                if found is None or found.metric.chance is None:
                    continue
                below = found.metric.chance - found.value
                if not below > BELOW:
                    continue
                error = evidence.error_of_discrimination(name, group, rows)
                if below < SURE * error:
                    continue
                lowest = 2 * found.metric.chance - 1  # chance is in the middle, and 1 is perfect
                low = max(found.value - 1.96 * error, lowest)
                high = min(found.value + 1.96 * error, 1.0)
                yield (
                    f"{name} ranks the wrong way round{group}: {found.metric.label} {found.value:.3f} on the "
                    f"{found.n} {evidence.open_words} (95 % interval {low:.3f} to {high:.3f}; "
                    f"chance is {found.metric.chance:g}); are its columns in another order? "
                    f"{self.way_forward}"
                )
