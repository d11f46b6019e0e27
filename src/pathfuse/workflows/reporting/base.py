"""What a part of the report is given, and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from pathfuse.evaluation.judged import Judged, Verdict
from pathfuse.evaluation.rules import Rules
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.types import Index
from pathfuse.workflows.options import FuseOptions
from pathfuse.workflows.steps.outer import Fits


@dataclass(frozen=True)
class JudgedRun:
    """The judged rows of a run, and what else a part of the report may ask."""

    study: Study
    judged: Mapping[str, Judged]
    """By output."""
    rows: Mapping[str, Index]
    """By task, the study's rows that were judged, fold after fold."""
    parts: Sequence[Partition]
    """What was fitted on, and what was judged: one per fold."""
    fits: Fits | None
    """One per part; None for ``evaluate``."""
    verdict: Verdict
    settings: FuseOptions
    rules: Rules


@dataclass(frozen=True)
class ReportPart:
    """What one part adds to a run."""

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    """By the name of their CSV file; a table without rows is not written."""
    manifest: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What could not be determined, a sentence each."""
    warnings: tuple[str, ...] = ()
    """What was asked for and is not there, a sentence each."""


class MakePart(Protocol):
    """Makes one part of the report."""

    def __call__(self, run: JudgedRun) -> ReportPart:
        """The part; empty where the endpoint has no such thing."""
