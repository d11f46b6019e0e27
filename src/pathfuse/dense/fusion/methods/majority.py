"""The class that most models give."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from pathfuse.dense.fusion.methods.base import DenseMethod, FitData, Probabilities, Segmenter
from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.strips import PixelClasses, PixelStrip, largest
from pathfuse.files.schema import Count, Stored, checked


class Majority(DenseMethod, Segmenter):
    """A vote; of classes with equally many votes the one that the best of their models gives.

    Which model is better than which is known from the fit images.

    Args:
        order: Models from best to worst.
    """

    name = "majority"
    summary = "the class that most models give"
    richness = 0
    gives_probabilities = False

    def __init__(self, order: tuple[int, ...] = ()) -> None:
        self.order = order

    def fit(self, data: FitData, seed: int) -> Self:
        """See ``DenseMethod``."""
        return type(self)(data.order)

    def refitted(self, data: FitData) -> Self:
        """See ``DenseMethod``."""
        return type(self)(data.order)

    def of_image(self, patterns: Patterns | None) -> Segmenter:
        """Itself: no pixel depends on the others."""
        return self

    def classes(self, strip: PixelStrip) -> PixelClasses:
        """See ``Segmenter``."""
        found = strip.agreed.copy()
        if len(strip.disputed):
            few = strip.decisions[:, strip.disputed]
            n_classes = strip.planes.shape[1]
            votes = np.zeros((n_classes, few.shape[1]), dtype=np.int64)
            for rank, m in enumerate(self.order):
                if strip.present[m]:
                    # Whole votes first; below them, one binary digit per model, the best one's largest.
                    votes[few[m], np.arange(few.shape[1])] += self._vote(rank)
            found[strip.disputed] = largest(votes)
        return found

    def _vote(self, rank: int) -> int:
        n_models = len(self.order)
        return (1 << n_models) + (1 << (n_models - 1 - rank))

    def probabilities(self, strip: PixelStrip) -> Probabilities:
        """None: votes are no probabilities."""
        raise NotImplementedError

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See ``DenseMethod``."""
        return {"order": list(self.order)}, {}

    @classmethod
    def restore(cls, content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Self:
        """See ``DenseMethod``."""
        return cls(tuple(checked(StoredMajority, content).order))

    def check_fitted(self, n_models: int, n_classes: int) -> None:
        """See ``DenseMethod``."""
        if sorted(self.order) != list(range(n_models)):
            raise ValueError(f"{self.name}: 'order' does not name each model once")


class StoredMajority(Stored):
    """As ``dump`` writes it."""

    order: list[Count]
