"""Discrete-time survival: hazards in T bins become a distribution over T bins and a tail "after the
last edge".

An event in bin b is the set {b}. A case censored inside bin b is the set of all later bins and the
tail: one likelihood with classification (docs/design/fusion.md, section 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import AfterValidator
from pydantic import Field as Limits

from pathfuse.distributions.discrete_time import event_distribution, hazards, survival_at_edges
from pathfuse.distributions.likelihood import count_floored, floor_log_prob
from pathfuse.endpoints.base import (
    Endpoint,
    ExpertColumns,
    LabelMap,
    Options,
    PredictionHints,
    RiskColumns,
    Truth,
    Understood,
)
from pathfuse.endpoints.class_columns import like_probabilities
from pathfuse.endpoints.columns import RISK, Columns, number_text
from pathfuse.endpoints.follow_up import (
    CENSORSHIP,
    EVENT_NAMES,
    FOLLOW_UP,
    follow_up,
    observed,
    understood_follow_up,
)
from pathfuse.endpoints.follow_up_layouts import follow_up_hint, with_follow_up
from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged, Scores
from pathfuse.evaluation.metrics.survival import METRICS, SurvivalScores, SurvivalTruth, auc_name
from pathfuse.evaluation.notes import few_events
from pathfuse.evaluation.slope import of_hazards
from pathfuse.files.fields import Field
from pathfuse.files.schema import Stored, checked
from pathfuse.files.tables import Table
from pathfuse.types import LogProbs, Observed

CENSORING = ("later", "half")
"""What a case censored inside a bin counts as in that bin: nothing (it outlived it), or half."""


@dataclass(frozen=True)
class Survival(Endpoint):
    """T bins (e0, e1], (e1, e2], ... given once by their edges, never recomputed."""

    edges: tuple[float, ...]
    censoring: str = "later"

    kind: ClassVar[str] = "survival"
    in_words: ClassVar[str] = "survival in discrete time"
    asks: ClassVar[str] = "how long until the event"
    trained_as: ClassVar[str] = "survival"
    in_time: ClassVar[bool] = True
    prefixes: ClassVar[tuple[str, ...]] = ("hazard_logit_", "hazard_")
    every_outcome_needed: ClassVar[bool] = False
    fields: ClassVar[tuple[Field, ...]] = FOLLOW_UP
    other_words: ClassVar[Mapping[str, str]] = {CENSORSHIP: "event"}
    nothing_known: ClassVar[str] = "the Kaplan-Meier curve of the fit rows"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Concordance, Brier score, and the AUC at each finite edge after the first."""
        finite = [e for e in self.edges[1:] if np.isfinite(e)]
        return (*(metric.name for metric in METRICS), *(auc_name(e) for e in finite))

    @classmethod
    def target_columns(cls, header: Sequence[str]) -> list[str]:
        """``time`` and ``event``."""
        return ["time", "event"] if {"time", "event"} <= set(header) else []

    @classmethod
    def with_layout(cls, table: Table, chosen: Mapping[str, str]) -> tuple[Table, dict[str, str]]:
        """See ``Endpoint``: follow-up as the GDC, cBioPortal and Xena write it."""
        return with_follow_up(table, chosen)

    @classmethod
    def hint(cls, header: Sequence[str]) -> str:
        """See ``Endpoint``."""
        return follow_up_hint(header)

    @classmethod
    def comparable(cls, name: str, column: pl.Series) -> pl.Series:
        """See ``Endpoint``: events as 1 and 0, times as numbers."""
        if name.lower() in EVENT_NAMES:
            return observed(name, column)
        return column.cast(pl.Float64, strict=False).cast(pl.String)

    @classmethod
    def understand(
        cls, table: Table, names: Mapping[str, str], zero_time: str | None
    ) -> Understood:
        """See ``Endpoint``: see ``understood_follow_up``."""
        return understood_follow_up(table, names, zero_time)

    @classmethod
    def from_columns(cls, columns: Columns, options: Options | None = None) -> Self:
        """Edges come with the study.

        Raises:
            InputError: No edges, edges that do not increase, or all cases are censored.
        """
        options = options or Options()
        edges = options.time_edges
        if edges is None:
            raise InputError(
                f"{columns.source} has the columns 'time' and 'event', so the bin edges are needed: "
                "--time-edges 0,12,24,inf ('pathfuse bins' proposes some)"
            )
        if options.censoring not in CENSORING:
            raise InputError(
                f"censoring '{options.censoring}' is unknown; choose {' or '.join(CENSORING)}"
            )
        shown = ",".join(number_text(e) for e in edges)
        if len(edges) < 2:
            raise InputError(f"--time-edges {shown}: at least two edges are needed")
        if any(not a < b for a, b in pairwise(edges)):
            raise InputError(f"--time-edges {shown}: the edges do not increase")
        _, event = follow_up(columns)
        if not event.any():  # nothing can be learned of when; a few new cases may well be so
            raise InputError(
                f"{columns.source}, column 'event': all {len(event)} cases are censored"
            )
        return cls(tuple(edges), options.censoring)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """See ``Endpoint``."""
        stored = checked(StoredBins, content)
        return cls(tuple(float(edge) for edge in stored.time_edges), stored.censoring)

    def scores(
        self, log_prob: LogProbs, observed: Observed, context: SurvivalTruth | None
    ) -> Scores:
        """See ``Endpoint``; survival cannot be judged without its follow-up."""
        if context is None:
            raise ValueError("survival needs the follow-up of the judged rows")
        return SurvivalScores(log_prob, observed, context)

    def slope_scores(self, log_prob: LogProbs, observed: Observed) -> Scores:
        """See ``Endpoint``."""
        return of_hazards(log_prob, observed)

    @property
    def slope_in_words(self) -> tuple[str, tuple[str, ...]]:
        """See ``Endpoint``."""
        return (
            "logit h' = a + b logit h, on the hazards of the bins that a case was at risk in",
            ("cox1958", "vancalster2019"),
        )

    def too_few(self, judged: Judged, drawn: str) -> str | None:
        """See ``Endpoint``: fewer than two patients with an event."""
        return few_events(judged)

    def as_dict(self) -> dict[str, Any]:
        """See ``Endpoint``; edges as text, since JSON has no infinity."""
        return {
            "kind": self.kind,
            "time_edges": [repr(e) for e in self.edges],
            "censoring": self.censoring,
        }

    @property
    def n_bins(self) -> int:
        """T."""
        return len(self.edges) - 1

    @property
    def named(self) -> tuple[str, ...]:
        """Bins of time have no names."""
        return ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """One fusion over all bins."""
        return ("all",)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The bins, then the tail."""
        names = [f"({number_text(a)}, {number_text(b)}]" for a, b in pairwise(self.edges)]
        return (*names, "later")

    def truth(self, columns: Columns) -> dict[str, Truth]:
        """Observed sets.

        Raises:
            InputError: A time is not positive, or an event is neither 0 nor 1.
        """
        time, event = follow_up(columns)
        early = np.flatnonzero(time <= self.edges[0])
        if len(early):
            row = int(early[0])
            raise columns.wrong(
                "time", row, f"{time[row]:g} is not after the first edge, {self.edges[0]:g}"
            )
        last = self.n_bins
        bins = np.minimum(np.searchsorted(np.array(self.edges[1:]), time, side="left"), last)
        outcome = np.arange(last + 1)
        observed = np.where(
            event[:, None] == 1, outcome == bins[:, None], outcome > bins[:, None]
        ).astype(np.float64)
        observed[bins == last, last] = 1.0  # followed beyond the last edge: the tail, event or not
        if self.censoring == "half":
            half = (event == 0) & (bins < last)
            observed[half, bins[half]] = 0.5
        kept = observed if self.censoring == "half" else observed.astype(bool)
        return {"all": Truth(kept, np.ones(len(time), dtype=bool), time, event)}

    def prediction_columns(self, header: Sequence[str]) -> list[str]:
        """Hazards, or where there are none a risk."""
        return super().prediction_columns(header) or [n for n in header if n == RISK]

    def expert_columns(self, label_map: LabelMap | None, *, gives_risk: bool) -> tuple[str, ...]:
        """See ``Endpoint``: the logit of the hazard in each bin, or the risk."""
        if gives_risk:
            return (RISK,)
        return tuple(f"{self.prefixes[0]}{k}" for k in range(1, self.n_bins + 1))

    def understand_predictions(
        self, table: Table, label_map: LabelMap | None, hints: PredictionHints
    ) -> tuple[Table, tuple[str, ...]]:
        """See ``Endpoint``."""
        if self.prediction_columns(table.frame.columns) != [RISK]:
            return table, ()
        what = "a risk per sample and no hazards"
        how = "hazards in proportion to it are estimated on fit rows, where there are any"
        return table, (f"{table.source}: {what}; {how}",)

    def read_expert(
        self, columns: Columns, label_map: LabelMap | None
    ) -> dict[str, ExpertColumns | RiskColumns]:
        """``hazard_logit_<k>`` or ``hazard_<k>``, k = 1..T; or ``risk`` alone.

        Raises:
            InputError: Columns are missing or too many for the edges, or a value is not a hazard.
        """
        if label_map is not None:
            raise InputError(f"{columns.source}: a label map has no meaning for survival")
        if self.prediction_columns(list(columns.values)) == [RISK]:
            risk = columns.values[RISK][:, None]
            columns.check_finite([RISK], risk)
            return {"all": RiskColumns(risk, np.arange(self.n_bins + 1), ())}
        prefix = (
            self.prefixes[0]
            if any(n.startswith(self.prefixes[0]) for n in columns.values)
            else self.prefixes[1]
        )
        wanted = [f"{prefix}{k}" for k in range(1, self.n_bins + 1)]
        found = [name for name in columns.values if name.startswith(prefix)]
        if sorted(found) != sorted(wanted):
            raise InputError(
                f"{columns.source} has {len(found)} hazard columns ({', '.join(found) or 'none'}), but "
                f"{len(self.edges)} time edges make {self.n_bins} bins: {wanted[0]} to {wanted[-1]}"
            )
        table = np.stack([columns.values[name] for name in wanted], axis=1)
        columns.check_finite(wanted, table)
        misnamed = prefix == "hazard_logit_" and like_probabilities(table)
        if prefix == "hazard_":
            bad = np.argwhere((table < 0) | (table > 1))
            if len(bad):
                row, k = bad[0]
                what = "is not a hazard between 0 and 1; logits are named 'hazard_logit_<k>'"
                raise columns.wrong(wanted[k], row, f"{number_text(table[row, k])} {what}")
            with np.errstate(divide="ignore"):
                table = np.clip(np.log(table) - np.log1p(-table), -50, 50)
        raw = event_distribution(table)
        ignored = tuple(name for name in columns.values if name not in wanted)
        return {
            "all": ExpertColumns(
                floor_log_prob(raw),
                np.arange(self.n_bins + 1),
                count_floored(raw),
                ignored,
                misnamed,
            )
        }

    def fused_columns(self, log_prob: Mapping[str, LogProbs]) -> dict[str, np.ndarray]:
        """``hazard_<k>`` and ``prediction``, the risk: minus the sum of the survival curve, higher
        = earlier event.
        """
        hazard = hazards(log_prob["all"])
        columns = {f"hazard_{k + 1}": hazard[:, k] for k in range(self.n_bins)}
        return {**columns, "prediction": -survival_at_edges(log_prob["all"]).sum(axis=1)}


def _increasing(edges: list[str]) -> list[str]:
    numbers = [float(edge) for edge in edges]
    if any(not a < b for a, b in pairwise(numbers)) or np.isinf(numbers[:-1]).any():
        raise ValueError("the time edges do not increase")
    return edges


class StoredBins(Stored):
    """As ``as_dict`` writes it."""

    kind: str
    time_edges: Annotated[list[str], Limits(min_length=2), AfterValidator(_increasing)]
    censoring: Literal["later", "half"]
