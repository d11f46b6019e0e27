"""An expert that is far better on the fit rows than on the judged rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from scipy.stats import fisher_exact, mannwhitneyu

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence, error_of_mean

Losses: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Of rows, and their patients."""
SURE = 4.0
"""Standard errors that the gap must have: 1 in 30,000 by chance, since there are many experts."""
GAP = 0.1
"""Smallest gap of the measure of discrimination, and of the NLL in nats."""
SHARE = 0.5
"""The NLL of the fit rows must be below so much of that of the judged rows."""
SMALL_SHARE = 0.2
"""The same where a rank test or the count of wrong calls shows the gap: losses have long tails, so
that few rows leave their mean uncertain."""
CHANCE = 1e-4
"""Largest p-value of these."""


@dataclass(frozen=True)
class _Gap:
    expert: str
    label: str
    fit: float
    judged: float

    @property
    def words(self) -> str:
        return f"{self.expert} ({self.label} {self.fit:.3f} on fit rows, {self.judged:.3f} on judged rows)"


class BetterOnFit(Check):
    """A model that was trained on the rows called fit knows them by heart."""

    name: ClassVar[str] = "better on fit"
    looks_for: ClassVar[str] = (
        "an expert that is far better on the fit rows than on the judged rows"
    )
    threshold: ClassVar[str] = (
        "the AUROC, C-index or Pearson r falls by at least 0.1, or the NLL of the fit rows is below half "
        "of that of the judged rows and 0.1 nats lower, either by at least 4 standard errors; or the NLL "
        "of the fit rows is below a fifth and losses (Mann-Whitney) or wrong calls (Fisher) differ with "
        "p below 0.0001. By patient, with 10 patients on each side, and the error of an AUROC with fewer "
        "than 10 of a class is that of chance. Sound studies stay within 2 "
        "standard errors and above a third"
    )
    way_forward: ClassVar[str] = (
        "give the expert's fit rows predictions of a model that did not see them (out of fold), or call "
        "rows that it was trained on 'train'"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One sentence for all experts."""
        if not evidence.apart:
            return
        for group in evidence.groups:
            found = [self._gap(evidence, name, group) for name in evidence.study.expert_names]
            gaps = [gap for gap in found if gap is not None]
            if not gaps:
                continue
            every = len(gaps) == len(found) and len(found) > 1
            shown = ", ".join(gap.words for gap in gaps[:3])
            more = f" and {len(gaps) - 3} more" if len(gaps) > 3 else ""
            other = ", or are the judged rows of another kind (another hospital)" if every else ""
            yield (
                f"far better on the fit rows than on the judged rows{group}: {shown}{more}; were the fit "
                f"rows held out when {'these experts' if len(gaps) > 1 else 'this expert'} was trained"
                f"{other}? {self.way_forward}"
            ).replace("experts was", "experts were")

    def _gap(self, evidence: Evidence, name: str, group: str) -> _Gap | None:
        return _of_discrimination(evidence, name, group) or _of_nll(evidence, name, group)


def _same_outcomes(evidence: Evidence, group: str) -> bool:
    """Whether the same outcomes occur on both sides, without which AUROCs are of different classes."""
    sides = [evidence.outputs(rows) for rows in (evidence.fit, evidence.judged)]
    (first, *_) = evidence.groups[group]
    if evidence.study.endpoint.of_numbers or any(first not in side for side in sides):
        return True
    one, other = (np.asarray(side[first].observed).sum(axis=0) > 0 for side in sides)
    return bool((one == other).all())


def _of_discrimination(evidence: Evidence, name: str, group: str) -> _Gap | None:
    one, other = (
        evidence.discrimination(name, group, rows) for rows in (evidence.fit, evidence.judged)
    )
    if one is None or other is None or not one.value - other.value >= GAP:
        return None
    if min(one.n_patients, other.n_patients) < FEWEST or not _same_outcomes(evidence, group):
        return None
    fit, judged = (
        evidence.error_of_discrimination(name, group, rows)
        for rows in (evidence.fit, evidence.judged)
    )
    if one.value - other.value < SURE * float(np.hypot(fit, judged)):
        return None
    return _Gap(name, one.metric.label, one.value, other.value)


def _of_nll(evidence: Evidence, name: str, group: str) -> _Gap | None:
    one, other = (evidence.nll(name, group, rows) for rows in (evidence.fit, evidence.judged))
    if one is None or other is None:
        return None
    fit, judged = float(one[0].mean()), float(other[0].mean())
    error = float(np.hypot(error_of_mean(*one), error_of_mean(*other)))
    plain = fit < SHARE * judged and judged - fit >= max(GAP, SURE * error)
    hidden = np.isfinite(error) and fit < SMALL_SHARE * judged and _differ(one, other)
    return _Gap(name, "NLL", fit, judged) if plain or hidden else None


def _differ(one: Losses, other: Losses) -> bool:
    """Whether patients' losses, or the patients with a wrong call, differ beyond chance."""
    means = [_by_patient(*side) for side in (one, other)]
    if mannwhitneyu(*means, alternative="less").pvalue < CHANCE:
        return True
    wrong = [
        _by_patient((losses > np.log(2)).astype(np.float64), who) > 0
        for losses, who in (one, other)
    ]
    table = [[int(side.sum()), int((~side).sum())] for side in wrong]
    return bool(fisher_exact(table, alternative="less").pvalue < CHANCE)


def _by_patient(values: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Mean of each patient's rows."""
    members = np.unique(patients, return_inverse=True)[1]
    return np.asarray(np.bincount(members, values) / np.bincount(members))
