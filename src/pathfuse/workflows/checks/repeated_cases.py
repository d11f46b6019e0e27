"""Samples of one case that count as independent, since nobody said whose they are."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from pathfuse.study.study import Study
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

ENOUGH = 10
"""Groups of two samples or more that there must be."""
MOST = 0.8
"""Groups per sample: more are hardly groups."""
CHANCE = 1e-6
"""Probability that all groups agree on the truth by chance, above which nothing is said."""
STEM = re.compile(r"^(?P<stem>.*\d.*?)[-_. ](?:[A-Za-z]{0,6}\d{1,3}|[A-Za-z])$")
"""A name with a number in it, then a short part of its own: ``case017_2``, ``B4-slide1``, ``12-A``."""
OURS = ("sample_id", "patient_id", "split", "fold", "label", "time", "event", "site")


class RepeatedCases(Check):
    """Intervals resample patients; slides of one patient are no new ones."""

    name: ClassVar[str] = "repeated cases"
    looks_for: ClassVar[str] = (
        "samples of one case that count as independent, since there is no column patient_id or "
        "many of its cells are empty: a TCGA or CPTAC barcode, a column, or the start of the names repeats"
    )
    threshold: ClassVar[str] = (
        "barcodes of one case: always. Patients named for some samples only: 10 without, and a fifth of "
        "all. A column, or names that differ in their last part: 10 groups or "
        "more, each of one truth (and role, if that is so), which has a probability of at most 1 in "
        "1,000,000 by chance"
    )
    way_forward: ClassVar[str] = (
        "name the column with --columns patient=NAME, or add a column patient_id"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One, of the surest sign."""
        samples = evidence.study.samples
        if samples.warnings or samples.has_patient.any():
            yield from samples.warnings
            return
        truth = _truth(evidence.study)
        for what, groups in _candidates(evidence.study):
            sizes = Counter(group for group in groups if group is not None)
            repeated = [group for group, n in sizes.items() if n > 1]
            if len(repeated) < ENOUGH or len(sizes) > MOST * sum(sizes.values()):
                continue
            if _chance(groups, truth) > CHANCE:
                continue
            first = repeated[0]
            members = [str(i) for i, g in zip(samples.ids, groups, strict=True) if g == first]
            yield (
                f"{samples.source}: {what} repeats: {sum(sizes.values())} samples are of {len(sizes)} groups, "
                f"each of one truth (such as '{first}': {', '.join(members[:2])}), but each sample counts as "
                f"a patient of its own, so intervals are too narrow and one case may be in two roles; "
                f"{self.way_forward}"
            )
            return


def _truth(study: Study) -> list[str]:
    """The truth of each sample as text."""
    parts = [truth.observed for truth in study.truth.values()]
    times = [truth.time[:, None] for truth in study.truth.values() if truth.time is not None]
    table = np.concatenate([np.asarray(one, dtype=np.float64) for one in [*parts, *times]], axis=1)
    return [row.tobytes().hex() for row in table]


def _candidates(study: Study) -> Iterator[tuple[str, list[str | None]]]:
    """What may say whose a sample is: other columns, and the start of names."""
    samples = study.samples
    for name in samples.frame.columns:
        if name not in OURS and not name.startswith(("label_", "target_")):
            column = samples.frame[name]
            if not column.dtype.is_float():
                yield f"the column '{name}'", column.cast(pl.String).to_list()
    found = [STEM.match(str(name)) for name in samples.ids]
    yield "the start of the names", [m["stem"] if m else None for m in found]


def _chance(groups: Sequence[str | None], truth: Sequence[str]) -> float:
    """Probability that all groups are of one truth by chance; 1 if one is not."""
    first: dict[str, str] = {}
    share = {one: n / len(truth) for one, n in Counter(truth).items()}
    total = 1.0
    for group, own in zip(groups, truth, strict=True):
        if group is None:
            continue
        if group not in first:
            first[group] = own
        elif first[group] != own:
            return 1.0
        else:
            total *= share[own]
    return total
