"""The equal mixture of the experts' Gaussians, by its moments: mean of means, variance within plus
between.
"""

import numpy as np

from pathfuse.costs import add_flops
from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    Moments,
    Targets,
    equal_share,
)
from pathfuse.fusion.gaussian.method import GaussianMethod
from pathfuse.types import Params


class GaussianMean(GaussianMethod):
    """Mean and variance of the equal mixture of the experts' Gaussians: nothing is fitted.

        μ[n, g] = (1 / M) Σ_m μ[n, m, g]
        v[n, g] = (1 / M) Σ_m v[n, m, g]  +  (1 / M) Σ_m (μ[n, m, g] - μ[n, g])²

    ``μ[n, m, g]`` and ``v[n, m, g]`` are expert m's mean and variance of target g of sample n,
    (sample, expert, target); the sums
    run over the M experts that predict it.

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> experts = GaussianExperts(  # two samples, two experts, one target
        ...     mean=np.array([[[1.0], [3.0]], [[2.0], [2.0]]]),
        ...     variance=np.array([[[1.0], [3.0]], [[1.0], [1.0]]]),
        ... )
        >>> truth = np.array([[1.0], [2.0]])
        >>> model = GaussianMean().fit_experts(experts, truth, groups=np.arange(2))
        >>> model.combine(experts).tolist()  # per sample the mean and the variance
        [[2.0, 3.0], [2.0, 1.0]]
    """

    name = "mean_probability"
    summary = "the equal mixture of the experts' normal distributions, by its moments"
    fits = False

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: None
    ) -> Params:
        """See ``GaussianMethod``."""
        return {}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        share, present = equal_share(experts), experts.present
        means = np.where(present, experts.mean, 0.0)
        add_flops(6 * share.size)
        mean = (share * means).sum(axis=1)
        within = (share * np.where(present, experts.variance, 0.0)).sum(axis=1)
        between = (share * (means - mean[:, None]) ** 2).sum(axis=1)
        predicted = present.any(axis=1)
        return Gaussian(
            np.where(predicted, mean, np.nan), np.where(predicted, within + between, np.nan)
        )

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Equal."""
        return equal_share(experts)
