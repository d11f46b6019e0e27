"""An expert whose predictions are in another unit than the target."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from pathfuse.evaluation.pearson import pearson
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence

WIDER, NARROWER = 10.0, 0.03
"""Times the target's spread: no mean of a model varies more than its target, and one that goes with
it does not vary so little."""
AWAY = 10.0
"""Spreads of the target between the means."""
FOLLOWS = 0.3
"""Pearson's r from which on an expert goes with its target."""
SHOWN = 3


class OtherUnit(Check):
    """Grams for kilograms, counts for their logarithm."""

    name: ClassVar[str] = "another unit"
    looks_for: ClassVar[str] = "an expert whose numbers are in another unit than its targets"
    threshold: ClassVar[str] = (
        "on the fit rows, with 10 patients, its predictions go with a target (Pearson r above 0.3), but their "
        "standard deviation is above 10 times or below 0.03 times that of the target, or their mean is 10 "
        "of its standard deviations away"
    )
    way_forward: ClassVar[str] = "give predictions in the unit of the target"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert."""
        if not evidence.study.endpoint.of_numbers:
            return
        for name in evidence.study.expert_names:
            truth, mean, patients = evidence.numbers(name, evidence.open_rows)
            if len(np.unique(patients)) < FEWEST:
                continue
            mean = np.where(np.isnan(truth), np.nan, mean)
            follows = pearson(np.ones((1, len(truth))), truth, mean)[0] > FOLLOWS
            odd = [
                (target, words)
                for g, target in enumerate(evidence.study.endpoint.outcomes)
                if follows[g] and (words := _odd(truth[:, g], mean[:, g]))
            ]
            if odd:
                shown = ", ".join(f"{target} {words}" for target, words in odd[:SHOWN])
                more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
                yield (
                    f"{name} goes with its targets, but in another unit: on the {evidence.open_words}, "
                    f"{shown}{more}; {self.way_forward}"
                )


def _odd(truth: np.ndarray, mean: np.ndarray) -> str:
    """How the predictions of a target differ from it in size, in words; empty: they do not."""
    spread = float(np.nanstd(truth))
    ratio = float(np.nanstd(mean)) / spread
    away = abs(float(np.nanmean(mean)) - float(np.nanmean(truth))) / spread
    if ratio > WIDER or ratio < NARROWER:
        return f"varies {ratio:.3g} times as much as observed"
    return f"lies {away:.3g} standard deviations away on average" if away > AWAY else ""
