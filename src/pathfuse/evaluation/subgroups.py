"""Metrics inside a group of the judged rows, and their difference to all other rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int

from pathfuse.evaluation.estimates import Estimate, Estimates, resampled
from pathfuse.evaluation.judged import EndpointLike, Judged, predicted
from pathfuse.evaluation.metrics.registry import metric
from pathfuse.evaluation.resampling import MIN_PATIENTS, MOST_LEFT_OUT, Resamples, draw, leave_out
from pathfuse.evaluation.rules import Rules

N_METRICS = 2
"""So many of an endpoint's principal metrics, its first, speak of its groups."""


def leading_metrics(endpoint: EndpointLike) -> list[str]:
    """The metrics that subgroups are judged by."""
    return [name for name in endpoint.metrics if metric(name).principal][:N_METRICS]


def resamples_of(tasks: Mapping[str, Judged], rules: Rules) -> dict[str, Resamples]:
    """The resamples of patients that ``evaluate_tasks`` draws; patients are numbered 0..P-1.

    Args:
        tasks: Rows and predictions by output.
        rules: How to evaluate.
    """
    patients = np.concatenate([judged.patients for judged in tasks.values()])
    folds = np.concatenate([judged.folds for judged in tasks.values()])
    n_patients = len(np.unique(patients))
    n_resamples = rules.n_resamples if n_patients >= MIN_PATIENTS else 0
    drawn, parts = draw(patients, folds, n_resamples, rules.seed), None
    if n_resamples and rules.interval != "percentile":
        most = None if rules.interval == "bca" else MOST_LEFT_OUT
        parts = leave_out(n_patients, rules.seed, most)
    return {name: Resamples(drawn.counts, one.patients, parts) for name, one in tasks.items()}


@dataclass(frozen=True)
class GroupFigures:
    """One method inside one group."""

    n: int
    n_patients: int
    inside: Estimates
    """By metric; empty where the group is too small."""
    apart: Estimates
    """Inside the group minus among all other rows; empty where either side is too small."""
    note: str
    """Why something is missing; empty if nothing is."""


@dataclass
class Subgroups:
    """Metrics of groups of rows; those of the same rows are worked out once."""

    endpoint: EndpointLike
    judged: Judged
    resamples: Resamples
    drawn: str = "patient"
    """What is resampled, in words."""
    _known: dict[tuple[str, bytes], Estimates] = field(default_factory=dict)

    def figures(
        self, method: str, member: Bool[np.ndarray, " sample"], *, against_rest: bool
    ) -> GroupFigures:
        """The metrics of one method inside a group.

        Both sides of a difference come from the same resamples of patients, so that a patient with
        samples in the group and outside counts on both.

        Args:
            method: Its name.
            member: Bool, (sample,): the judged rows of the group.
            against_rest: Whether the difference to the rows outside is wanted.
        """
        there = predicted(self.judged.predictions[method])
        inside, rest = there & member, there & ~member
        n, n_patients = int(inside.sum()), self._patients(inside)
        reason = self._too_few(inside)
        if reason:
            return GroupFigures(n, n_patients, {}, {}, reason)
        values = self._values(method, inside)
        if not against_rest:
            return GroupFigures(n, n_patients, values, {}, "")
        if not rest.any():
            return GroupFigures(n, n_patients, values, {}, "there are no others")
        reason = self._too_few(rest)
        if reason:
            return GroupFigures(n, n_patients, values, {}, f"of the others {reason}")
        others = self._values(method, rest)
        folds, of_rest = (np.unique(self.judged.folds[rows]) for rows in (inside, rest))
        apart = {
            m: one.minus(other)
            for m in values
            for one, other in [_in_common_folds((values[m], folds), (others[m], of_rest))]
        }
        return GroupFigures(n, n_patients, values, apart, "")

    def _patients(self, rows: Bool[np.ndarray, " sample"]) -> int:
        return len(np.unique(self.judged.patients[rows]))

    def _too_few(self, rows: Bool[np.ndarray, " sample"]) -> str:
        """Why some rows have no figures; empty if they have."""
        n = self._patients(rows)
        if n < MIN_PATIENTS:
            return f"{n} {self.drawn}{'' if n == 1 else 's'}, fewer than {MIN_PATIENTS}"
        reason = self.endpoint.too_few(at_rows(self.judged, rows), self.drawn) or ""
        return reason.removesuffix(": no intervals")

    def _values(self, method: str, rows: Bool[np.ndarray, " sample"]) -> Estimates:
        key = (method, rows.tobytes())
        if key not in self._known:
            found = resampled(self.endpoint, self.judged, method, rows, self.resamples)
            self._known[key] = {m: found[m] for m in leading_metrics(self.endpoint)}
        return self._known[key]


def at_rows(judged: Judged, rows: Bool[np.ndarray, " sample"]) -> Judged:
    """Some of the judged rows."""
    return replace(
        judged,
        observed=judged.observed[rows],
        patients=judged.patients[rows],
        folds=judged.folds[rows],
        predictions={name: one[rows] for name, one in judged.predictions.items()},
        context=None if judged.context is None else judged.context.at(np.flatnonzero(rows)),
        sections=None if judged.sections is None else judged.sections[rows],
        sets=None,
    )


Located = tuple[Estimate, Int[np.ndarray, " part"]]
"""A figure, and the fold that each of its parts is of."""


def _in_common_folds(one: Located, other: Located) -> Sequence[Estimate]:
    """Both figures over the folds that have rows of both."""
    both = np.intersect1d(one[1], other[1])
    found = []
    for figure, folds in (one, other):
        if not len(both):
            bare = np.full((len(figure.parts), 1), np.nan)
            found.append(replace(figure, parts=bare, shares=np.ones(1)))
            continue
        kept = np.isin(folds, both)
        found.append(replace(figure, parts=figure.parts[:, kept], shares=figure.shares[kept]))
    return found
