"""The model of a pooled head by its name."""

from pathfuse.experts.heads.registry import HeadFacts, load
from pathfuse.experts.pooled.base import PooledModel


def make_model(facts: HeadFacts) -> PooledModel:
    """The ``PooledModel`` of a pooled head."""
    model: PooledModel = load(str(facts.model))()
    return model
