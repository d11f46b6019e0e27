"""The methods by name: a new one needs a file and a line here."""

import numpy as np

from pathfuse.errors import InputError
from pathfuse.online.base import CandidateWeights, Weigher
from pathfuse.online.bayes import BayesMixture
from pathfuse.online.boa import BOA
from pathfuse.online.fixed_share import FixedShare

WEIGHERS: tuple[type[Weigher], ...] = (FixedShare, BayesMixture, BOA)
"""The first is the default."""
NAMES = tuple(kind.name for kind in WEIGHERS)
SHARE_OF_FIRST = 0.5
"""Of the prior weight: the fusion was chosen on the fit rows, and being as good as it costs ln 2."""


def weigher_named(name: str, prior: CandidateWeights) -> Weigher:
    """A method by its name.

    Raises:
        InputError: There is none of that name.
    """
    kinds = {kind.name: kind for kind in WEIGHERS}
    if name not in kinds:
        raise InputError(f"--by '{name}' is unknown; choose one of {', '.join(kinds)}")
    return kinds[name](prior)


def prior_of(n_candidates: int, first: float = SHARE_OF_FIRST) -> CandidateWeights:
    """Half of the weight on the first candidate, the rest in equal parts.

    Examples:
        >>> prior_of(3).tolist()
        [0.5, 0.25, 0.25]
    """
    if n_candidates == 1:
        return np.ones(1)
    return np.array([first, *[(1 - first) / (n_candidates - 1)] * (n_candidates - 1)])
