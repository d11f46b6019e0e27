"""Grades: classes in order, such as ISUP 0 to 5."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pathfuse.distributions.likelihood import count_floored, floor_log_prob
from pathfuse.endpoints.base import ExpertColumns, LabelMap, Options
from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Scores
from pathfuse.evaluation.metrics.ordinal import METRICS, OrdinalScores
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.files.fields import Field
from pathfuse.types import LogProbs, Observed

CUMULATIVE = "cumulative_logit_"


@dataclass(frozen=True)
class Ordinal(Multiclass):
    """Grades by number, in ascending order; fused like classes, judged by how far misses are."""

    kind: ClassVar[str] = "ordinal"
    in_words: ClassVar[str] = "a grade, one of several classes in order"
    asks: ClassVar[str] = "which grade"
    prefixes: ClassVar[tuple[str, ...]] = ("logit_", "prob_", CUMULATIVE)
    nothing_known: ClassVar[str] = "the frequencies of the grades in the fit rows"
    target: ClassVar[str] = "grade"
    fields: ClassVar[tuple[Field, ...]] = (Field("grade", "grade", ("isup_grade", "isup")),)

    @classmethod
    def from_columns(cls, columns: Columns, options: Options | None = None) -> Self:
        """The grades that occur, in ascending order.

        Raises:
            InputError: A grade is not a whole number.
        """
        grades = columns.values[cls.target]
        for row, grade in enumerate(grades):
            if grade is not None and not (grade.isdecimal() and str(int(grade)) == grade):
                raise columns.wrong(
                    cls.target, row, f"'{grade}' must be a whole number, such as 0, 1, 2"
                )
        return cls(tuple(sorted({grade for grade in grades if grade is not None}, key=int)))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """See ``Endpoint``.

        Raises:
            ValueError: A grade is no whole number, or they do not ascend.
        """
        found = super().from_dict(content)
        if any(not grade.isdecimal() for grade in found.classes):
            raise ValueError("a grade is no whole number")
        grades = [int(grade) for grade in found.classes]
        if grades != sorted(grades):
            raise ValueError("the grades do not ascend")
        return found

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of grades, then those of classes."""
        return tuple(metric.name for metric in METRICS)

    def scores(
        self, log_prob: LogProbs, observed: Observed, context: SurvivalTruth | None
    ) -> Scores:
        """See ``Endpoint``."""
        positive = 1 if self.positive is None else self.positive
        return OrdinalScores(
            log_prob, observed, positive, tuple(int(grade) for grade in self.classes)
        )

    def read_expert(self, columns: Columns, label_map: LabelMap | None) -> dict[str, ExpertColumns]:
        """``logit_<grade>`` or ``prob_<grade>``, or ``cumulative_logit_<grade>``: the log-odds of a
        higher grade.

        Raises:
            InputError: As ``Multiclass``; or a cumulative column is missing, or they do not
                descend.
        """
        found = [name for name in columns.values if name.startswith(CUMULATIVE)]
        if not found:
            return super().read_expert(columns, label_map)
        if label_map is not None:
            raise InputError(f"{columns.source}: a label map has no meaning for cumulative logits")
        if len(self.classes) < 2:
            raise InputError(
                f"{columns.source}: all samples have the grade {self.classes[0]}; two are needed at least"
            )
        wanted = [CUMULATIVE + grade for grade in self.classes[:-1]]
        if sorted(found) != sorted(wanted):
            raise InputError(
                f"{columns.source} has the columns {', '.join(found)}, but the samples have the grades "
                f"{', '.join(self.classes)}, which need {wanted[0]} to {wanted[-1]}: the log-odds of a grade above "
                "each but the last; leave out the column of a grade that no sample has"
            )
        above = np.stack([columns.values[name] for name in wanted], axis=1)
        columns.check_finite(wanted, above)
        climbs = np.argwhere(np.diff(above, axis=1) > 0)
        if len(climbs):
            row, k = climbs[0]
            low, high = self.classes[k], self.classes[k + 1]
            what = (
                f"it must not be above '{wanted[k]}': a grade above {high} is also one above {low}"
            )
            raise columns.wrong(wanted[k + 1], row, what)
        raw = _between(above)
        ignored = tuple(name for name in columns.values if name not in wanted)
        return {
            "all": ExpertColumns(
                floor_log_prob(raw), np.arange(len(self.classes)), count_floored(raw), ignored
            )
        }


def _between(above: np.ndarray) -> LogProbs:
    """Log-probabilities of the grades from the log-odds of lying above each but the last.

    ``P(k) = P(above k - 1) - P(above k)``, in log space: ``log P(above k-1) + log(1 -
    exp(difference))``.
    """
    from scipy.special import log_expit  # not at the top: predict does without

    log_above = np.concatenate([np.zeros((len(above), 1)), log_expit(above)], axis=1)
    difference = np.diff(log_above, axis=1)
    with np.errstate(divide="ignore"):
        inside = log_above[:, :-1] + np.log(-np.expm1(difference))
    return np.concatenate([inside, log_above[:, -1:]], axis=1)
