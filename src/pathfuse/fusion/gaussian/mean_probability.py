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
    """Plain average: nothing is fitted."""

    name = "mean_probability"
    summary = "the equal mixture of the experts' normal distributions, by its moments"
    fits = False

    def fit_cells(self, experts: GaussianExperts, y: Targets, setting: float) -> Params:
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
