"""How long work reports how far it has come."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from pathfuse.unseen import as_html

Progress: TypeAlias = Callable[[str, float], None]
"""Called with what is being done and the share of the work that is done, from 0 to 1."""

OnShare: TypeAlias = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1."""

OnEpoch: TypeAlias = Callable[[dict[str, Any]], None]
"""Called after every epoch of a training with its line of the history (``epoch``, ``train_loss``,
...)."""


Say: TypeAlias = Callable[[str], None]
"""Called with a sentence that the user should read."""


def silent(message: str, share: float) -> None:
    """Shows nothing."""


def shown_here() -> Progress:
    """A bar in a notebook; silent elsewhere, where the caller says how progress is shown."""
    return notebook_bar() if "ipykernel" in sys.modules else silent


def notebook_bar() -> Progress:
    """A bar under the notebook's cell, which is filled as the work goes on."""
    display = import_module("IPython.display")
    handle: Any = None

    def show(message: str, share: float) -> None:
        nonlocal handle
        bar = f'<progress max="1" value="{share:.3f}"></progress> {as_html(message)}'
        if handle is None:
            handle = display.display(display.HTML(bar), display_id=True)
        else:
            handle.update(display.HTML(bar))

    return show


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
