"""Several yes-or-no questions about one sample, e.g. mutations: every label is a fusion of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from pathfuse.distributions.likelihood import count_floored, floor_log_prob
from pathfuse.endpoints.base import ExpertColumns, LabelMap, Options, Truth, Understood
from pathfuse.endpoints.class_columns import like_probabilities
from pathfuse.endpoints.classes import OfClasses
from pathfuse.endpoints.columns import Columns, flags, number_text
from pathfuse.errors import InputError
from pathfuse.files.schema import Names, Stored, checked
from pathfuse.files.tables import Table
from pathfuse.types import LogProbs

PREFIX = "label_"


@dataclass(frozen=True)
class Multilabel(OfClasses):
    """L labels by name, in sorted order."""

    labels: tuple[str, ...]

    kind: ClassVar[str] = "multilabel"
    in_words: ClassVar[str] = "several yes-or-no labels, each fused on its own"
    asks: ClassVar[str] = "whether each label is positive"
    trained_as: ClassVar[str] = "multilabel"
    of_labels: ClassVar[bool] = True
    prefixes: ClassVar[tuple[str, ...]] = ("logit_", "prob_")
    blank_columns: ClassVar[bool] = True
    target_prefix: ClassVar[str] = PREFIX
    nothing_known: ClassVar[str] = "the label frequencies of the fit rows"

    @classmethod
    def target_columns(cls, header: Sequence[str]) -> list[str]:
        """``label_<name>``."""
        return [name for name in header if name.startswith(PREFIX) and name != PREFIX]

    @classmethod
    def understand(
        cls, table: Table, names: Mapping[str, str], zero_time: str | None
    ) -> Understood:
        """See ``Endpoint``: words for yes and no; columns of which each row has exactly one are classes."""
        found = cls.target_columns(table.frame.columns)
        columns = [flags(table.frame[name]) for name in found]
        table = replace(table, frame=table.frame.with_columns(columns))
        marked = pl.DataFrame([column.eq("1").cast(pl.Int8) for column in columns])
        known = all(column.is_in(["0", "1"]).all() for column in columns)
        if not (known and len(found) > 1 and (marked.sum_horizontal() == 1).all()):
            return Understood(table)
        place = pl.Series(marked.to_numpy().argmax(axis=1))
        labels = pl.Series([name.removeprefix(PREFIX) for name in found]).gather(place)
        note = (
            f"{table.source}: each row has exactly one of {', '.join(found)}, so that they are taken as "
            "classes; --endpoint multilabel takes them as labels of their own"
        )
        frame = table.frame.drop(found).with_columns(labels.alias("label"))
        return Understood(replace(table, frame=frame), (note,), {}, "multiclass")

    @classmethod
    def from_columns(cls, columns: Columns, options: Options | None = None) -> Self:
        """The labels, sorted by name.

        Raises:
            InputError: One is called ``all``, the word for their mean.
        """
        if PREFIX + "all" in columns.values:
            raise InputError(
                f"{columns.source}, column '{PREFIX}all': the name 'all' means all labels; rename the label"
            )
        return cls(tuple(sorted(name.removeprefix(PREFIX) for name in columns.values)))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """See ``Endpoint``."""
        return cls(tuple(checked(StoredLabels, content).labels))

    def as_dict(self) -> dict[str, Any]:
        """See ``Endpoint``."""
        return {"kind": self.kind, "labels": list(self.labels)}

    @property
    def named(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def tasks(self) -> tuple[str, ...]:
        """One fusion per label."""
        return self.labels

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Of each label."""
        return ("0", "1")

    @property
    def positive(self) -> int:
        """That the label is there."""
        return 1

    def truth(self, columns: Columns) -> dict[str, Truth]:
        """0, 1 or blank per label.

        Raises:
            InputError: A cell is neither.
        """
        result = {}
        for label in self.labels:
            column = PREFIX + label
            values = np.array([columns.number(column, row) for row in range(len(columns.ids))])
            known = ~np.isnan(values)
            bad = np.flatnonzero(known & (values != 0) & (values != 1))
            if len(bad):
                row = int(bad[0])
                raise columns.wrong(
                    column, row, f"{columns.values[column][row]} is neither 1, 0 nor empty"
                )
            observed = np.stack([values != 1, values != 0], axis=1)  # a blank allows both
            result[label] = Truth(observed, known)
        return result

    def read_expert(self, columns: Columns, label_map: LabelMap | None) -> dict[str, ExpertColumns]:
        """``logit_<name>`` (log-odds) or ``prob_<name>`` for the labels that the expert knows.

        Raises:
            InputError: A column names no label, or a value is not a log-odds or probability.
        """
        if label_map is not None:
            raise InputError(f"{columns.source}: a label map has no meaning for several labels")
        carrying = [name for name in columns.values if name.startswith(self.prefixes)]
        if not carrying:
            raise InputError(
                f"{columns.source} has no 'logit_<label>' or 'prob_<label>' column; "
                f"its columns are {', '.join(columns.values) or 'none'}"
            )
        result: dict[str, ExpertColumns] = {}
        for name in carrying:
            prefix = next(p for p in self.prefixes if name.startswith(p))
            label = name.removeprefix(prefix)
            if label not in self.labels:
                raise InputError(
                    f"{columns.source}, column '{name}': no column '{PREFIX}{label}' in the samples; "
                    f"the labels are {', '.join(self.labels)}"
                )
            if label in result:
                raise InputError(f"{columns.source} has both 'logit_{label}' and 'prob_{label}'")
            raw = _binary(columns, name, prefix)
            misnamed = prefix == "logit_" and like_probabilities(columns.values[name][:, None])
            result[label] = ExpertColumns(
                floor_log_prob(raw), np.arange(2), count_floored(raw), (), misnamed
            )
        return result

    def fused_columns(self, log_prob: Mapping[str, LogProbs]) -> dict[str, np.ndarray]:
        """``prob_<name>`` (NaN where a label could not be fused) and ``prediction``: the labels
        with p >= 0.5.
        """
        (n,) = {len(p) for p in log_prob.values()}
        prob = {
            name: np.exp(log_prob[name][:, 1]) if name in log_prob else np.full(n, np.nan)
            for name in self.labels
        }
        called = [
            ";".join(name for name in self.labels if prob[name][row] >= 0.5) for row in range(n)
        ]
        return {
            **{f"prob_{name}": p for name, p in prob.items()},
            "prediction": np.array(called, dtype=object),
        }


def _binary(columns: Columns, name: str, prefix: str) -> np.ndarray:
    values = columns.values[name]
    columns.check_finite([name], values[:, None])
    if prefix == "logit_":
        return np.stack([-np.logaddexp(0, values), -np.logaddexp(0, -values)], axis=1)
    bad = np.flatnonzero((values < 0) | (values > 1))
    if len(bad):
        row = int(bad[0])
        what = f"is not a probability between 0 and 1; log-odds are named 'logit_{name.removeprefix(prefix)}'"
        raise columns.wrong(name, row, f"{number_text(values[row])} {what}")
    with np.errstate(divide="ignore"):
        return np.stack([np.log1p(-values), np.log(values)], axis=1)


class StoredLabels(Stored):
    """As ``as_dict`` writes it."""

    kind: str
    labels: Names
