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
    """Product of the experts' Gaussians, each raised to the power 1 / M: nothing is fitted.

        1 / v[n, g] = (1 / M) Σ_m 1 / v[n, m, g]
        μ[n, g] = v[n, g] (1 / M) Σ_m μ[n, m, g] / v[n, m, g]

    ``μ[n, m, g]`` and ``v[n, m, g]`` are expert m's mean and variance of target g of sample n,
    (sample, expert, target); the sums
    run over the M experts that predict it.

    References:
        Cao and Fleet (2014).

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> experts = GaussianExperts(  # two samples, two experts, one target
        ...     mean=np.array([[[1.0], [3.0]], [[2.0], [2.0]]]),
        ...     variance=np.array([[[1.0], [3.0]], [[1.0], [1.0]]]),
        ... )
        >>> truth = np.array([[1.0], [2.0]])
        >>> model = GaussianUniformProduct().fit_experts(experts, truth, groups=np.arange(2))
        >>> model.combine(experts).tolist()  # per sample the mean and the variance
        [[1.5, 1.5], [2.0, 1.0]]
    """

    name = "uniform_product"
    summary = "the product of the experts' normal distributions with equal weights"
    references = (CAO_2014,)
    fits = False

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: None
    ) -> Params:
        """See ``GaussianMethod``."""
        return {}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        return pool(experts, equal_share(experts))

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Equal."""
        return equal_share(experts)
