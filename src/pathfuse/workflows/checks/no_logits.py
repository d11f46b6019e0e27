"""Columns called logits that hold probabilities."""

from collections.abc import Iterator
from typing import ClassVar

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

ENOUGH = 20
"""Rows."""


class NoLogits(Check):
    """A softmax of probabilities is timid: no class gets more than 73 % of two."""

    name: ClassVar[str] = "no logits"
    looks_for: ClassVar[str] = "columns called logits that hold probabilities"
    threshold: ClassVar[str] = (
        "in 20 rows or more all logits of the table lie between 0 and 1, and those of classes sum to 1 in every row: "
        "logits of a model are never so"
    )
    way_forward: ClassVar[str] = "call the columns prob_<class> (hazard_<k> of survival)"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert."""
        for expert in evidence.study.experts:
            outputs = list(expert.outputs.values())
            if len(expert.ids) >= ENOUGH and all(
                getattr(output, "like_probabilities", False) for output in outputs
            ):
                sums = " and sum to 1" if evidence.study.endpoint.of_classes else ""
                yield (
                    f"{expert.name}: its logits lie between 0 and 1{sums} in all {len(expert.ids)} rows, so they are "
                    f"probabilities, and are taken for far too unsure; {self.way_forward}"
                )
