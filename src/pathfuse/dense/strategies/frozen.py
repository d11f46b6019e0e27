"""Frozen: only the decoder trains."""

from pathfuse.dense.strategies.base import AdaptationStrategy


class Frozen(AdaptationStrategy):
    """The encoder as it is, always in evaluation mode (the benchmark left it in training mode)."""

    name = "frozen"
