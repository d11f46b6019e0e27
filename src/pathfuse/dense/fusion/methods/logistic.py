"""Multinomial logistic regression on all models' log-probabilities."""

from pathfuse.dense.fusion.methods.registered import Registered
from pathfuse.fusion.categorical.stacking import Stacking


class Logistic(Registered):
    """Ridge softmax regression (``stacking``), for classes as frequent as they are in the images.

    The regression learns how frequent the classes are among its fit pixels. Where these were drawn
    with ``balance``, the logarithm of true frequency by that among the fit pixels is added to its
    scores: the posterior for the classes' natural frequencies, by Bayes' rule.
    """

    name = "logistic"
    summary = "a multinomial logistic regression on all models' log-probabilities"
    of = Stacking
    richness = Stacking.richness
