"""Most of the rows of one role that nothing is said about."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

NAMES = {"fit": "fit rows", "test": "judged rows", "": "rows"}


class LostRows(Check):
    """What is left may be another cohort than the one that was meant."""

    name: ClassVar[str] = "lost rows"
    looks_for: ClassVar[str] = (
        "fit rows or judged rows of which most are scored by no expert or have no truth"
    )
    threshold: ClassVar[str] = (
        "more than half of the fit rows, or of the judged rows, of the samples table: of all rows together, "
        "more than half is an error"
    )
    way_forward: ClassVar[str] = (
        "look at how the predictions spell these samples, or leave the rows out of the samples table"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each role."""
        study = evidence.study
        roles = study.samples.roles
        if roles is None:
            roles = np.full(len(study.samples.ids), "")
        scored = study.n_scored() > 0
        for role, words in NAMES.items():
            own = roles == role
            without = study.without_truth.get(role, 0)
            n_all = int(own.sum()) + without
            unscored = study.samples.ids[own & ~scored].tolist()
            lost = len(unscored) + without
            if not 2 * lost > n_all:
                continue
            why = (
                [f"no expert scored {len(unscored)} (the first is '{unscored[0]}')"]
                if unscored
                else []
            )
            why += [f"{without} {'have' if without > 1 else 'has'} no truth"] if without else []
            yield (
                f"{lost} of the {n_all} {words} of {study.samples.source} {'take' if lost > 1 else 'takes'} no part: "
                f"{' and '.join(why)}; {self.way_forward}"
            )
