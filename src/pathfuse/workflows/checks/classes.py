"""More classes than anybody expects."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import ClassVar

import numpy as np

from pathfuse.evaluation.notes import listed
from pathfuse.report.words import several
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

RARE = 2
"""Samples of a class that may be a slip of the pen."""
MANY = 50
"""Samples that a study must have for that."""
ALIKE = 0.8
"""Likeness of two names, by the share of letters in common."""
MOST_CLASSES = 20
FEW_EACH = 5
"""Samples per class below which so many classes are hardly classes."""
PLACEHOLDERS = (
    "unknown", "missing", "not available", "not reported", "not evaluated", "not applicable", "not performed",
    "indeterminate", "undetermined", "equivocal", "unclassified", "n.a.", "none", "?", "-1", "99", "999", "#n/a",
)  # fmt: skip
"""Words and numbers that stand for a missing value in clinical tables."""


class Classes(Check):
    """Every word in the label column is a class."""

    name: ClassVar[str] = "classes"
    looks_for: ClassVar[str] = (
        "classes that no expert knows, that are a misspelling of another, that stand for a missing "
        "value, or that are as many as samples"
    )
    threshold: ClassVar[str] = (
        "a class that no expert predicts; one of 1 or 2 samples of 50 or more, whose name is 80 % that "
        "of another; a name such as 'unknown', '?' or '999' besides two others; more than 20 "
        "classes with fewer than 5 samples each on average"
    )
    way_forward: ClassVar[str] = (
        "correct the name in the samples table, or leave the cell empty: such samples are left out"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each kind."""
        endpoint = evidence.study.endpoint
        if not endpoint.of_classes:
            return
        truth = evidence.study.truth["all"].observed
        counts = dict(
            zip(endpoint.outcomes, np.asarray(truth).sum(axis=0).astype(int), strict=True)
        )
        outputs = [expert.outputs["all"] for expert in evidence.study.experts]
        known = np.any([output.group >= 0 for output in outputs], axis=0)
        unknown = [name for name, there in zip(counts, known, strict=True) if not there]
        if unknown:
            n = sum(counts[name] for name in unknown)
            yield (
                f"no expert knows the class{'es' if len(unknown) > 1 else ''} {listed(_quoted(unknown))} "
                f"({several(n, 'sample')}): is the name written otherwise? {self.way_forward}"
            )
        for rare, other in _misspelt(counts):
            yield (
                f"the class '{rare}' has {counts[rare]} of {len(truth)} samples and looks like '{other}' "
                f"({counts[other]} samples): is it a misspelling? {self.way_forward}"
            )
        blank = [name for name in counts if name.strip().lower() in PLACEHOLDERS]
        if blank and len(counts) > 2:
            n = sum(counts[name] for name in blank)
            yield (
                f"{listed(_quoted(blank))} ({n} samples) is taken as a class: does it stand for a missing value? "
                f"{self.way_forward}"
            )
        if len(counts) > MOST_CLASSES and len(truth) < FEW_EACH * len(counts):
            yield (
                f"{len(truth)} samples have {len(counts)} classes: is the label a number or a name? "
                "For numbers, call the column target_<name>"
            )


def _quoted(names: list[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def _misspelt(counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Rare classes, and the common one that each looks like."""
    if sum(counts.values()) < MANY:
        return
    for rare in (name for name, n in counts.items() if n <= RARE):
        likeness = {
            other: SequenceMatcher(None, rare.lower(), other.lower()).ratio()
            for other, n in counts.items()
            if n > 5 * RARE
        }
        other = max(likeness, key=lambda name: likeness[name], default=None)
        if other is not None and likeness[other] >= ALIKE:
            yield rare, other
