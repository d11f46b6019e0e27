"""Which samples lack an expert, as figures."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from pathfuse.drift.figures import MISSING, Figure
from pathfuse.types import PerSample


def missing_figures(
    scored: Bool[np.ndarray, "sample expert"], experts: Sequence[str]
) -> Iterator[tuple[Figure, PerSample]]:
    """1 where an expert did not score the sample at all, else 0."""
    for m, name in enumerate(experts):
        yield Figure(MISSING.name, name), (~scored[:, m]).astype(np.float64)
