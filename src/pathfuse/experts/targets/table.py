"""The truth of every sample, and the table of an expert's predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.experts.targets.base import Raw, TargetKind
from pathfuse.experts.targets.registry import target_kind
from pathfuse.types import Index


@dataclass(frozen=True)
class Targets:
    """The truth of every sample in the form that a loss wants."""

    kind: str
    """Name of the way of being trained, see ``targets/registry.py``."""
    names: tuple[str, ...]
    """Of the outputs: classes, labels, bins or targets."""
    values: Float[np.ndarray, "sample column"]
    """Multiclass and survival: the set of outcomes that the truth allows; multilabel: 0 or 1;
    regression: numbers."""
    known: Bool[np.ndarray, "sample column"]
    """False where the truth is blank; one column where all outcomes are known together."""

    @property
    def n_outputs(self) -> int:
        """Length of a head's output."""
        return len(self.names)

    @property
    def usable(self) -> Bool[np.ndarray, " sample"]:
        """Samples that something is known of."""
        return np.asarray(self.known.any(axis=1))

    @property
    def way(self) -> TargetKind:
        """The way of being trained, with its usual likelihood."""
        return target_kind(self.kind)

    def strata(self, rows: Index) -> np.ndarray:
        """A small number of groups that folds should hold in equal shares.

        Nothing but the truth of these rows is used: quartiles over other rows would let held-out
        targets decide which rows a model is fitted on.

        Args:
            rows: The samples that are divided, each with some truth.

        Returns:
            Int, (row,): the group of each.
        """
        return self.way.strata(self.values[rows], self.known[rows])


def targets_of(endpoint: Endpoint, truth: Mapping[str, Truth]) -> Targets:
    """The truth of a samples table."""
    return Targets(endpoint.trained_as, *target_kind(endpoint.trained_as).encode(endpoint, truth))


def prediction_table(
    way: TargetKind,
    names: Sequence[str],
    ids: Sequence[str],
    raw: Raw,
    sd: np.ndarray | None = None,
) -> pl.DataFrame:
    """One expert's prediction table, sorted by ``sample_id``."""
    table = pl.DataFrame({"sample_id": list(ids), **way.columns(names, raw, sd)})
    return table.sort("sample_id")
