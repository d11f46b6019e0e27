"""The product of the experts' Gaussians with equal weights: the precision-weighted mean (gPoE; Cao
& Fleet 2014).
"""

from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    Moments,
    Targets,
    equal_share,
    pool,
)
from pathfuse.fusion.gaussian.method import GaussianMethod
from pathfuse.references import Reference
from pathfuse.types import Params

CAO_2014 = Reference(
    "cao2014",
    "misc",
    {
        "author": "Cao, Y. and Fleet, D. J.",
        "title": "Generalized product of experts for automatic and principled fusion of Gaussian process predictions",
        "howpublished": "arXiv 1410.7827",
        "year": "2014",
    },
)


class GaussianUniformProduct(GaussianMethod):
    """Equal weights that sum to 1: nothing is fitted."""

    name = "uniform_product"
    summary = "the product of the experts' normal distributions with equal weights"
    references = (CAO_2014,)
    fits = False

    def fit_cells(self, experts: GaussianExperts, y: Targets, setting: float) -> Params:
        """See ``GaussianMethod``."""
        return {}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        return pool(experts, equal_share(experts))

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Equal."""
        return equal_share(experts)
