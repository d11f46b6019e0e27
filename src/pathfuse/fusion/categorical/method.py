"""Base of the methods for distributions over outcomes."""

from pathfuse.fusion.categorical.classifier import LogitClassifier
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.method import Method


class CategoricalMethod(LogitClassifier, Method[Experts]):
    """A method that can be fitted on arrays, too."""
