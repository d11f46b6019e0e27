"""The lengths of what a head reads, and the operations that it takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Inputs:
    """What a head reads: the length of each encoder's vectors, side by side in the order of their
    names.
    """

    views: Mapping[str, int]
    teachers: Mapping[str, int] = field(default_factory=dict)
    """Length of each slide-level teacher's vector."""
    single: bool = False
    """One vector per sample, so that there is nothing to pool."""

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return sum(self.views.values())


@dataclass(frozen=True)
class Operations:
    """As ``pathfuse.costs`` defines them."""

    fit: float
    predict_per_unit: float
    """With all draws of tiles."""
