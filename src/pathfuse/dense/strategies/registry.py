"""The strategies by name, with what is known of each without loading torch.

A new one is one file with its class, and one entry here.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

PUBLISHED_RATE = 1e-3
"""Learning rate of adapter and decoder alike, as published."""


@dataclass(frozen=True)
class StrategyFacts:
    """What recipes, networks and commands ask of a strategy."""

    name: str
    """As in commands and tables."""
    file: str
    """Module in this folder that holds its class."""
    class_name: str
    learning_rate: float = PUBLISHED_RATE
    """Of the weights that it trains: gentle where trained weights are changed, that of the decoder
    where the adapter starts from nothing. One rate for all made runs collapse
    (docs/design/densebench.md, section 7, defect 12)."""
    trains_trunk: bool = False
    """Whether weights inside the trunk train."""
    trains_all: bool = False
    """Whether all of them do, so that the trunk is in training mode."""
    low_rank: bool = False
    """Whether it adds updates of low rank to the layers of attention."""
    cacheable: bool = False
    """Whether the trunk's tokens stay the same during training, so that they can be kept."""

    published: bool = True
    """Whether the published leaderboard has it."""

    def load(self) -> type[Any]:
        """Its class; this imports torch."""
        module = import_module(f"pathfuse.dense.strategies.{self.file}")
        found: type[Any] = getattr(module, self.class_name)
        return found


_ALL = (
    StrategyFacts("frozen", "frozen", "Frozen", cacheable=True),
    StrategyFacts("lora", "lora", "Lora", 2e-4, trains_trunk=True, low_rank=True),
    StrategyFacts("dora", "dora", "Dora", 2e-4, trains_trunk=True, low_rank=True),
    StrategyFacts("cnn", "cnn", "CnnAdapter", 1e-3),
    StrategyFacts("transformer", "transformer", "TransformerAdapter", 2e-4, cacheable=True),
    StrategyFacts(
        "full", "full", "Full", 2e-5, trains_trunk=True, trains_all=True, published=False
    ),
)
STRATEGIES = {strategy.name: strategy for strategy in _ALL}
