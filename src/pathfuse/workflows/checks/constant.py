"""An expert that predicts the same for every sample."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence

SAME = 1e-6
"""Predictions closer than this (log-probabilities, or units of the target) are the same."""
MOST = 0.99
"""Share of the rows that must have the commonest prediction."""


class Constant(Check):
    """Nothing that a fusion can use."""

    name: ClassVar[str] = "constant"
    looks_for: ClassVar[str] = "an expert with one and the same prediction for all its samples"
    threshold: ClassVar[str] = (
        "at least 99 % of its rows (10 or more) are equal to 6 decimals: no model of images does that"
    )
    way_forward: ClassVar[str] = (
        "look at how its table was made (weights that were not loaded, a column that was filled "
        "down), or leave it out"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert and label."""
        for name in evidence.study.expert_names:
            for task, table in evidence.predictions(name).items():
                known = table[~np.isnan(table).any(axis=1)]
                if len(known) < FEWEST:
                    continue
                rounded = np.round(known / SAME).astype(np.int64)
                n_same = int(np.unique(rounded, axis=0, return_counts=True)[1].max())
                if n_same < MOST * len(known):
                    continue
                what = "" if task == "all" else f", label {task}"
                yield (
                    f"{name} is constant{what}: {n_same} of its {len(known)} samples have one and the same "
                    f"prediction; {self.way_forward}"
                )
