"""Base of the methods for distributions over outcomes."""

from typing import ClassVar

from pathfuse.fusion.categorical.classifier import LogitClassifier
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.method import Method


class CategoricalMethod(LogitClassifier, Method[Experts]):
    """A method that can be fitted on arrays, too."""

    richness: ClassVar[int] = 2
    """What is fitted: 0 nothing; 1 numbers that hold for all samples; 2 weights that follow the
    sample; 3 a coefficient for every two outcomes. The simplest is the one with the least."""
    keeps_agreement: ClassVar[bool] = True
    """Whether the outcome that all experts find most likely is what it finds most likely, too: true
    of every pool with weights of 0 and more."""
    constant_powers: ClassVar[bool] = False
    """Whether it is a product with the same powers in all samples that the same experts scored."""
    has_outcome_bias: ClassVar[bool] = False
    """Whether it learns how frequent the outcomes are among the fit rows."""
