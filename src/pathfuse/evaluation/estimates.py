"""Point values and resampled values of metrics, fold by fold: predictions of different folds are
never pooled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.evaluation.intervals import (
    MIN_RESAMPLES,
    NO_INTERVAL,
    Interval,
    Sampled,
    bca_interval,
    percentile_interval,
    standard_error,
    t_p_value,
    t_quantile,
    t_quantiles,
    two_sided_p,
)
from pathfuse.evaluation.judged import EndpointLike, Judged, Scores
from pathfuse.evaluation.metrics.base import ANY, Metric
from pathfuse.evaluation.resampling import Resamples
from pathfuse.evaluation.scales import PLAIN, Share
from pathfuse.evaluation.value_table import (
    Scorer,
    Table,
    rows_by_fold,
    scorer_of,
    table_of,
)

NORMAL = 1.959963984540054
"""The 97.5 % quantile of a standard normal distribution."""
WHOLE = np.ones(1)
"""The share of the only part."""
Parts = Float[np.ndarray, "value part"]
"""Values of a figure inside each fold, or of each label: the point, then its resamples, then
without each patient."""


@dataclass(frozen=True)
class Estimate:
    """One figure, with what it takes to say how sure it is.

    It is the weighted mean over the parts (folds, or labels) that define it on all rows. A resample
    that lacks one of
    those parts does not define the figure: the mean of the others would be a mean of something
    else.
    """

    parts: Parts
    shares: Float[np.ndarray, " part"]
    """Weight of each part."""
    n_resamples: int
    sampled: Sampled
    metric: Metric = ANY
    """What is to be known of it."""
    paired: bool = False
    """Whether it is a difference."""
    same: bool = False
    """Whether it is the difference of equal predictions."""

    @cached_property
    def counted(self) -> Bool[np.ndarray, " part"]:
        """The parts that define the figure on all rows."""
        return np.asarray(~np.isnan(self.parts[0]))

    @cached_property
    def values(self) -> Float[np.ndarray, " value"]:
        """The mean over the counted parts; NaN where one of them is."""
        kept = self.counted
        if len(kept) == 1 and kept[0]:
            return self.parts[:, 0]
        shares = np.where(kept, self.shares, 0.0)
        total = shares.sum()
        if total == 0:
            return np.full(len(self.parts), np.nan)
        return np.asarray(self.parts[:, kept] @ (shares[kept] / total))

    @property
    def point(self) -> float:
        """On all rows."""
        return float(self.values[0])

    @property
    def resampled(self) -> Float[np.ndarray, " resample"]:
        """On every resample; NaN where it does not define the figure."""
        return self.values[1 : 1 + self.n_resamples]

    @property
    def left_out(self) -> Float[np.ndarray, " patient"]:
        """Without each patient, or part of many patients, in turn.

        Empty for plain percentile intervals.
        """
        return self.values[1 + self.n_resamples :]

    @cached_property
    def defined_throughout(self) -> bool:
        """Whether all rows define it, and every resample, and the rows without each part."""
        return not np.isnan(self.values).any()

    @cached_property
    def freedom(self) -> float:
        """Degrees of freedom of its standard error."""
        return self.sampled.freedom_of(self.left_out)

    def among(self, kept: Bool[np.ndarray, " part"]) -> Self:
        """The same figure over some of its parts."""
        if kept[self.counted].all():
            return self
        return replace(self, parts=np.where(kept, self.parts, np.nan))

    def minus(self, other: Self, same: bool = False) -> Self:
        """The paired difference, over the parts that define both.

        Args:
            other: The reference.
            same: Whether both predict the same.
        """
        both = self.counted & other.counted
        one, rest = self.among(both).values, other.among(both).values
        n, sampled = min(self.sampled.n_patients, other.sampled.n_patients), self.sampled
        if n != sampled.n_patients:
            sampled = replace(sampled, n_patients=n)
        parts = (one - rest)[:, None]
        return type(self)(parts, WHOLE, self.n_resamples, sampled, self.metric, True, same)

    def unsure(self) -> Self:
        """The same figure with no interval."""
        return replace(
            self, parts=np.concatenate([self.parts[:1], np.full_like(self.parts[1:], np.nan)])
        )

    @cached_property
    def spread(self) -> float:
        """Standard error by the resamples."""
        return standard_error(self.resampled, self.sampled)

    @cached_property
    def error(self) -> float:
        """Standard error.

        Of a share, or a difference of shares, that no resample moves, what n patients leave open.
        """
        found, scale = self.spread, self.metric.scale
        if found or self.same or not self.paired or not isinstance(scale, Share):
            return found
        reach = scale.at_end(scale.low, self.sampled.n_patients, NORMAL)[1] - scale.low
        return reach / t_quantile(self.freedom)

    @cached_property
    def _intervals(self) -> dict[str, Interval]:
        """Those that were worked out, by kind."""
        return {}

    def interval(self, kind: str = "auto") -> Interval:
        """The 95 % interval; see ``evaluation.intervals`` for what ``auto`` is."""
        if kind not in self._intervals:
            self._intervals[kind] = self._interval(kind)
        return self._intervals[kind]

    def _interval(self, kind: str) -> Interval:
        draws, point = self.resampled, self.point
        if self.metric.no_interval or np.isnan(point):
            return NO_INTERVAL
        if kind == "percentile":
            return percentile_interval(draws)
        if kind == "bca":
            if not len(self.left_out):
                return percentile_interval(draws)
            return bca_interval(point, draws, self.left_out)
        if not len(self.left_out):
            return percentile_interval(draws, self.sampled.tail())
        error = self.error
        if np.isnan(error):
            return NO_INTERVAL
        if (
            isinstance(self.metric.scale, Share)
            and not self.paired
            and not self.metric.scale.holds(point)
        ):
            return Interval(*self.metric.scale.at_end(point, self.sampled.n_patients, NORMAL))
        if self.paired:
            return Interval(*PLAIN.interval(point, error, t_quantile(self.freedom)))
        low, high = self.metric.scale.interval(point, error, t_quantile(self.freedom))
        return Interval(low, min(high, self.metric.highest))

    def p_value(self, kind: str = "auto") -> float:
        """Two-sided, of the hypothesis that the figure is 0; NaN where there is no interval."""
        if np.isnan(self.interval(kind).low):
            return float("nan")
        if self.uses_t(kind) and self.error > 0:
            return t_p_value(self.point, self.error, self.freedom)
        return two_sided_p(self.resampled)

    def uses_t(self, kind: str) -> bool:
        """Whether a difference is tested by its standard error and a t distribution."""
        return kind == "auto" and self.paired and len(self.left_out) > 0

    def distribution(self, kind: str) -> Float[np.ndarray, " resample"]:
        """What the figure might be, in as many values as there are resamples.

        Its quantiles bound the interval.
        """
        if not self.uses_t(kind):
            return self.resampled
        return np.asarray(self.point + self.error * t_quantiles(self.freedom, self.n_resamples))


Estimates = Mapping[str, Estimate]
"""By metric."""


def prepare(estimates: Sequence[Estimate]) -> None:
    """Standard errors and degrees of freedom of many figures at once.

    A figure with resamples that do not define it, or without parts left out, works out its own.
    """
    ready = [one for one in estimates if len(one.left_out) and one.n_resamples >= MIN_RESAMPLES]
    if not ready or len({(len(one.values), one.n_resamples) for one in ready}) > 1:
        return
    table = np.stack([one.values for one in ready])
    n_resamples = ready[0].n_resamples
    draws, pulls = table[:, 1 : 1 + n_resamples], table[:, 1 + n_resamples :]
    draws -= draws.mean(axis=1, keepdims=True)
    pulls -= pulls.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.einsum("fr,fr->f", draws, draws) / n_resamples)
    squared = pulls * pulls
    squares, fourths = squared.sum(axis=1), np.einsum("fp,fp->f", squared, squared)
    # A value that is not defined leaves its mark on the sums.
    whole = np.isfinite(spread + squares) & np.isfinite(table[:, 0])
    for k in np.flatnonzero(whole):
        one = ready[k]
        found = float(spread[k] * one.sampled.inflation)
        one.__dict__["defined_throughout"] = True
        one.__dict__["spread"] = found
        one.__dict__["freedom"] = one.sampled.freedom_from(
            float(squares[k]), float(fourths[k]), pulls.shape[1]
        )


def over_parts(estimates: Sequence[Estimate]) -> Estimate:
    """The plain mean of the same figure over several labels or targets."""
    most = max(estimates, key=lambda one: one.sampled.n_patients)
    values = np.stack([one.values for one in estimates], axis=1)
    return replace(most, parts=values, shares=np.ones(len(estimates)))


def resampled(
    endpoint: EndpointLike,
    judged: Judged,
    name: str,
    rows: Bool[np.ndarray, " sample"],
    resamples: Resamples,
) -> Estimates:
    """Every metric of one method on some rows."""
    return resampled_all(endpoint, judged, {name: rows}, resamples)[name]


def resampled_all(
    endpoint: EndpointLike,
    judged: Judged,
    rows_of: Mapping[str, Bool[np.ndarray, " sample"]],
    resamples: Resamples,
) -> dict[str, Estimates]:
    """Every metric of some methods, each on its rows.

    Methods on the same rows share the weights of the resamples, which are dear to make. Where these
    are many, other processes work on them: ``Resamples.n_jobs`` here, or those of an engine.

    Raises:
        WorkerError: One of those processes was ended, twice.
    """
    alike: dict[bytes, list[str]] = {}
    for name, rows in rows_of.items():
        alike.setdefault(rows.tobytes(), []).append(name)
    found: dict[str, Estimates] = {}
    for names in alike.values():
        rows = rows_of[names[0]]
        scorers = {name: scorer_of(endpoint, judged, name) for name in names}
        table = None
        if not resamples.few and rows.any():
            from pathfuse.evaluation.elsewhere import table_elsewhere  # prediction needs no joblib

            table = table_elsewhere(endpoint, judged, names, rows, resamples)
        found |= _estimates(scorers, endpoint.metrics, judged, rows, resamples, table)
    return {name: found[name] for name in rows_of}


def estimate(
    scorer: Scorer,
    metrics: Sequence[str],
    judged: Judged,
    rows: Bool[np.ndarray, " sample"],
    resamples: Resamples,
) -> dict[str, Estimate]:
    """Point value and resampled values of some metrics on some rows, inside each fold.

    Raises:
        KeyError: The scores do not know one of the metrics.
    """
    return _estimates({"": scorer}, metrics, judged, rows, resamples)[""]


def _estimates(
    scorers: Mapping[str, Scorer],
    metrics: Sequence[str],
    judged: Judged,
    rows: Bool[np.ndarray, " sample"],
    resamples: Resamples,
    table: Table | None = None,
) -> dict[str, dict[str, Estimate]]:
    """``estimate`` of several predictors on the same rows; ``table``: their values, if known."""
    n_resamples = len(resamples.counts)
    inside = rows_by_fold(judged, rows)
    sampled = Sampled(len(np.unique(judged.patients[rows])), max(len(inside), 1))
    if not rows.any():
        nothing = np.full((resamples.n_values, 1), np.nan)
        one = {m: Estimate(nothing, np.ones(1), n_resamples, sampled) for m in metrics}
        return dict.fromkeys(scorers, one)
    scores = {
        name: [scorer(own, fold) for fold, own in inside.items()]
        for name, scorer in scorers.items()
    }
    if table is None:
        table = table_of(scores, metrics, inside, resamples, resamples.pieces)
    shares = np.array(
        [len(np.unique(judged.patients[own])) for own in inside.values()], dtype=np.float64
    )
    return {
        name: {
            m: Estimate(table[n, k], shares, n_resamples, sampled, known[m])
            for k, m in enumerate(metrics)
        }
        for n, (name, known) in enumerate((name, _named(one)) for name, one in scores.items())
    }


def _named(scores: Sequence[Scores]) -> dict[str, Metric]:
    """Metrics by name; the last fold's, where folds differ."""
    return {one.name: one for fold in scores for one in fold.metrics}


def by_fold(
    endpoint: EndpointLike, judged: Judged, name: str, rows: Bool[np.ndarray, " sample"]
) -> dict[str, np.ndarray]:
    """Every metric of one method inside each fold; NaN where a fold does not define it."""
    values = []
    for fold in np.unique(judged.folds):
        inside = np.flatnonzero(rows & (judged.folds == fold))
        scores = judged.scores(endpoint, name, inside, int(fold)) if len(inside) else None
        values.append(scores.values(np.ones((1, len(inside)))) if scores else {})
    return {
        m: np.array([float(v[m][0]) if v else np.nan for v in values]) for m in endpoint.metrics
    }
