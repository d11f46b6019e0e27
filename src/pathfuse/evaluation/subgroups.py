"""Metrics inside a group of the judged rows, and their difference to all other rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int

from pathfuse.evaluation.estimates import Estimate, Estimates, resampled
from pathfuse.evaluation.intervals import MIN_RESAMPLES, t_p_value, t_quantile
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
    return {
        name: Resamples(drawn.counts, one.patients, parts, rules.n_jobs)
        for name, one in tasks.items()
    }


@dataclass(frozen=True)
class Difference:
    """A figure of one group minus that of another, with its 95 % interval; NaN where there is none."""

    point: float
    low: float
    high: float
    p_value: float


def difference(one: Estimate, other: Estimate, kind: str, *, shared: bool) -> Difference:
    """A figure in one group minus the same in another, from the intervals of both.

        d = θ₁ - θ₂        low = d - t √(a² + b² - 2 ρ a b),    a = (θ₁ - l₁) / t₁,    b = (u₂ - θ₂) / t₂

    and ``high`` likewise, with the other ends of both. ``l`` and ``u`` are the ends of a figure's
    interval, which lies on the scale of its metric and is wide where a small group has every pair
    in order, though no resample then moves it: the resamples of the difference would miss that. ``ρ`` is
    the correlation of both over the same resamples of patients, 0 if no patient is in both groups.
    ``t₁`` and ``t₂`` are Student quantiles of the figures' degrees of freedom, and t that of
    Welch's. The p-value is of the side that faces 0.

    Args:
        one: In the group.
        other: In the other group, over the same folds.
        kind: Of the intervals; see ``evaluation.intervals``.
        shared: Whether some patient has rows in both groups.

    References:
        Newcombe (1998); Zou and Donner (2008): the method of variance estimates recovery.
    """
    point, nothing = one.point - other.point, float("nan")
    ends = one.interval(kind), other.interval(kind)
    if np.isnan([point, ends[0].low, ends[1].low]).any():
        return Difference(point, nothing, nothing, nothing)
    rho = _correlation(one, other) if shared else 0.0
    freedoms = one.freedom, other.freedom
    below = _error((one.point - ends[0].low, ends[1].high - other.point), freedoms, rho)
    above = _error((ends[0].high - one.point, other.point - ends[1].low), freedoms, rho)
    low, high = (point + sign * t_quantile(free) * error
                 for sign, (error, free) in ((-1, below), (1, above)))  # fmt: skip
    error, free = below if point > 0 else above
    p_value = t_p_value(point, error, free) if error > 0 else nothing
    return Difference(point, low, high, p_value)


def _error(
    reach: tuple[float, float], freedoms: tuple[float, float], rho: float
) -> tuple[float, float]:
    """Standard error of a difference to one side, and its degrees of freedom (Welch)."""
    a, b = (max(part, 0.0) / t_quantile(free) for part, free in zip(reach, freedoms, strict=True))
    fourth = a**4 / freedoms[0] + b**4 / freedoms[1]
    free = (a**2 + b**2) ** 2 / fourth if fourth > 0 else min(freedoms)
    return float(np.sqrt(max(a**2 + b**2 - 2 * rho * a * b, 0.0))), free


def _correlation(one: Estimate, other: Estimate) -> float:
    """Of two figures over the resamples that define both."""
    draws = np.stack([one.resampled, other.resampled])
    draws = draws[:, ~np.isnan(draws).any(axis=0)]
    if draws.shape[1] < MIN_RESAMPLES or (np.ptp(draws, axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(draws)[0, 1])


@dataclass(frozen=True)
class GroupFigures:
    """One method inside one group."""

    n: int
    n_patients: int
    inside: Estimates
    """By metric; empty where the group is too small."""
    apart: Mapping[str, Difference]
    """Inside the group minus among all other rows; empty where either side is too small."""
    note: str
    """Why something is missing; empty if nothing is."""


@dataclass
class Subgroups:
    """Metrics of groups of rows; those of the same rows are worked out once."""

    endpoint: EndpointLike
    judged: Judged
    resamples: Resamples
    interval: str = "auto"
    """Kind of the intervals."""
    drawn: str = "patient"
    """What is resampled, in words."""
    _known: dict[tuple[str, bytes], Estimates] = field(default_factory=dict)

    def figures(
        self, method: str, member: Bool[np.ndarray, " sample"], *, against_rest: bool
    ) -> GroupFigures:
        """The metrics of one method inside a group.

        Both sides of a difference come from the same resamples of patients, so that it is known how
        far those with samples in the group and outside tie them together.

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
        both = np.intersect1d(self.judged.patients[inside], self.judged.patients[rest])
        apart = {
            m: difference(one, other, self.interval, shared=len(both) > 0)
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
