"""``calibration.csv`` and ``calibration_curves.csv``: calibration as it is reported.

Rows of different folds are taken together: a probability means the same in all of them. Patients
are drawn, inside their folds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.calibration_figures import (
    NumberCalibration,
    OutcomeCalibration,
    enough_of_both,
    interval_of,
    log_odds,
    stacked,
)
from pathfuse.evaluation.intervals import Sampled, percentile_interval
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.evaluation.metrics.base import RowWeights, Values, ratio
from pathfuse.evaluation.notes import listed
from pathfuse.evaluation.resampling import Resamples
from pathfuse.evaluation.rules import Rules
from pathfuse.evaluation.slope import MOST_RESAMPLES, of_hazards, slope_resamples
from pathfuse.evaluation.survival_calibration import (
    EdgeCalibration,
    d_calibration,
    survival_at_own_time,
)
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.resamples import fused_or_experts
from pathfuse.workflows.steps.curves import MAX_OUTPUTS

MAX_CURVES = 9
"""Classes of one output whose curves are kept; the figures of all stand in the table."""
FEWEST, BUDGET = 120, 6_000_000
"""Resamples at least, some more than an interval needs, since some define no figure; and rows that
all resamples of all curves may draw: seconds of work."""
FIGURES = {
    "output": pl.String,
    "method": pl.String,
    "group": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n": pl.Int64,
}
CURVES = {
    "output": pl.String,
    "method": pl.String,
    "group": pl.String,
    "predicted": pl.Float64,
    "observed": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
Line = tuple[str, str, float | None, float | None, float | None, int]
"""Group, figure, value, interval, rows."""
Point = tuple[str, float, float, float | None, float | None]
"""Group, predicted, observed, band."""


def calibration_part(run: JudgedRun) -> ReportPart:
    """Figures and curves of calibration of the shown methods."""
    endpoint, experts = run.study.endpoint, run.study.expert_names
    judged = {output: one for output, one in run.judged.items() if len(one.observed)}
    n_resamples = affordable(endpoint, judged, experts, run.rules.n_resamples)
    lines: list[tuple[Any, ...]] = []
    points: list[tuple[Any, ...]] = []
    drawn: dict[bytes, Resamples] = {}
    unsure: dict[str, None] = {}
    for n, (output, one) in enumerate(judged.items()):
        alike = one.patients.tobytes() + one.folds.tobytes()
        if alike not in drawn:  # as for the slope of the manifest: one interval for both
            drawn[alike] = slope_resamples(one, n_resamples, run.rules.seed)
        for method in fused_or_experts(one.predictions, experts):
            there = predicted(one.predictions[method])
            if not there.any():
                continue
            rows = _Rows(endpoint, one, method, there, drawn[alike], run.rules)
            found, curves = rows.calibration(with_curves=n < MAX_OUTPUTS)
            lines += [(output, method, *line) for line in found]
            points += [(output, method, *point) for point in curves]
            unsure |= dict.fromkeys(f"{output}, {group}" for group in rows.unsure)
    tables = {
        "calibration": pl.DataFrame(lines, schema=FIGURES, orient="row"),
        "calibration_curves": pl.DataFrame(points, schema=CURVES, orient="row"),
    }
    most = max((len(one.counts) for one in drawn.values()), default=0)
    why = f"calibration has no intervals where fewer than two {run.rules.drawn}s have an outcome or lack it"
    notes = (f"{why}: {listed(list(unsure))}",) if unsure and most else ()
    return ReportPart(tables, {"calibration_resamples": most} if lines else {}, notes)


def affordable(
    endpoint: Endpoint, judged: Mapping[str, Judged], experts: Sequence[str], n_resamples: int
) -> int:
    """How many resamples all curves together may have."""
    several = endpoint.of_classes and len(endpoint.outcomes) > 2
    groups = len(endpoint.outcomes) if several else 1
    rows = sum(
        len(one.observed) * groups * len(fused_or_experts(one.predictions, experts))
        for one in judged.values()
    )
    return min(n_resamples, MOST_RESAMPLES, max(FEWEST, BUDGET // max(rows, 1)))


@dataclass(frozen=True)
class _Rows:
    """The judged rows of one method."""

    endpoint: Endpoint
    judged: Judged
    method: str
    there: np.ndarray
    resamples: Resamples
    rules: Rules

    def calibration(self, with_curves: bool) -> tuple[list[Line], list[Point]]:
        """Its figures, and the points of its curves."""
        if self.endpoint.of_numbers:
            return list(self._of_numbers()), []
        if self.judged.context is not None:
            return [*self._of_hazards(), *self._at_edges(), *self._d_calibration()], []
        lines: list[Line] = []
        points: list[Point] = []
        for n, k in enumerate(self._outcomes):
            own, curve = self._of_outcome(k, with_curves and n < MAX_CURVES)
            lines += own
            points += curve
        return lines, points

    @cached_property
    def _predictions(self) -> np.ndarray:
        return self.judged.predictions[self.method][self.there]

    @cached_property
    def _observed(self) -> np.ndarray:
        return self.judged.observed[self.there]

    @cached_property
    def _patients(self) -> np.ndarray:
        return self.judged.patients[self.there]

    @property
    def _n(self) -> int:
        return int(self.there.sum())

    @property
    def _sampled(self) -> Sampled:
        return Sampled(len(np.unique(self._patients)))

    @property
    def _outcomes(self) -> list[int]:
        """Which outcomes have figures of their own: of two the positive one."""
        k = 1 if self.endpoint.positive is None else self.endpoint.positive
        n = self._predictions.shape[1]
        return [k] if n == 2 else list(range(n))

    @property
    def unsure(self) -> list[str]:
        """Outcomes that too few patients have, or too few have not, for intervals."""
        if self.endpoint.of_numbers or self.judged.context is not None:
            return []
        sides = [(k, self._observed[:, k] > 0) for k in self._outcomes]
        names = self.endpoint.outcomes
        return [names[k] for k, side in sides if not enough_of_both(side, self._patients)]

    def _weights(self) -> Iterator[RowWeights]:
        """Of all rows, then of every resample, in chunks."""
        every = np.ones((1, self._n))
        return chain([every], (chunk[:, self.there] for chunk in self.resamples.row_weights()))

    def _lines(self, group: str, found: Mapping[str, Values], sure: bool = True) -> Iterator[Line]:
        """One line per figure."""
        for name, values in found.items():
            low, high = None, None
            if sure and np.isfinite(values[0]):
                ends = interval_of(name, values, self._sampled, self.rules.interval)
                low, high = _shown(ends.low), _shown(ends.high)
            yield group, name, _shown(float(values[0])), low, high, self._n

    def _of_outcome(self, k: int, with_curve: bool) -> tuple[list[Line], list[Point]]:
        happened, group = self._observed[:, k].astype(np.float64), self.endpoint.outcomes[k]
        rows = OutcomeCalibration(log_odds(self._predictions, k), happened)
        grid = rows.corp.grid() if with_curve else np.empty(0)
        sure = enough_of_both(happened > 0, self._patients)
        weights = self._weights() if sure else iter([np.ones((1, self._n))])
        parts = [rows.values(chunk, grid) for chunk in weights]
        found = stacked(figures for figures, _ in parts)
        if self._predictions.shape[1] > 2:
            found = {"class_slope": found.pop("slope"), **found}
        by_chance = rows.if_calibrated(self._patients, self.rules.seed)
        lines = [
            *self._lines(group, found, sure),
            *((group, name, value, None, None, self._n) for name, value in by_chance.items()),
        ]
        if not with_curve:
            return lines, []
        curves = np.concatenate([curve for _, curve in parts])
        return lines, list(_points(group, grid, curves, self._sampled.tail()))

    def _of_numbers(self) -> Iterator[Line]:
        rows = NumberCalibration(self._predictions, self._observed[:, 0])
        yield from self._lines("", stacked(rows.values(chunk) for chunk in self._weights()))

    def _of_hazards(self) -> Iterator[Line]:
        rows = of_hazards(self._predictions, self._observed)
        parts = []
        for weights in self._weights():
            line = rows.line(weights)
            parts.append(
                {
                    "slope": line[:, 1],
                    "intercept_of_slope": line[:, 0],
                    "intercept": rows.level(weights),
                }
            )
        yield from self._lines("", stacked(parts))

    @cached_property
    def _edge_rows(self) -> EdgeCalibration | None:
        if self.judged.context is None:
            return None
        return EdgeCalibration(
            self._predictions, self.judged.context.at(np.flatnonzero(self.there))
        )

    def _at_edges(self) -> Iterator[Line]:
        rows = self._edge_rows
        if rows is None or not len(rows.edges):
            return
        parts = [rows.values(weights) for weights in self._weights()]
        observed, expected = (np.concatenate(side) for side in zip(*parts, strict=True))
        for e, edge in enumerate(rows.edges.tolist()):
            found = {
                "observed_to_expected": ratio(observed[:, e], expected[:, e]),
                "observed": observed[:, e],
                "expected": expected[:, e],
            }
            yield from self._lines(f"{edge:.12g}", found)

    def _d_calibration(self) -> Iterator[Line]:
        rows = self._edge_rows
        if rows is None or np.isfinite(rows.truth.edges).sum() < 2:
            return
        test = d_calibration(*survival_at_own_time(rows.log_prob, rows.truth), self._patients)
        yield "", "d_calibration", test.statistic, None, None, self._n
        yield "", "d_calibration_p", test.p_value, None, None, self._n
        n_bins = len(test.share)
        for b, share in enumerate(test.share.tolist()):
            bounds = f"{b / n_bins:g}-{(b + 1) / n_bins:g}"
            yield bounds, "d_calibration_share", share, None, None, self._n


def _points(group: str, grid: np.ndarray, curves: np.ndarray, tail: float) -> Iterator[Point]:
    """The curve of all rows, and per point the quantiles of the resamples."""
    for p, values in zip(grid.tolist(), curves.T, strict=True):
        ends = percentile_interval(values[1:], tail)
        low, high = _shown(ends.low), _shown(ends.high)
        yield group, p, float(values[0]), low, high


def _shown(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
