"""The product of the experts' Gaussians with equal weights: the precision-weighted mean (gPoE; Cao & Fleet 2014)."""

from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets, equal_share, pool
from pathfuse.fusion.gaussian.rung import GaussianRung
from pathfuse.types import Params


class GaussianUniformProduct(GaussianRung):
    """Equal weights that sum to 1: nothing is fitted."""

    name = "uniform_product"
    fits = False

    def fit(self, experts: GaussianExperts, y: Targets, setting: float, seed: int = 0) -> Params:
        """See ``GaussianRung``."""
        return {}

    def pool(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianRung``."""
        return pool(experts, equal_share(experts))

    def share(self, experts: GaussianExperts, params: Params) -> Moments:
        """Equal."""
        return equal_share(experts)
