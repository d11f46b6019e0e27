"""Which classes the models give together, and how often: all that an image says of methods that
read decisions alone.

An image of a million pixels has a handful of such combinations (at most K to the power M).
"""

import numpy as np
from jaxtyping import Int, Shaped

from pathfuse.dense.fusion.strips import Decisions

Codes = Shaped[np.ndarray, " pixel"]
"""A number, or a text, per combination."""


class Patterns:
    """The combinations of one image, gathered strip by strip.

    Args:
        n_classes: K.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._codes: Codes | None = None
        self.counts: Int[np.ndarray, " pattern"] = np.zeros(0, dtype=np.int64)
        """Pixels of each combination."""
        self.decisions: Decisions = np.zeros((0, 0), dtype=np.uint8)
        """The combinations, (expert, pattern), in the order of ``counts``."""

    def add(self, decisions: Decisions) -> None:
        """Counts pixels."""
        codes, first, counts = np.unique(
            self._code(decisions), return_index=True, return_counts=True
        )
        found = decisions[:, first]
        if self._codes is not None:
            codes = np.concatenate([self._codes, codes])
            found = np.concatenate([self.decisions, found], axis=1)
            counts = np.concatenate([self.counts, counts])
            codes, first, place = np.unique(codes, return_index=True, return_inverse=True)
            found, counts = found[:, first], np.bincount(place.reshape(-1), weights=counts)
        self._codes, self.decisions, self.counts = codes, found, counts.astype(np.int64)

    def index(self, decisions: Decisions) -> Int[np.ndarray, " pixel"]:
        """Which combination each pixel has; all were counted before."""
        assert self._codes is not None  # noqa: S101 - counted before
        return np.searchsorted(self._codes, self._code(decisions))

    def _code(self, decisions: Decisions) -> Codes:
        n_models = len(decisions)
        if self.n_classes**n_models > 2**63:  # beyond whole numbers: the classes as text
            letters = np.ascontiguousarray((decisions + 1).T)  # a 0 would end a text
            return letters.view(f"S{n_models}").reshape(-1)
        code = decisions[0].astype(np.min_scalar_type(self.n_classes**n_models - 1))
        for own in decisions[1:]:
            code *= self.n_classes
            code += own
        return code
