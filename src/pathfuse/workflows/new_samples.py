"""New predictions for a fitted fusion: which samples there are, and which experts each of them
lacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from pathfuse.errors import InputError
from pathfuse.study.predictions import Expert


@dataclass(frozen=True)
class NewSamples:
    """Samples that any expert scored."""

    ids: list[str]
    """Sorted."""
    read: Mapping[str, Expert]
    """The experts whose predictions were given, by name."""
    names: tuple[str, ...]
    """All experts of the model."""

    @cached_property
    def present(self) -> Bool[np.ndarray, "sample expert"]:
        """Who scored which sample."""
        table = np.zeros((len(self.ids), len(self.names)), dtype=bool)
        for m, name in enumerate(self.names):
            if name in self.read:
                scored = set(self.read[name].ids)
                table[:, m] = [i in scored for i in self.ids]
        return table

    @property
    def n_experts(self) -> Int[np.ndarray, " sample"]:
        """How many experts scored each sample."""
        return self.present.sum(axis=1)

    @property
    def lacking(self) -> dict[str, int]:
        """How many samples each expert did not score; without those that scored all."""
        counts = (~self.present).sum(axis=0)
        return {name: int(n) for name, n in zip(self.names, counts, strict=True) if n}

    def with_at_least(self, n_experts: int) -> "NewSamples":
        """The samples that so many experts scored.

        Raises:
            InputError: The number is out of range, or no sample is left.
        """
        check_min_experts(n_experts, len(self.names))
        kept = [i for i, n in zip(self.ids, self.n_experts, strict=True) if n >= n_experts]
        if not kept:
            most = int(self.n_experts.max())
            raise InputError(
                f"--min-experts {n_experts} leaves no sample: none was scored by more than {most} experts"
            )
        return replace(self, ids=kept)

    def check_complete(self) -> None:
        """Refuses samples that lack an expert.

        Raises:
            InputError: Naming the first sample, whom it lacks, and how many such samples there are.
        """
        incomplete = np.flatnonzero(~self.present.all(axis=1))
        if len(incomplete):
            absent = [
                name
                for name, there in zip(self.names, self.present[incomplete[0]], strict=True)
                if not there
            ]
            raise InputError(
                f"--require-all: the sample '{self.ids[incomplete[0]]}' was not scored by {', '.join(absent)} "
                f"({len(incomplete)} of {len(self.ids)} samples lack an expert)"
            )

    def summary(self) -> str:
        """One sentence on the experts that are missing; empty if none is."""
        n = int((~self.present.all(axis=1)).sum())
        fewest = int(self.n_experts.min())
        return lacking_in_words(n, len(self.ids), self.lacking, fewest, len(self.names))


def check_min_experts(least: int, n_experts: int) -> None:
    """Refuses a number of experts that no sample can have, or all have.

    Raises:
        InputError: It is not between 1 and the model's experts.
    """
    if not 1 <= least <= n_experts:
        raise InputError(
            f"--min-experts {least} must be between 1 and {n_experts}, the model's experts"
        )


def lacking_in_words(
    n_incomplete: int, n_samples: int, lacking: Mapping[str, int], fewest: int, n_experts: int
) -> str:
    """One sentence on the experts that are missing; empty if none is.

    Args:
        n_incomplete: Samples that lack an expert.
        n_samples: All.
        lacking: How many samples each expert did not score, of those that lack any.
        fewest: Experts that scored the sample with the fewest.
        n_experts: Of the model.
    """
    if not lacking:
        return ""
    parts = ", ".join(f"{name} on {count}" for name, count in lacking.items())
    return (
        f"{n_incomplete} of {n_samples} samples lack an expert: {parts}; "
        f"the fewest that scored a sample: {fewest} of {n_experts}"
    )
