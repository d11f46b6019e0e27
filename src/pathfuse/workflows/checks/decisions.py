"""Probabilities that are decisions."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

ENOUGH = 20
"""Rows."""
NEAR = 1e-6


class Decisions(Check):
    """A table of 0 and 1 has no probabilities to pool."""

    name: ClassVar[str] = "decisions"
    looks_for: ClassVar[str] = "an expert whose probabilities are all 0 or 1"
    threshold: ClassVar[str] = "every probability of 20 rows or more is within 0.000001 of 0 or 1"
    way_forward: ClassVar[str] = (
        "give probabilities or logits: of decisions, the NLL depends on the floor of probabilities alone"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert."""
        if evidence.study.endpoint.of_numbers or evidence.study.endpoint.in_time:
            return
        for name in evidence.study.expert_names:
            tables = list(evidence.predictions(name).values())
            if sum(len(table) for table in tables) < ENOUGH or not tables:
                continue
            prob = np.exp(np.concatenate([table.ravel() for table in tables]))
            if (np.minimum(prob, 1 - prob) < NEAR).all():
                yield f"{name} gives only 0 and 1, decisions rather than probabilities; {self.way_forward}"
