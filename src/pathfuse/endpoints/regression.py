"""Continuous targets, e.g. the expression of genes: every expert gives a mean and perhaps a
standard deviation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field as Limits

from pathfuse.endpoints.base import Endpoint, LabelMap, Options, Truth
from pathfuse.endpoints.columns import Columns, number_text
from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged, Scores
from pathfuse.evaluation.metrics.regression import METRICS, PLAIN_METRICS, RegressionScores
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.slope import LinearSlope
from pathfuse.files.schema import Name, Names, Stored, checked
from pathfuse.types import LogProbs, Observed

PREFIX = "target_"


@dataclass(frozen=True)
class ExpertMoments:
    """One expert's predictions of some samples."""

    mean: Float[np.ndarray, "row target"]
    """NaN for targets that the expert does not know."""
    sd: Float[np.ndarray, "row target"]
    """NaN where the expert gives none."""
    ignored: tuple[str, ...] = ()
    n_floored: int = 0
    group: np.ndarray = field(default_factory=lambda: np.arange(0))


@dataclass(frozen=True)
class Regression(Endpoint):
    """G targets by name, in sorted order."""

    targets: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """Targets of the study that are not predicted, since the fit rows taught nothing about them."""

    sectioned: bool = False
    """Whether the samples say which section each is of, so that metrics look inside sections."""

    kind: ClassVar[str] = "regression"
    in_words: ClassVar[str] = "continuous targets"
    asks: ClassVar[str] = "how high each target is"
    trained_as: ClassVar[str] = "regression"
    of_numbers: ClassVar[bool] = True
    target_prefix: ClassVar[str] = PREFIX
    slope_sides: ClassVar[tuple[str, str]] = ("too far apart", "too close together")
    prefixes: ClassVar[tuple[str, ...]] = ("mean_", "sd_")
    every_outcome_needed: ClassVar[bool] = False
    blank_columns: ClassVar[bool] = True
    nothing_known: ClassVar[str] = "the mean and variance of the fit rows"

    @classmethod
    def target_columns(cls, header: Sequence[str]) -> list[str]:
        """``target_<name>``."""
        return [name for name in header if name.startswith(PREFIX) and name != PREFIX]

    @classmethod
    def from_columns(cls, columns: Columns, options: Options | None = None) -> Self:
        """The targets, sorted by name.

        Raises:
            InputError: One is called ``all``, the word for their mean.
        """
        if PREFIX + "all" in columns.values:
            raise InputError(
                f"{columns.source}, column '{PREFIX}all': the name 'all' means all targets; rename the target"
            )
        names = sorted(name.removeprefix(PREFIX) for name in columns.values)
        return cls(tuple(names), sectioned=options is not None and options.sectioned)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """See ``Endpoint``."""
        stored = checked(StoredTargets, content)
        return cls(tuple(stored.targets), tuple(stored.left_out))

    def scores(
        self, log_prob: LogProbs, observed: Observed, context: SurvivalTruth | None
    ) -> Scores:
        """See ``Endpoint``."""
        return RegressionScores(log_prob, observed[:, 0])

    def slope_scores(self, log_prob: LogProbs, observed: Observed) -> Scores:
        """See ``Endpoint``."""
        return LinearSlope(log_prob[:, 0], observed[:, 0])

    @property
    def slope_in_words(self) -> tuple[str, tuple[str, ...]]:
        """See ``Endpoint``."""
        return "truth = a + b prediction", ("cox1958",)

    def too_few(self, judged: Judged, drawn: str) -> str | None:
        """See ``Endpoint``: any number will do."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """See ``Endpoint``."""
        gone = {"left_out": list(self.left_out)} if self.left_out else {}
        return {"kind": self.kind, "targets": list(self.targets), **gone}

    def without(self, targets: Sequence[str]) -> "Regression":
        """The same endpoint with some targets left out."""
        gone = {*self.left_out, *targets}
        kept = tuple(t for t in self.targets if t not in gone)
        return replace(self, targets=kept, left_out=tuple(sorted(gone)))

    @property
    def metrics(self) -> tuple[str, ...]:
        """See ``Endpoint``."""
        return tuple(metric.name for metric in (METRICS if self.sectioned else PLAIN_METRICS))

    @property
    def tasks(self) -> tuple[str, ...]:
        """All targets are fused together: they share weights, not scales."""
        return ("all",)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The targets."""
        return self.targets

    def truth(self, columns: Columns) -> dict[str, Truth]:
        """Numbers, NaN where blank.

        Raises:
            InputError: A cell is not a finite number, or no target has more than one value.
        """
        constant: list[str] = []
        values = np.empty((len(columns.ids), len(self.targets)))
        for g, target in enumerate(self.targets):
            column = PREFIX + target
            values[:, g] = [columns.number(column, row) for row in range(len(columns.ids))]
            infinite = np.flatnonzero(np.isinf(values[:, g]))
            if len(infinite):
                raise columns.wrong(column, int(infinite[0]), "the value is infinite")
            known = values[:, g][~np.isnan(values[:, g])]
            if not len(known) or np.ptp(known) == 0:
                what = (
                    f"all {len(known)} values are {number_text(known[0])}"
                    if len(known)
                    else "all values are empty"
                )
                constant.append(f"{columns.source}, column '{column}': {what}; a target must vary")
        if len(constant) == len(self.targets):
            raise InputError(constant[0])
        return {"all": Truth(values, np.logical_not(np.isnan(values).all(axis=1)))}

    def read_expert(self, columns: Columns, label_map: LabelMap | None) -> dict[str, Any]:
        """``mean_<name>``, and ``sd_<name>`` where the expert gives it.

        Raises:
            InputError: A column names no target, a value is not a number, or a standard deviation
                is not positive.
        """
        if label_map is not None:
            raise InputError(f"{columns.source}: a label map has no meaning for regression")
        tables = {
            prefix: np.full((len(columns.ids), len(self.targets)), np.nan)
            for prefix in self.prefixes
        }
        position = {name: g for g, name in enumerate(self.targets)}
        ignored = []
        for name, values in columns.values.items():
            prefix = next(p for p in self.prefixes if name.startswith(p))
            target = name.removeprefix(prefix)
            if target in self.left_out:
                ignored.append(name)
                continue
            if target not in position:
                shown = ", ".join(self.targets[:8]) + (" ..." if len(self.targets) > 8 else "")
                raise InputError(
                    f"{columns.source}, column '{name}': no column '{PREFIX}{target}' in the samples; "
                    f"the targets are {shown}"
                )
            columns.check_finite([name], values[:, None])
            if prefix == "sd_" and (values <= 0).any():
                row = int(np.flatnonzero(values <= 0)[0])
                raise columns.wrong(
                    name, row, f"{number_text(values[row])} is not a standard deviation above 0"
                )
            tables[prefix][:, position[target]] = values
        mean, sd = tables["mean_"], tables["sd_"]
        if np.isnan(mean).all():
            raise InputError(f"{columns.source} has no 'mean_<target>' column")
        lonely = np.flatnonzero(np.isnan(mean).all(axis=0) & ~np.isnan(sd).all(axis=0))
        if len(lonely):
            target = self.targets[lonely[0]]
            raise InputError(
                f"{columns.source} has a column 'sd_{target}' but no column 'mean_{target}'"
            )
        return {"all": ExpertMoments(mean, sd, tuple(ignored))}

    def fused_columns(self, log_prob: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """``mean_<name>`` and ``sd_<name>``, NaN for those left out.

        ``prediction`` is the mean over targets.

        Args:
            log_prob: Under ``all``, Float, (sample, 2 G): means, then variances.
        """
        mean, variance = np.split(log_prob["all"], 2, axis=1)
        sd, position = np.sqrt(variance), {name: g for g, name in enumerate(self.targets)}
        columns = {
            f"{what}_{name}": table[:, position[name]]
            if name in position
            else np.full(len(mean), np.nan)
            for what, table in (("mean", mean), ("sd", sd))
            for name in sorted([*self.targets, *self.left_out])
        }
        return {**columns, "prediction": mean.mean(axis=1)}


class StoredTargets(Stored):
    """As ``as_dict`` writes it."""

    kind: str
    targets: Names
    left_out: list[Name] = Limits(default_factory=list)
