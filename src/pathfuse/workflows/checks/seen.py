"""Samples that the model behind an expert's table was fitted on, as the table says."""

from collections.abc import Iterator
from typing import ClassVar

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence
from pathfuse.workflows.steps.seen import seen_warnings


class Seen(Check):
    """Tables of ``pathfuse predict`` carry a column ``seen_in_fit``."""

    name: ClassVar[str] = "seen in fit"
    looks_for: ClassVar[str] = "samples that an expert's own table marks as seen when it was fitted"
    threshold: ClassVar[str] = "one such sample: the table says so itself"
    way_forward: ClassVar[str] = "predict these samples with a model that did not see them"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert and role."""
        yield from seen_warnings(evidence.study, evidence.parts, fitting=evidence.fitting)
