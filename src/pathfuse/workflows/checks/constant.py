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
NEAR = 1e-3
"""Log-probabilities, or standard deviations of the target, within which as many rows say the same."""


class Constant(Check):
    """Nothing that a fusion can use."""

    name: ClassVar[str] = "constant"
    looks_for: ClassVar[str] = "an expert with one and the same prediction for all its samples"
    threshold: ClassVar[str] = (
        "at least 99 % of its rows (10 or more) are equal to 6 decimals, or lie within 0.1 % (of the target's "
        "spread) of one another: "
        "no model of images does that"
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
                what = "" if task == "all" else f", label {task}"
                if n_same >= MOST * len(known):
                    yield (
                        f"{name} is constant{what}: {n_same} of its {len(known)} samples have one and the same "
                        f"prediction; {self.way_forward}"
                    )
                elif _nearly(known / _unit(evidence)):
                    yield (
                        f"{name} is constant{what} but for noise: {100 * MOST:.0f} % of its {len(known)} predictions "
                        f"lie within {100 * NEAR:g} %{_of_what(evidence)} of one another; {self.way_forward}"
                    )


def _nearly(table: np.ndarray) -> bool:
    """Whether all columns hardly differ."""
    ends = np.quantile(table, [(1 - MOST) / 2, (1 + MOST) / 2], axis=0)
    return bool((ends[1] - ends[0] < NEAR).all())


def _of_what(evidence: Evidence) -> str:
    return " of the target's spread" if evidence.study.endpoint.of_numbers else ""


def _unit(evidence: Evidence) -> np.ndarray | float:
    """What a difference of predictions is measured in: the target's spread, or 1."""
    if not evidence.study.endpoint.of_numbers:
        return 1.0
    spread = np.ma.masked_invalid(evidence.study.truth["all"].observed).std(axis=0).filled(1.0)
    return np.asarray(np.where(spread > 0, spread, 1.0))
