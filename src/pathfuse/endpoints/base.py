"""What every endpoint answers: what is predicted, what was observed, how columns become
log-probabilities.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from pathfuse.endpoints.columns import Columns
from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged, Scores
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.files.fields import Field, also_named
from pathfuse.files.tables import Table
from pathfuse.types import Index, LogProbs, Observed, PerSample

LabelMap = Mapping[str, str]
"""Study class -> the expert's class that contains it."""


@dataclass(frozen=True)
class Options:
    """What an endpoint needs with its target columns."""

    time_edges: tuple[float, ...] | None = None
    """Survival: bin edges, increasing; the last may be infinite."""
    censoring: str = "later"
    """Survival: what a case censored inside a bin counts as in that bin, ``later`` (nothing) or
    ``half``."""
    sectioned: bool = False
    """Regression: whether the samples say which section each is of."""


@dataclass(frozen=True)
class Truth:
    """What was observed, for one task."""

    observed: Observed
    known: Bool[np.ndarray, " sample"]
    """False where the truth is blank; such rows add no term."""
    time: PerSample | None = None
    """Survival: follow-up."""
    event: PerSample | None = None
    """Survival: 1 = observed, 0 = censored."""

    def at(self, rows: Index) -> "Truth":
        """The same of some of the samples."""
        time = None if self.time is None else self.time[rows]
        event = None if self.event is None else self.event[rows]
        return Truth(self.observed[rows], self.known[rows], time, event)


@dataclass(frozen=True)
class ExpertColumns:
    """One expert's predictions of some samples, in its own label space."""

    log_prob: Float[np.ndarray, "row own_outcome"]
    """Floored and normalised."""
    group: Int[np.ndarray, " outcome"]
    """For each outcome of the study the expert's own outcome that contains it; -1: the expert does
    not know it."""
    n_floored: int
    ignored: tuple[str, ...]
    """Columns of the table that carry no prediction."""
    like_probabilities: bool = False
    """Whether its columns are called logits but look like probabilities in every row."""


@dataclass(frozen=True)
class RiskColumns:
    """One expert's risks of some samples, of which hazards are made on fit rows."""

    risk: Float[np.ndarray, "row 1"]
    """Higher means earlier."""
    group: Int[np.ndarray, " outcome"]
    ignored: tuple[str, ...]
    n_floored: int = 0


@dataclass(frozen=True)
class Understood:
    """The target columns of a samples table in the contract's form."""

    table: Table
    notes: tuple[str, ...] = ()
    """What was understood, a sentence each."""
    unusable: Mapping[str, list[int]] = field(default_factory=dict)
    """Rows that say nothing about the target, by the reason."""
    as_endpoint: str | None = None
    """Another endpoint, if the columns turn out to be of that one."""
    objections: tuple[str, ...] = ()
    """Why unusable rows should not be left out, a sentence each; ``--allow-partial`` passes them over."""


@dataclass(frozen=True)
class PredictionHints:
    """What a person says of prediction tables."""

    positive: str | None = None
    """The class that a single probability per sample is of."""
    percent: bool = False
    """Probabilities are in per cent."""
    drop_absent_classes: bool = False
    """Classes that no sample has are left out."""


class Endpoint(ABC):
    """Base of all endpoints."""

    kind: ClassVar[str]
    """Name of the endpoint."""
    in_words: ClassVar[str]
    """What is predicted, in words."""
    asks: ClassVar[str]
    """The question that a prediction answers, in words."""
    of_classes: ClassVar[bool] = False
    """Whether a sample has one of several classes by name."""
    of_numbers: ClassVar[bool] = False
    """Whether experts predict means and variances; otherwise probabilities of outcomes."""
    of_labels: ClassVar[bool] = False
    """Whether there are several yes-or-no labels, each with a fusion of its own."""
    in_time: ClassVar[bool] = False
    """Whether the outcomes are bins of time, and some cases are censored."""
    trained_as: ClassVar[str]
    """What a head is trained for: a name in ``experts/targets/registry.py``."""
    slope_sides: ClassVar[tuple[str, str]] = ("too sure", "too timid")
    """What predictions are below a calibration slope of 1, and above it."""
    every_outcome_needed: ClassVar[bool] = True
    """Whether each outcome must occur among the fit rows."""
    blank_columns: ClassVar[bool] = False
    """Whether an expert's column without any value is as none: a fusion writes such ones of what it
    could not learn."""
    prefixes: ClassVar[tuple[str, ...]]
    """What the names of an expert's prediction columns start with."""
    fields: ClassVar[tuple[Field, ...]] = ()
    """Its target columns and what other tools call them."""
    other_words: ClassVar[Mapping[str, str]] = {}
    """Words of ``--columns`` that are names of columns with a meaning of their own, to the word of the
    field that they stand for: a column named by one counts as if it were called so."""
    target_prefix: ClassVar[str] = ""
    """What the names of its target columns start with, if there are several."""
    nothing_known: ClassVar[str]
    """What ``null_model`` predicts for every sample, in words."""

    @classmethod
    @abstractmethod
    def target_columns(cls, header: Sequence[str]) -> list[str]:
        """The target columns of this endpoint in a samples table; empty if it has none."""

    @classmethod
    def with_layout(cls, table: Table, chosen: Mapping[str, str]) -> tuple[Table, dict[str, str]]:
        """A table with the target columns put together from several others, where it has such.

        Args:
            table: A samples table.
            chosen: Word of a field to the name of its column, from ``--columns``.

        Returns:
            The table, and our name to the table's where columns were renamed.
        """
        return table, {}

    @classmethod
    def hint(cls, header: Sequence[str]) -> str:
        """How to name target columns that a table may have; empty if nothing looks like one."""
        return ""

    @classmethod
    def comparable(cls, name: str, column: pl.Series) -> pl.Series:
        """The cells of a target column as text in one spelling, to compare two columns.

        Args:
            name: What the table calls it.
            column: Its cells.
        """
        return column.cast(pl.String)

    @classmethod
    def unused(cls, table: Table, chosen: Mapping[str, str]) -> tuple[str, ...]:
        """Which columns could also be a target but differ from the one that is used, a sentence each.

        Args:
            table: With the target columns under our names.
            chosen: Word of a field to its column, from ``--columns``; these need no such sentence.

        Raises:
            InputError: Two columns contradict each other in every row.
        """
        notes = []
        pairs = [(one, other) for one in cls.fields for other in also_named(table, one)]
        for one, other in pairs:
            if one.word in chosen:
                continue
            ours = cls.comparable(one.column, table.frame[one.column])
            theirs = cls.comparable(other, table.frame[other])
            both = ours.is_not_null() & theirs.is_not_null()
            n = int((both & (ours != theirs)).sum())
            flags = set(ours.drop_nulls()) == set(theirs.drop_nulls()) == {"0", "1"}
            if flags and 1 < n == both.sum():
                raise InputError(
                    f"{table.source}: '{one.column}' and '{other}' contradict each other in every row; if "
                    f"'{one.column}' is right, say --columns {one.word}={one.column}"
                )
            if n:
                notes.append(
                    f"{table.source}: the column '{other}' is not used: it differs from '{one.column}' in "
                    f"{n} {'row' if n == 1 else 'rows'}"
                )
        return tuple(notes)

    @classmethod
    def understand(
        cls, table: Table, names: Mapping[str, str], zero_time: str | None
    ) -> Understood:
        """The target columns as the contract has them, from what tools write.

        Args:
            table: With the target columns under our names.
            names: Our name of a column to what the table calls it, where it differs.
            zero_time: Survival: what becomes of a follow-up of 0, ``half-day`` or ``drop``.

        Raises:
            InputError: A value means nothing.
        """
        return Understood(table)

    @classmethod
    @abstractmethod
    def from_columns(cls, columns: Columns, options: Options | None = None) -> Self:
        """The endpoint that the target columns describe."""

    @classmethod
    @abstractmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The inverse of ``as_dict``."""

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """What is fused separately: ``("all",)``, or one entry per label."""

    @property
    @abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """Names of its metrics, in the order of ``metrics.csv``."""

    @property
    @abstractmethod
    def outcomes(self) -> tuple[str, ...]:
        """Outcomes of each task."""

    @property
    def named(self) -> tuple[str, ...]:
        """The classes, labels or targets as a reader names them; bins of time have no names."""
        return self.outcomes

    @abstractmethod
    def truth(self, columns: Columns) -> dict[str, Truth]:
        """Observed sets of each task, from the target columns of the samples table."""

    def understand_predictions(
        self, table: Table, label_map: LabelMap | None, hints: PredictionHints
    ) -> tuple[Table, tuple[str, ...]]:
        """A table of predictions with the contract's columns, and what was understood.

        Raises:
            InputError: What columns mean cannot be told.
        """
        return table, ()

    @abstractmethod
    def read_expert(self, columns: Columns, label_map: LabelMap | None) -> Mapping[str, Any]:
        """One expert's columns per task: ``ExpertColumns`` (log-probabilities), or moments for
        regression.
        """

    @abstractmethod
    def fused_columns(self, log_prob: Mapping[str, LogProbs]) -> dict[str, np.ndarray]:
        """The endpoint's own columns of ``fused.parquet``."""

    @abstractmethod
    def scores(
        self, log_prob: LogProbs, observed: Observed, context: SurvivalTruth | None
    ) -> Scores:
        """What turns row weights into the metrics of one predictor's rows.

        Args:
            log_prob: The predictions; of regression mean and variance.
            observed: The truth.
            context: Survival: follow-up and censoring.
        """

    @abstractmethod
    def slope_scores(self, log_prob: LogProbs, observed: Observed) -> Scores:
        """What turns row weights into the calibration slope of one predictor's rows."""

    @property
    @abstractmethod
    def slope_in_words(self) -> tuple[str, tuple[str, ...]]:
        """What the calibration slope b is of, and the works to cite for it."""

    @abstractmethod
    def too_few(self, judged: Judged, drawn: str) -> str | None:
        """Why the judged rows allow no interval; None if they do.

        ``drawn``: what is resampled, in words.
        """

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready description, for the model file."""

    @property
    def positive(self) -> int | None:
        """Of two outcomes the one that ROC curves and calibration are about.

        None where there is no such choice.
        """
        return None

    @property
    def positive_class(self) -> dict[str, Any] | None:
        """Its name, and whether somebody chose it, for the manifest.

        None where there are no two classes.
        """
        return None

    def with_positive(self, name: str) -> Self:
        """The same endpoint with another positive class.

        Raises:
            InputError: There are no two classes, or none has this name.
        """
        raise InputError(
            f"--positive '{name}' chooses one of two classes, but the endpoint is {self.kind}"
        )

    def prediction_columns(self, header: Sequence[str]) -> list[str]:
        """Which columns of an expert's table carry its predictions."""
        return [name for name in header if name.startswith(self.prefixes)]

    def expert_columns(self, label_map: LabelMap | None, *, gives_risk: bool) -> tuple[str, ...]:
        """The columns of an expert that knows everything, in order: what a matrix without names is
        taken to hold.

        Args:
            label_map: The expert's, if its labels are others.
            gives_risk: Whether it gives a risk in place of hazards.
        """
        own = self.named if label_map is None else tuple(sorted(set(label_map.values())))
        return tuple(self.prefixes[0] + name for name in own)


def spread_groups(
    log_prob: Float[np.ndarray, "row own_outcome"],
    group: Int[np.ndarray, " outcome"],
    frequency: Float[np.ndarray, " outcome"],
) -> LogProbs:
    """An expert's own distribution as a distribution over the study's outcomes.

    See docs/design/fusion.md, section 6.4.

    Each group's probability is spread over its outcomes in proportion to their frequencies on the
    fit rows: a proper distribution that adds nothing inside a group. Outcomes that the expert
    does not know keep their frequency, and the others share the rest.

    Args:
        log_prob: Float, (row, own_outcome).
        group: Int, (outcome,), index of the own outcome that contains each outcome, or -1.
        frequency: Float, (outcome,), positive, sums to 1.

    Examples:
        An expert knows cancer (outcomes 0 and 1 of the study) from the rest (outcome 2), and says
        0.8 to 0.2.

        >>> spread = spread_groups(np.log([[0.8, 0.2]]), np.array([0, 0, 1]), np.array([0.1, 0.3, 0.6]))
        >>> np.exp(spread).round(3).tolist()
        [[0.2, 0.6, 0.2]]
    """
    if (
        len(group) == log_prob.shape[1]
        and len(set(group.tolist())) == len(group)
        and (group >= 0).all()
    ):
        return log_prob[:, group]
    known = group >= 0
    inside = np.array([frequency[group == g].sum() if g >= 0 else 1.0 for g in group])
    share = np.where(
        known, np.log(frequency / inside) + np.log(frequency[known].sum()), np.log(frequency)
    )
    return np.where(known, log_prob[:, np.maximum(group, 0)], 0.0) + share
