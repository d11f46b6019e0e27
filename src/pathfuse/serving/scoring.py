"""Samples of a request, fused by the functions of ``pathfuse predict``: the answers are equal to the
last bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from pathfuse.endpoints.base import ExpertColumns
from pathfuse.endpoints.columns import Columns
from pathfuse.errors import InputError
from pathfuse.evaluation.curves import divergence, spread
from pathfuse.serving.given import SOURCE, ExpertRows, Given
from pathfuse.study.predictions import SEEN
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.scoring.block import logits_of, moments_of

DISAGREEMENT = "disagreement"
MISSING = "missing"


@dataclass(frozen=True)
class Answers:
    """What the model says of the samples."""

    ids: Sequence[str]
    columns: Mapping[str, Any]
    """Those of ``fused.parquet``, and ``seen_in_fit`` if the model remembers its fit rows."""
    disagreement: Mapping[str, Float[np.ndarray, " sample"]]
    """By column: ``disagreement``, or ``disagreement_<name>`` for each label or target."""
    absent: Bool[np.ndarray, "sample expert"]
    """Which experts did not score which sample."""
    experts: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A mapping per sample, ready for JSON."""
        listed: dict[str, Any] = {"sample_id": self.ids}
        listed |= {name: listed_values(values) for name, values in self.all_columns.items()}
        listed[MISSING] = self.missing()
        names = tuple(listed)
        return [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]

    @property
    def all_columns(self) -> dict[str, Any]:
        """The columns, and the disagreement."""
        return {**self.columns, **self.disagreement}

    def missing(self) -> list[list[str]]:
        """Names of the experts that did not score each sample."""
        if not self.absent.any():
            return [[] for _ in self.ids]
        return [
            [name for name, gone in zip(self.experts, row, strict=True) if gone]
            for row in self.absent.tolist()
        ]

    def frame(self) -> pl.DataFrame:
        """The same as a table."""
        missing = pl.Series(MISSING, self.missing(), dtype=pl.List(pl.String))
        frame = pl.DataFrame({"sample_id": list(self.ids), **self.all_columns})
        return frame.with_columns(missing, pl.col(pl.Float64).fill_nan(None))

    def part(self, rows: slice) -> "Answers":
        """Those of some samples."""
        return Answers(
            self.ids[rows],
            {name: values[rows] for name, values in self.columns.items()},
            {name: values[rows] for name, values in self.disagreement.items()},
            self.absent[rows],
            self.experts,
        )


def listed_values(values: Any) -> list[Any]:
    """A column as a list, with None for NaN."""
    listed: list[Any] = values.to_list() if isinstance(values, pl.Series) else values.tolist()
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and np.isnan(values).any():
        return [None if value != value else value for value in listed]
    return listed


def score(model: FusedModel, given: Given) -> Answers:
    """Fuses what the experts said.

    Args:
        model: The model.
        given: The samples, each scored by one expert or more.

    Raises:
        InputError: The model does not know an expert, a column or a value is wrong, or no expert
            scored a sample.
    """
    outputs = _all_outputs(model, given)
    where = {name: rows.position for name, rows in given.experts.items()}
    present = np.zeros((given.n, len(model.experts)), dtype=bool)
    for name, rows in where.items():
        present[rows, model.experts.index(name)] = True
    nobody = np.flatnonzero(~present.any(axis=1))
    if len(nobody):
        raise InputError(f"{SOURCE}: no expert scored the sample '{given.ids[int(nobody[0])]}'")
    if model.endpoint.of_numbers:
        moments = moments_of(model, given.n, where, outputs)
        fused = model.combined(moments)
        apart = {
            f"{DISAGREEMENT}_{name}": spread(moments.mean[:, :, g])
            for g, name in enumerate(model.endpoint.outcomes)
        }
    else:
        logits = logits_of(model, given.n, where, outputs)
        fused = model.combined(logits)
        apart = {
            DISAGREEMENT if len(logits) == 1 and task == "all" else f"{DISAGREEMENT}_{task}": (
                divergence(own)
            )
            for task, own in logits.items()
        }
    columns = model.columns(fused)
    if len(model.fitted):
        columns[SEEN] = model.seen_in_fit(given.ids)
    return Answers(given.ids, columns, apart, ~present, model.experts)


def _all_outputs(model: FusedModel, given: Given) -> dict[str, Mapping[str, Any]]:
    """What the experts predict in their rows, by expert and task.

    Raises:
        InputError: The model does not know one, or a column or a value is wrong.
    """
    alike: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, rows in given.experts.items():
        plain = (
            name in model.experts
            and model.label_maps[name] is None
            and not np.isnan(rows.values).any()
        )
        alike.setdefault((rows.columns, "" if plain else name), []).append(name)
    found: dict[str, Mapping[str, Any]] = {}
    for names in alike.values():
        found |= _read_as_one(model, given, names) if len(names) > 1 else {}
        found |= {
            name: _outputs(model, name, given.experts[name], given.ids)
            for name in names
            if name not in found
        }
    return {name: found[name] for name in given.experts}


def _read_as_one(
    model: FusedModel, given: Given, names: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Experts with the same columns, read as one table: most of what a sample takes is the number of
    tables. Nothing where something is wrong, which is then said of the expert that it is wrong in.
    """
    parts = [given.experts[name].values for name in names]
    columns, values = given.experts[names[0]].columns, np.concatenate(parts)
    named = {column: values[:, k] for k, column in enumerate(columns)}
    try:
        outputs = model.endpoint.read_expert(
            Columns(SOURCE, [""] * len(values), named, columns), None
        )
    except InputError:
        return {}
    if not all(isinstance(one, ExpertColumns) and not one.ignored for one in outputs.values()):
        return {}
    ends = np.cumsum([len(part) for part in parts])[:-1]
    split = {task: np.split(one.log_prob, ends) for task, one in outputs.items()}
    return {
        name: {task: replace(one, log_prob=split[task][m]) for task, one in outputs.items()}
        for m, name in enumerate(names)
    }


def _outputs(
    model: FusedModel, name: str, rows: ExpertRows, ids: Sequence[str]
) -> Mapping[str, Any]:
    """What an expert predicts in its rows, by task.

    Raises:
        InputError: The model does not know it, or a column or a value is wrong.
    """
    if name not in model.experts:
        shown = name if len(name) < 60 else f"{name[:60]}..."
        raise InputError(
            f"the model does not know the expert '{shown}'; its experts are "
            f"{', '.join(model.experts)}"
        )
    columns, values = rows.columns, rows.values
    if model.endpoint.blank_columns:
        filled = ~np.isnan(values).all(axis=0)
        values = values[:, filled]
        columns = tuple(c for c, kept in zip(columns, filled, strict=True) if kept)
    source = f"{SOURCE}, expert '{name}'"
    named = {column: values[:, k] for k, column in enumerate(columns)}
    own = [ids[n] for n in rows.position]
    outputs = model.endpoint.read_expert(
        Columns(source, own, named, columns), model.label_maps[name]
    )
    model.check_risk(name, source, outputs)
    # of numbers those are targets that the fit left out
    unread = {} if model.endpoint.of_numbers else outputs
    idle = next((column for one in unread.values() for column in one.ignored), None)
    if idle is not None:
        raise InputError(f"{source}: '{idle[:60]}' is not read beside the expert's other columns")
    return outputs
