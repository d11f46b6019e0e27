"""Two experts that are one."""

from collections.abc import Iterator
from itertools import combinations
from typing import ClassVar

import numpy as np
from scipy.stats import rankdata

from pathfuse.distributions.discrete_time import hazards
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

ENOUGH, SOME = 20, 4
"""Samples that both predict, and different predictions among them; of equal tables fewer will do,
but two models may well agree in decisions."""
MOST_ROWS = 2000
SAME = 1e-6
"""Largest difference of log-probabilities of the same predictions."""
ALIKE = 1e-4
"""1 - r² of their logits up to which one is a scaled version of the other."""
MIRRORED = "against those of the other"
"""In words of a negative factor."""
FLOORED = -15.9
"""Log-probabilities at the floor have lost what they were."""


class Copied(Check):
    """A copy counts twice in every pool and has no partner to be compared with."""

    name: ClassVar[str] = "copied"
    looks_for: ClassVar[str] = (
        "two experts with the same predictions, or one a scaled version of the other"
    )
    threshold: ClassVar[str] = (
        "predictions equal to 6 decimals, the same ranking of all samples, or logits with r² above 0.9999 "
        "(20 samples or more). Two training runs of one model stay below 0.999"
    )
    way_forward: ClassVar[str] = (
        "look for a file that was copied or written twice; if they are meant to be two, leave one out"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each pair."""
        tables = _tables(evidence)
        for one, other in combinations(evidence.study.expert_names, 2):
            alike = [
                _alike(tables[one][task], tables[other][task], by_one=_by_one(evidence))
                for task in tables[one]
                if task in tables[other]
            ]
            if not alike or not all(words for words, _ in alike):
                continue
            words, n = alike[0]
            if MIRRORED in words:
                yield (
                    f"{one} and {other} are mirrored: {words} ({n} samples that both predict), so that one of them "
                    "ranks the samples the wrong way round; look at which column is which class (or whether higher "
                    "means earlier) in both tables"
                )
                continue
            yield (
                f"{other} is a copy of {one}: {words} ({n} samples that both predict); "
                f"{self.way_forward}"
            )


def _tables(evidence: Evidence) -> dict[str, dict[str, np.ndarray]]:
    """Per expert and task logits, or means, of all samples; NaN where it has none."""
    study = evidence.study
    rows = np.arange(len(study.samples.ids))[:: max(1, -(-len(study.samples.ids) // MOST_ROWS))]
    ids = study.samples.ids[rows].tolist()
    found: dict[str, dict[str, np.ndarray]] = {}
    for expert in study.experts:
        place = {name: n for n, name in enumerate(expert.ids)}
        at = np.array([place.get(name, -1) for name in ids])
        found[expert.name] = {
            task: np.where((at >= 0)[:, None], _logits(evidence, table)[at], np.nan)
            for task, table in evidence.predictions(expert.name).items()
        }
    return found


def _logits(evidence: Evidence, table: np.ndarray) -> np.ndarray:
    """What a temperature scales: centred log-probabilities, logits of hazards, or means."""
    if evidence.study.endpoint.of_numbers:
        return table
    kept = np.where((table <= FLOORED).any(axis=1, keepdims=True), np.nan, table)
    if evidence.study.endpoint.in_time:
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard = hazards(kept)
            logit = np.log(hazard) - np.log1p(-hazard)
        return np.where(np.isfinite(logit), logit, np.nan)
    return kept - kept.mean(axis=1, keepdims=True)


def _by_one(evidence: Evidence) -> bool:
    """Whether one column alone ranks the samples: that of two outcomes, or of one target."""
    endpoint = evidence.study.endpoint
    return len(endpoint.outcomes) == (1 if endpoint.of_numbers else 2)


def _alike(one: np.ndarray, other: np.ndarray, *, by_one: bool) -> tuple[str, int]:
    """How two experts' columns are alike, in words (empty: they are not), and on how many rows."""
    if one.shape[1] != other.shape[1]:
        return "", 0
    there = ~(np.isnan(one) | np.isnan(other)).any(axis=1)
    a, b = one[there], other[there]
    distinct = len(np.unique(a[:, -1]))
    if len(a) < ENOUGH or distinct < SOME:
        return "", 0
    if np.abs(a - b).max() < SAME:
        return "the same predictions", len(a)
    if distinct < ENOUGH:
        return "", 0
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    top, bottom = float((a * b).sum()), float((a * a).sum() * (b * b).sum())
    if bottom > 0 and 1 - top**2 / bottom < ALIKE:
        return _times(top / float((a * a).sum())), len(a)
    if by_one and (rankdata(np.round(a[:, -1], 9)) == rankdata(np.round(b[:, -1], 9))).all():
        return "the same ranking of all samples", len(a)
    return "", 0


def _times(factor: float) -> str:
    """A factor between logits in words.

    Examples:
        >>> _times(1.7), _times(1.0001)
        ('its logits are 1.7 times those of the other', 'its logits are the same but for a constant')
        >>> _times(-2.5)
        'logits are turned round against those of the other, 2.5 times'
    """
    size = f"{abs(factor):.3g}"
    if factor < 0:
        return f"logits are turned round {MIRRORED}" + (
            "" if _near_one(factor) else f", {size} times"
        )
    if _near_one(factor):
        return "its logits are the same but for a constant"
    return f"its logits are {size} times those of the other"


def _near_one(factor: float) -> bool:
    return abs(abs(factor) - 1) < 0.005
