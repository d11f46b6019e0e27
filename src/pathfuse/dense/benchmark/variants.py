"""Strategies of a benchmark under their labels: one entry of ``grid.yaml`` times the axes of the grid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pathfuse.dense.strategies.registry import STRATEGIES

Rank = Annotated[int, Field(ge=1)]
SizePx = Annotated[int, Field(ge=8, le=16_384)]
RANK, SIZE = "rank", "size_px"
SUFFIX = {RANK: "r{}", SIZE: "{}px"}
"""What a label says of an axis that has several values."""


class BenchmarkStrategy(BaseModel):
    """One entry of ``strategies``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    """One of ``STRATEGIES``."""
    rank: Rank | None = None
    """Its own rank, which the axis ``rank`` does not multiply."""
    size_px: SizePx | None = None
    """Its own size, which the axis ``size_px`` does not multiply."""
    capacity: Literal["rank", "equal"] | None = None
    recipe: dict[str, Any] = {}

    @property
    def sets(self) -> dict[str, Any]:
        """What it says of the recipe."""
        own = {RANK: self.rank, SIZE: self.size_px, "capacity": self.capacity}
        return {**self.recipe, **{key: value for key, value in own.items() if value is not None}}


@dataclass(frozen=True)
class Variant:
    """An entry with one value of each axis."""

    label: str
    """In tables and folders."""
    entry: str
    """Name of the entry, as ``per_strategy`` has it."""
    strategy: str
    """The adaptation behind it."""
    axes: Mapping[str, int]
    """Values of the axes that multiply this entry."""


def named(entries: Any) -> Any:
    """Entries by label: ``lora`` is short for ``lora: {strategy: lora}``.

    Raises:
        ValueError: A label stands twice.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return entries
    found: dict[Any, Any] = {}
    for entry in entries:
        short = {entry: {"strategy": entry}} if isinstance(entry, str) else entry
        if not isinstance(short, Mapping):
            raise ValueError(
                f"'strategies' holds {entry!r}; write a name, or a label with what it stands for, "
                "such as {lora_r4: {strategy: lora, rank: 4}}"
            )
        for label, content in short.items():
            if label in found:
                raise ValueError(
                    f"'{label}' stands twice in 'strategies'; give one of them a label of its own, "
                    f"such as {{{label}_again: {{strategy: {label}, ...}}}}"
                )
            found[label] = content
    return found


def variants_of(
    entries: Mapping[str, BenchmarkStrategy], axes: Mapping[str, Sequence[int]]
) -> Iterator[Variant]:
    """Every entry with every value of the axes that concern it.

    The rank multiplies strategies of low rank only, and no axis multiplies an entry that has a value
    of its own. An axis of one value leaves no trace in the label.

    Args:
        entries: By label.
        axes: Values of ``rank`` and of ``size_px``; none where the grid has no such axis.
    """
    for name, entry in entries.items():
        own = [
            (axis, values)
            for axis, values in axes.items()
            if values and axis not in entry.sets and (axis != RANK or _low_rank(entry))
        ]
        found: list[dict[str, int]] = [{}]
        for axis, values in own:
            found = [{**one, axis: value} for one in found for value in values]
        several = {axis for axis, values in own if len(values) > 1}
        for one in found:
            parts = [SUFFIX[axis].format(one[axis]) for axis in one if axis in several]
            yield Variant("-".join([name, *parts]), name, entry.strategy, one)


def _low_rank(entry: BenchmarkStrategy) -> bool:
    return entry.strategy in STRATEGIES and STRATEGIES[entry.strategy].low_rank
