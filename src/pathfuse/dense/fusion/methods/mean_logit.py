"""The mean of the models' logits: what a lab tries first."""

from pathfuse.dense.fusion.methods.registered import Registered
from pathfuse.fusion.categorical.uniform_product import UniformProduct


class MeanLogit(Registered):
    """Softmax of the mean over models of their logits; nothing is fitted.

    It is the normalised geometric mean of the models' probabilities (``uniform_product``): what is
    subtracted from a model's logits to normalise them is one number per pixel, so that the mean of
    the logits and that of the log-probabilities differ by one number per pixel.
    """

    name = "mean_logit"
    summary = "the class with the largest mean of the models' logits"
    of = UniformProduct
    richness = UniformProduct.richness
