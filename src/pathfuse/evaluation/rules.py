"""How methods are evaluated: what a user may choose."""

from dataclasses import dataclass

from pathfuse.errors import InputError


@dataclass(frozen=True)
class Rules:
    """How methods are evaluated."""

    n_resamples: int = 2000
    """Bootstrap resamples by patient."""
    seed: int = 0
    interval: str = "auto"
    """One of ``intervals.KINDS``: ``auto`` (what covers), ``percentile``, or ``bca``."""
    margin: float = 0.01
    """Largest acceptable loss to the best expert, in the metric's unit, for non-inferiority."""
    drawn: str = "patient"
    """What is resampled, in words: ``patient``, or ``sample`` where no patients were given."""
    n_jobs: int | None = None
    """Processes that work on the resamples, as in joblib; no figure depends on it."""


DEFAULT = Rules()


def check_seed(seed: int) -> None:
    """Refuses seeds that scikit-learn and numpy would refuse later.

    Raises:
        InputError: The seed is out of range.
    """
    if not 0 <= seed < 2**31:
        raise InputError(f"--seed {seed} is out of range; give a number from 0 to {2**31 - 1}")
