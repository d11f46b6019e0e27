"""One of K classes: slide and tile classification, a single mutation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from pathfuse.distributions.likelihood import count_floored, floor_log_prob, log_softmax
from pathfuse.endpoints.base import (
    ExpertColumns,
    LabelMap,
    Options,
    PredictionHints,
    Truth,
    Understood,
)
from pathfuse.endpoints.class_columns import (
    SUM_TOLERANCE,
    class_names,
    columns_by_class,
    like_probabilities,
    with_class_columns,
)
from pathfuse.endpoints.classes import OfClasses
from pathfuse.endpoints.columns import RISK, Columns, number_text
from pathfuse.errors import InputError
from pathfuse.files.fields import Field
from pathfuse.files.schema import Names, Stored, checked
from pathfuse.files.spelling import check_spelling, difference, respelled
from pathfuse.files.tables import Table
from pathfuse.types import LogProbs


@dataclass(frozen=True)
class Multiclass(OfClasses):
    """K classes by name, in sorted order."""

    classes: tuple[str, ...]
    chosen: str | None = None
    """The positive class of two, if it was chosen."""

    kind: ClassVar[str] = "multiclass"
    in_words: ClassVar[str] = "one of several classes"
    asks: ClassVar[str] = "which class"
    trained_as: ClassVar[str] = "multiclass"
    of_classes: ClassVar[bool] = True
    prefixes: ClassVar[tuple[str, ...]] = ("logit_", "prob_")
    nothing_known: ClassVar[str] = "the class frequencies of the fit rows"
    target: ClassVar[str] = "label"
    """The column of the samples table."""
    fields: ClassVar[tuple[Field, ...]] = (
        Field(
            "label",
            "label",
            ("class", "class_label", "diagnosis", "ground_truth", "gt", "y_true", "oncotree_code"),
        ),
    )

    @classmethod
    def target_columns(cls, header: Sequence[str]) -> list[str]:
        """``label``."""
        return [name for name in header if name == cls.target]

    @classmethod
    def comparable(cls, name: str, column: pl.Series) -> pl.Series:
        """See ``Endpoint``."""
        return class_names(column)

    @classmethod
    def understand(
        cls, table: Table, names: Mapping[str, str], zero_time: str | None
    ) -> Understood:
        """See ``Endpoint``: ``1.0`` is the class ``1``; a sample without a label is of no use."""
        labels = class_names(table.frame[cls.target])
        without = labels.is_null().arg_true().to_list()
        unusable = {f"no {cls.target}": without} if without else {}
        return Understood(replace(table, frame=table.frame.with_columns(labels)), (), unusable)

    @classmethod
    def from_columns(cls, columns: Columns, options: Options | None = None) -> Self:
        """The classes that occur, sorted by name.

        Raises:
            InputError: A class has two spellings.
        """
        check_spelling(columns.source, "label", columns.values["label"].tolist())
        return cls(tuple(sorted({label for label in columns.values["label"] if label is not None})))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """See ``Endpoint``."""
        return cls(tuple(checked(StoredClasses, content).classes))

    @property
    def tasks(self) -> tuple[str, ...]:
        """One fusion for all classes."""
        return ("all",)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def positive(self) -> int | None:
        """Of two classes the chosen one, or the second in alphabetical order."""
        if len(self.classes) != 2:
            return None
        return 1 if self.chosen is None else self.classes.index(self.chosen)

    @property
    def positive_class(self) -> dict[str, Any] | None:
        """See ``Endpoint``."""
        k = self.positive
        return None if k is None else {"name": self.classes[k], "chosen": self.chosen is not None}

    def with_positive(self, name: str) -> Self:
        """See ``Endpoint``."""
        if len(self.classes) != 2:
            raise InputError(
                f"--positive '{name}' chooses one of two classes, but there are {len(self.classes)}: "
                f"{', '.join(self.classes)}"
            )
        if name not in self.classes:
            raise InputError(
                f"--positive '{name}' is none of the classes, which are {', '.join(self.classes)}"
            )
        return replace(self, chosen=name)

    def truth(self, columns: Columns) -> dict[str, Truth]:
        """One class per sample.

        Raises:
            InputError: A label is empty or not among the classes.
        """
        position = {name: k for k, name in enumerate(self.classes)}
        labels = columns.values[self.target]
        index = np.empty(len(labels), dtype=np.int64)
        for row, label in enumerate(labels):
            if label is None:
                raise columns.wrong(self.target, row, f"the {self.target} is empty")
            if label not in position:
                raise columns.wrong(
                    self.target, row, f"'{label}' is none of the classes {', '.join(self.classes)}"
                )
            index[row] = position[label]
        observed = np.eye(len(self.classes), dtype=bool)[index]
        return {"all": Truth(observed, np.ones(len(index), dtype=bool))}

    def understand_predictions(
        self, table: Table, label_map: LabelMap | None, hints: PredictionHints
    ) -> tuple[Table, tuple[str, ...]]:
        """See ``Endpoint``."""
        if label_map is not None:
            return table, ()
        return with_class_columns(table, self.classes, self.prefixes, hints)

    def read_expert(self, columns: Columns, label_map: LabelMap | None) -> dict[str, ExpertColumns]:
        """``logit_<class>`` or ``prob_<class>`` columns, matched by name.

        Raises:
            InputError: A column names no class, or a value is not a logit or probability.
        """
        prefix, names = self._space(columns)
        own, group = self._groups(columns, prefix, names, label_map)
        table = np.stack([columns.values[prefix + name] for name in own], axis=1)
        columns.check_finite([prefix + name for name in own], table)
        if prefix == "prob_":
            _check_probabilities(columns, own, table)
            with np.errstate(divide="ignore"):
                table = np.maximum(table, 0.0)  # rounding may leave -1e-9
                raw = np.log(table) - np.log(table.sum(axis=1, keepdims=True))
        else:
            raw = log_softmax(table)
        ignored = tuple(name for name in columns.values if not name.startswith(prefix))
        misnamed = prefix == "logit_" and like_probabilities(table, whole=True)
        return {
            "all": ExpertColumns(floor_log_prob(raw), group, count_floored(raw), ignored, misnamed)
        }

    def _space(self, columns: Columns) -> tuple[str, list[str]]:
        found = [p for p in self.prefixes if any(name.startswith(p) for name in columns.values)]
        if len(found) != 1:
            trouble = (
                "has both 'logit_' and 'prob_' columns"
                if found
                else "has no 'logit_<class>' or 'prob_<class>' column"
            )
            raise InputError(
                f"{columns.source} {trouble}; its columns are {', '.join(columns.header or columns.values) or 'none'}"
                f"{self._hint(columns)}"
            )
        return found[0], [
            name.removeprefix(found[0]) for name in columns.values if name.startswith(found[0])
        ]

    def _hint(self, columns: Columns) -> str:
        """What may be wrong with a table without a column of a class."""
        if any(name.startswith(self.prefixes) for name in columns.values):
            return ""
        if RISK in columns.header:
            return "; a risk is for survival, with the columns time and event in the samples table"
        labels = f"; the labels are {', '.join(self.classes)}"
        named = columns_by_class(columns.header, self.classes)
        if named:
            one = next(iter(named.values()))
            return (
                f"{labels}; {', '.join(named)} are not probabilities that sum to 1: call them logit_{one} and so on "
                "if they are logits"
            )
        wanted = [*self.classes, *(p + name for p in self.prefixes for name in self.classes)]
        pair = respelled(columns.header, wanted)
        if pair is None:
            return labels
        return (
            f"{labels}; the column '{pair[0]}' differs from '{pair[1]}' by {difference(*pair)} only"
        )

    def _unknown_hint(self, own: Sequence[str], unknown: str) -> str:
        """What to do about an expert's class that no sample has."""
        pair = respelled([unknown], self.classes)
        if pair is not None:
            return f"; '{pair[0]}' and '{pair[1]}' differ by {difference(*pair)} only: write them in one way"
        if len(own) > 1 and all(name.isdecimal() for name in own):
            return "; if the columns number the classes, --classes A,B,... says which they are, in this order"
        if set(own) & set(self.classes):
            return "; --drop-absent-classes leaves it out of the predictions"
        return ""

    def _groups(
        self, columns: Columns, prefix: str, names: list[str], label_map: LabelMap | None
    ) -> tuple[list[str], np.ndarray]:
        own = sorted(names)
        if label_map is None:
            label_map = {name: name for name in self.classes if name in set(own)}
            unknown = next((name for name in own if name not in self.classes), None)
            if unknown is not None:
                raise InputError(
                    f"{columns.source}, column '{prefix}{unknown}': no sample has the label '{unknown}'; "
                    f"the labels are {', '.join(self.classes)}{self._unknown_hint(own, unknown)}"
                )
        for label, expert_label in label_map.items():
            if label not in self.classes:
                raise InputError(
                    f"{columns.source}: the label map names '{label}', which no sample has as its label; "
                    f"the labels are {', '.join(self.classes)}"
                )
            if expert_label not in own:
                raise InputError(
                    f"{columns.source}: the label map sends '{label}' to '{expert_label}', "
                    f"but there is no column '{prefix}{expert_label}'"
                )
        idle = next((name for name in own if name not in label_map.values()), None)
        if idle is not None:
            raise InputError(
                f"{columns.source}, column '{prefix}{idle}': the label map sends no label to '{idle}'"
            )
        if len(own) < 2:
            raise InputError(
                f"{columns.source} has predictions for '{own[0]}' only; at least two classes are needed"
            )
        return own, np.array(
            [own.index(label_map[c]) if c in label_map else -1 for c in self.classes]
        )

    def fused_columns(self, log_prob: Mapping[str, LogProbs]) -> dict[str, np.ndarray]:
        """``prob_<class>`` and ``prediction``."""
        prob = np.exp(log_prob["all"])
        columns = {f"prob_{name}": prob[:, k] for k, name in enumerate(self.classes)}
        return {
            **columns,
            "prediction": np.array(self.classes, dtype=object)[log_prob["all"].argmax(axis=1)],
        }

    def as_dict(self) -> dict[str, Any]:
        """See ``Endpoint``."""
        return {"kind": self.kind, "classes": list(self.classes)}


class StoredClasses(Stored):
    """As ``as_dict`` writes it."""

    kind: str
    classes: Names


def _check_probabilities(columns: Columns, own: list[str], table: np.ndarray) -> None:
    bad = np.argwhere((table < -1e-6) | (table > 1 + SUM_TOLERANCE))
    if len(bad):
        row, k = bad[0]
        raise columns.wrong(
            "prob_" + own[k],
            row,
            f"{number_text(table[row, k])} is not a probability between 0 and 1; "
            "columns of logits are named 'logit_<class>'",
        )
    off = np.flatnonzero(np.abs(table.sum(axis=1) - 1) > SUM_TOLERANCE)
    if len(off):
        row = off[0]
        total = number_text(table[row].sum())
        raise columns.wrong(
            f"prob_{own[0]} ... prob_{own[-1]}", row, f"the probabilities sum to {total}, not to 1"
        )
