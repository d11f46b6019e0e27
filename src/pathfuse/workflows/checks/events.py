"""Another number of events than the experts expect: censoring and event exchanged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pathfuse.distributions.discrete_time import hazards, survival_at_edges
from pathfuse.endpoints.survival import Survival
from pathfuse.evaluation.metrics.survival import SurvivalTruth, concordance, harrell_pairs
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.edges import Edges
from pathfuse.workflows.checks.evidence import FEWEST, Evidence, resampled

FAR = 1.35
"""Observed over expected events, or the reverse, of the middle expert."""
SURE = 4.0
"""Standard errors of observed minus expected events."""
BETTER = 0.1
"""So much higher must the C-index be with events and censored cases exchanged."""
SURE_OF_C = 2.5
"""Standard errors of that rise: sound studies have none, their C-index falls."""
MOST_ROWS = 2000


@dataclass(frozen=True)
class _Followed:
    """Cases with a follow-up and the hazards that experts predict for them."""

    time: np.ndarray
    event: np.ndarray
    log_prob: dict[str, np.ndarray]
    patients: np.ndarray
    edges: tuple[float, ...]

    @property
    def exchanged(self) -> "_Followed":
        """Events as censored cases and the reverse."""
        return _Followed(self.time, 1 - self.event, self.log_prob, self.patients, self.edges)


class Events(Check):
    """A column ``censorship`` (1 = censored) that was called ``event``."""

    name: ClassVar[str] = "events"
    looks_for: ClassVar[str] = (
        "another number of events than the experts expect, or experts that rank censored cases as "
        "if they were the events: event and censoring exchanged"
    )
    threshold: ClassVar[str] = (
        "observed events are 1.35 times those that the middle expert expects or more, or 0.74 times or "
        "less, by 4 standard errors (sound studies: 0.84 to 1.18); or the C-index of the mean risk "
        "rises by 0.1 and 2.5 standard errors when events and censored cases are exchanged"
    )
    way_forward: ClassVar[str] = (
        "if 1 in the column of events means censored or alive, say --columns censorship=NAME; if the column was "
        "turned round and 1 means an event, call it 'event'"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One at most."""
        followed = _followed(evidence)
        if followed is None or any(Edges().sentences(evidence)):
            return
        found = {name: _expected(followed, p) for name, p in followed.log_prob.items()}
        turned = float(_c_index(followed)[0]), float(_c_index(followed.exchanged)[0])
        rises = turned[1] - turned[0] >= BETTER and turned[1] > 0.5 + BETTER / 2
        exchanged = rises and _is_sure(followed, turned[1] - turned[0])
        far = _is_far(list(found.values()))
        signs = []
        if far:
            observed = next(iter(found.values()))[0]
            expected = ", ".join(f"{name} {e:.0f}" for name, (_, e, _) in list(found.items())[:4])
            signs.append(
                f"{len(followed.time)} cases have {observed:.0f} events before the last edge, where the "
                f"experts expect {expected}"
            )
        if exchanged:
            signs.append(
                f"the C-index of the experts' mean risk is {turned[0]:.3f}, but {turned[1]:.3f} with events "
                "and censored cases exchanged"
            )
        if signs:
            other = ", or are times or patients of another kind?" if far and not exchanged else "?"
            yield (
                f"{'; '.join(signs)}: are events and censored cases exchanged{other} {self.way_forward}"
            )


def _is_far(counts: list[tuple[float, float, float]]) -> bool:
    """Whether the middle expert expects far more or far fewer events than are observed."""
    ratio = float(np.median([observed / max(expected, 1e-9) for observed, expected, _ in counts]))
    apart = float(
        np.median([(observed - expected) / error for observed, expected, error in counts])
    )
    return (ratio >= FAR and apart >= SURE) or (ratio <= 1 / FAR and apart <= -SURE)


def _followed(evidence: Evidence) -> _Followed | None:
    endpoint = evidence.study.endpoint
    judged = next(iter(evidence.outputs(evidence.open_rows).values()), None)
    if not isinstance(endpoint, Survival) or judged is None or judged.context is None:
        return None
    rows = np.arange(len(judged.patients))[:: max(1, -(-len(judged.patients) // MOST_ROWS))]
    if len(rows) < 2 * FEWEST:
        return None
    predictions = {name: p[rows] for name, p in judged.predictions.items()}
    context = judged.context
    return _Followed(
        context.time[rows], context.event[rows], predictions, judged.patients[rows], endpoint.edges
    )


def _expected(followed: _Followed, log_prob: np.ndarray) -> tuple[float, float, float]:
    """Observed events up to the last edge, those that an expert expects, and their standard error.

    A case censored inside a bin was at risk in half of it.
    """
    there = ~np.isnan(log_prob).any(axis=1)
    hazard, time, event = hazards(log_prob[there]), followed.time[there], followed.event[there]
    n_bins = hazard.shape[1]
    bins = np.minimum(np.searchsorted(np.array(followed.edges[1:]), time, side="left"), n_bins)
    at_risk = (np.arange(n_bins) < bins[:, None]).astype(np.float64)
    inside = np.flatnonzero(bins < n_bins)
    at_risk[inside, bins[inside]] = np.where(event[inside] == 1, 1.0, 0.5)
    observed = float((event[inside] == 1).sum())
    spread = float((hazard * (1 - hazard) * at_risk).sum())
    return observed, float((hazard * at_risk).sum()), max(spread, 1e-9) ** 0.5


def _mean_risk(followed: _Followed) -> np.ndarray:
    risks = [-survival_at_edges(p).sum(axis=1) for p in followed.log_prob.values()]
    known = ~np.isnan(np.stack(risks)).all(axis=0)
    mean = np.zeros(len(known))
    mean[known] = np.nanmean(np.stack(risks)[:, known], axis=0)
    return mean


def _c_index(followed: _Followed, weights: np.ndarray | None = None) -> np.ndarray:
    """Of the experts' mean risk; one value per resample."""
    truth = SurvivalTruth(followed.time, followed.event, np.array(followed.edges), ())
    weights = np.ones((1, len(followed.time))) if weights is None else weights
    found = concordance(_mean_risk(followed), *harrell_pairs(truth), weights)
    return np.asarray(found)


def _is_sure(followed: _Followed, rise: float) -> bool:
    weights = resampled(followed.patients, 100)
    spread = np.nanstd(_c_index(followed.exchanged, weights) - _c_index(followed, weights))
    return bool(rise >= SURE_OF_C * spread)
