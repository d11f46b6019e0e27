"""How long work reports how far it has come."""

from collections.abc import Callable
from typing import Any, TypeAlias

Progress: TypeAlias = Callable[[str, float], None]
"""Called with what is being done and the share of the work that is done, from 0 to 1."""

OnShare: TypeAlias = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1."""

OnEpoch: TypeAlias = Callable[[dict[str, Any]], None]
"""Called after every epoch of a training with its line of the history (``epoch``, ``train_loss``,
...)."""


def silent(message: str, share: float) -> None:
    """Shows nothing."""


def unreported(share: float) -> None:
    """Reports no progress."""


def within(progress: Progress, low: float, high: float, before: str = "") -> Progress:
    """The progress of a part of the work, which goes from one share of the whole to another.

    Args:
        progress: Of the whole.
        low: Share of the whole at which the part begins.
        high: Share of the whole at which it ends.
        before: What each message begins with.

    Examples:
        >>> within(lambda message, share: print(f"{message}: {share:.2f}"), 0.5, 0.75, "fuse: ")("evaluating", 0.2)
        fuse: evaluating: 0.55
    """
    return lambda message, share: progress(before + message, low + (high - low) * share)
