"""One image under two names, one of them judged."""

from collections.abc import Iterator
from typing import ClassVar

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence
from pathfuse.workflows.steps.twins import twin_warnings


class SameRows(Check):
    """A patient in two roles is an error when the samples are read; a copy of an image is not seen there."""

    name: ClassVar[str] = "same rows"
    looks_for: ClassVar[str] = (
        "judged samples whose predictions are those of a fit sample, number for number"
    )
    threshold: ClassVar[str] = (
        "all experts together agree to the last digit, at least one of them hardly ever repeats itself "
        "(90 % of its predictions are unique), and at most 10 samples share the prediction"
    )
    way_forward: ClassVar[str] = "keep one of the two names, or give both one patient_id"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for all such samples."""
        if len(evidence.fit):
            yield from twin_warnings(evidence.study, evidence.parts)
