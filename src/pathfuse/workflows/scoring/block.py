"""One block of samples, read and fused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, overload

import numpy as np
import polars as pl

from pathfuse.endpoints.columns import Columns
from pathfuse.errors import InputError
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.scale.merge import Block, Rows
from pathfuse.scale.parquet_files import ID
from pathfuse.study.predictions import SEEN
from pathfuse.study.study import outcomes_of
from pathfuse.workflows.drift.look import Look, look_at
from pathfuse.workflows.model import Aligned, FusedModel
from pathfuse.workflows.new_samples import lacking_in_words

LOOKED_AT = 256
"""Samples of a block."""


@dataclass(frozen=True)
class Rule:
    """Which samples are fused."""

    min_experts: int = 1
    require_all: bool = False


@dataclass
class Tally:
    """What was read and fused."""

    samples: int = 0
    fused: int = 0
    seen: int = 0
    incomplete: int = 0
    fewest: int = 0
    lacking: dict[str, int] = field(default_factory=dict)
    """Samples that an expert did not score, by expert."""
    together: dict[str, int] = field(default_factory=dict)
    """Samples that an expert and any other scored, by expert."""
    look: Look = field(default_factory=Look)
    """At a part of the samples, for drift."""

    def summary(self, n_experts: int) -> str:
        """One sentence on the experts that are missing; empty if none is."""
        return lacking_in_words(
            self.incomplete,
            self.samples,
            dict(sorted(self.lacking.items())),
            self.fewest,
            n_experts,
        )

    def add(self, other: "Tally") -> None:
        """Counts others' samples, too."""
        self.fewest = other.fewest if not self.samples else min(self.fewest, other.fewest)
        self.samples += other.samples
        self.fused += other.fused
        self.seen += other.seen
        self.incomplete += other.incomplete
        for mine, theirs in ((self.lacking, other.lacking), (self.together, other.together)):
            for name, n in theirs.items():
                mine[name] = mine.get(name, 0) + n
        self.look.add(other.look)

    def as_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Tally":
        """The inverse of ``as_dict``."""
        return cls(**{**content, "look": Look(**content.get("look", {}))})


def fuse_block(
    model: FusedModel,
    block: Block,
    columns: Mapping[str, Sequence[str]],
    rule: Rule,
    *,
    watch: bool = False,
) -> tuple[pl.DataFrame, Tally]:
    """The fused predictions of a block, and what was read.

    Args:
        model: The model.
        block: The samples.
        columns: Per expert the columns that carry its predictions.
        rule: Which samples are fused.
        watch: Whether a part of the samples is looked at for drift.

    Returns:
        The columns of ``fused.parquet``, and ``seen_in_fit`` if the model remembers its fit rows.

    Raises:
        InputError: A value is wrong, or a sample lacks an expert that it must have.
    """
    present = np.zeros((len(block.ids), len(model.experts)), dtype=bool)
    for name, rows in block.experts.items():
        present[rows.position, model.experts.index(name)] = True
    if rule.require_all:
        _check_complete(block, present, model.experts)
    outputs = {
        name: _outputs(model, name, rows, columns[name]) for name, rows in block.experts.items()
    }
    where = {name: rows.position for name, rows in block.experts.items()}
    aligned: Aligned = (moments_of if model.endpoint.of_numbers else logits_of)(
        model, len(block.ids), where, outputs
    )
    combined = model.combined(aligned)
    fused = model.frame(block.ids, combined)
    if len(model.fitted):
        fused = fused.with_columns(pl.Series(SEEN, model.seen_in_fit(block.ids.to_list())))
    if rule.min_experts > 1:
        fused = fused.filter(pl.Series(present.sum(axis=1) >= rule.min_experts))
    look = look_at(model, aligned, combined, LOOKED_AT) if watch else Look()
    return fused, replace(_tally(model, present, fused), look=look)


class _Names(Sequence[str]):
    """A column of names, of which one is asked for where something is wrong."""

    def __init__(self, column: pl.Series) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        return self.column[row].to_list() if isinstance(row, slice) else str(self.column[int(row)])


def _outputs(model: FusedModel, name: str, rows: Rows, columns: Sequence[str]) -> Mapping[str, Any]:
    """What an expert predicts in its rows, by task."""
    table = rows.frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()
    values = {column: table[:, k] for k, column in enumerate(columns)}
    read = Columns(rows.source, _Names(rows.frame[ID]), values, tuple(columns))
    return model.endpoint.read_expert(read, model.label_maps[name])


def logits_of(
    model: FusedModel,
    n: int,
    where: Mapping[str, np.ndarray],
    outputs: Mapping[str, Mapping[str, Any]],
) -> dict[str, np.ndarray]:
    """Per task the experts' log-probabilities, (sample, expert, outcome), NaN where one is absent.

    Args:
        model: The model.
        n: Number of samples.
        where: Per expert the sample of each of its rows.
        outputs: Per expert and task, what the endpoint read.
    """
    logits = {}
    for task, frequency in model.frequency.items():
        values = np.full((n, len(model.experts), len(frequency)), np.nan)
        for name, own in outputs.items():
            found = outcomes_of(name, own.get(task), frequency, model.baselines)
            if found is not None:
                values[where[name], model.experts.index(name)] = found
        logits[task] = values
    return logits


def moments_of(
    model: FusedModel,
    n: int,
    where: Mapping[str, np.ndarray],
    outputs: Mapping[str, Mapping[str, Any]],
) -> GaussianExperts:
    """The same of a regression: the experts' means and variances."""
    mean = np.full((n, len(model.experts), len(model.endpoint.outcomes)), np.nan)
    variance = mean.copy()
    for name, own in outputs.items():
        moments, m = own["all"], model.experts.index(name)
        mean[where[name], m], variance[where[name], m] = moments.mean, moments.sd**2
    return GaussianExperts(mean, variance)


def _check_complete(block: Block, present: np.ndarray, experts: Sequence[str]) -> None:
    """Refuses a block with a sample that lacks an expert.

    Raises:
        InputError: Naming the first such sample.
    """
    incomplete = np.flatnonzero(~present.all(axis=1))
    if len(incomplete):
        row = int(incomplete[0])
        absent = [name for name, there in zip(experts, present[row], strict=True) if not there]
        raise InputError(
            f"--require-all: the sample '{block.ids[row]}' was not scored by {', '.join(absent)} "
            f"({len(incomplete)} of the {len(present)} samples read with it lack an expert)"
        )


def _tally(model: FusedModel, present: np.ndarray, fused: pl.DataFrame) -> Tally:
    count = present.sum(axis=1)
    lacking = (~present).sum(axis=0)
    together = present[count > 1].sum(axis=0)
    return Tally(
        len(present),
        fused.height,
        int(fused[SEEN].sum()) if SEEN in fused.columns else 0,
        int((count < len(model.experts)).sum()),
        int(count.min()),
        {name: int(n) for name, n in zip(model.experts, lacking, strict=True) if n},
        {name: int(n) for name, n in zip(model.experts, together, strict=True) if n},
    )
