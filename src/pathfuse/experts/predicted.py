"""What a model predicts of some units."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Predicted:
    """See the module."""

    outputs: np.ndarray
    """Float, (unit, output), the mean over draws; regression in the targets' own unit."""
    attention: list[np.ndarray] | None = None
    """Per unit Float, (tile,)."""
    spread: np.ndarray | None = None
    """Float, (unit, output): standard deviation over draws of tiles, for a head that draws them;
    raw outputs."""
