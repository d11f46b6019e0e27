"""How to judge: what a user may choose of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """How to judge."""

    n_resamples: int = 2000
    """Bootstrap resamples by patient."""
    seed: int = 0
    interval: str = "auto"
    """One of ``intervals.KINDS``: ``auto`` (what covers), ``percentile``, or ``bca``."""
    margin: float = 0.01
    """Largest acceptable loss to the best expert, in the metric's unit, for non-inferiority."""
    drawn: str = "patient"
    """What is resampled, in words: ``patient``, or ``sample`` where no patients were given."""


DEFAULT = Rules()
