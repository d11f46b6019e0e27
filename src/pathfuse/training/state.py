"""Where a training is."""

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class TrainingState:
    """The state after some epochs."""

    best: dict[str, Tensor]
    """What the best epoch learned."""
    epoch: int = 0
    """Finished epochs."""
    best_epoch: int = -1
    """Counted from 0; -1: none yet."""
    best_value: float = -math.inf
    """Of what the best epoch is chosen by; more is better, so that a loss stands here with its sign
    turned."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """A line per epoch."""
