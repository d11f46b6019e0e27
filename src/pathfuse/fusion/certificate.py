"""The guarantee, computed and never assumed: on the fit rows the fusion is no worse than the best
expert.

LogitProd proves that the optimal product is no worse than the best expert on the training
objective, because one-hot weights are in the family. That is a statement about an optimum; this
file checks the fusion that was actually reached. It speaks about the fit rows and is no evidence
about new patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TOLERANCE = 1e-9
"""Nats; room for rounding, not for losing."""


@dataclass(frozen=True)
class Certificate:
    """Unpenalised fit-row objective of the fusion and of every expert.

    Examples:
        >>> certificate = Certificate(fused=0.31, experts=(0.42, 0.35), n_scored=(60, 58))
        >>> certificate.best_expert, certificate.holds
        (1, True)
        >>> certificate.as_dict(["uni", "virchow2"])["best_expert"]
        'virchow2'
    """

    fused: float
    experts: tuple[float, ...]
    """Per expert, over all fit rows; where it is absent, the best expert that did score the row
    stands in."""
    n_scored: tuple[int, ...]
    """Fit rows that each expert scored."""
    fallback: str | None = None
    """What the fit fell back to because the optimiser ended above the best expert; None: it did
    not."""
    objective: str = "nll"

    @property
    def best_expert(self) -> int:
        """Position of the expert with the lowest objective."""
        return int(np.argmin(self.experts))

    @property
    def holds(self) -> bool:
        """Whether the fusion is no worse than the best expert."""
        return bool(self.fused <= self.experts[self.best_expert] + TOLERANCE)

    def as_dict(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """The content of ``certificate.json``."""
        names = names or [str(m) for m in range(len(self.experts))]
        return {
            "objective": self.objective,
            "fused": self.fused,
            "experts": dict(zip(names, self.experts, strict=True)),
            "best_expert": names[self.best_expert],
            "holds": self.holds,
            "n_rows_scored": dict(zip(names, self.n_scored, strict=True)),
            "fallback": self.fallback,
        }

    def __getitem__(self, key: str) -> Any:
        """The entries of ``as_dict``, experts by position."""
        return self.as_dict()[key]
