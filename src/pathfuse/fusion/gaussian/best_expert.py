"""One expert for all targets, the one with the lowest NLL on the fit rows."""

from pathfuse.fusion.gaussian.chains import best_first, one_hot, take_first
from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets
from pathfuse.fusion.gaussian.method import GaussianMethod, check_variances
from pathfuse.fusion.layout import check_numbers, check_order
from pathfuse.types import Params


class GaussianBestExpert(GaussianMethod):
    """The expert with the lowest NLL on the fit rows; where it is absent, the next best.

        μ[n, g], v[n, g] = μ[n, m*, g], v[n, m*, g]
        m* = argmin over m of  mean over (n, g) of ½ (log 2πv + (y - μ)² / v)

    ``μ[n, m, g]`` and ``v[n, m, g]`` are expert m's mean and variance of target g of sample n,
    (sample, expert, target), and
    ``y[n, g]`` is the truth, (sample, target). One expert for all targets.

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> experts = GaussianExperts(  # two samples, two experts, one target
        ...     mean=np.array([[[1.0], [3.0]], [[2.0], [2.0]]]),
        ...     variance=np.array([[[1.0], [3.0]], [[1.0], [1.0]]]),
        ... )
        >>> truth = np.array([[1.0], [2.0]])
        >>> model = GaussianBestExpert().fit_experts(experts, truth, groups=np.arange(2))
        >>> model.combine(experts).tolist()  # per sample the mean and the variance
        [[1.0, 1.0], [2.0, 1.0]]
    """

    name = "best_expert"
    summary = "the expert with the lowest negative log-likelihood on the fit rows"
    fits = False
    chooses = True

    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """See ``Fusion``: all experts in some order."""
        check_order(self.name, self.params_, n_experts)
        rest = {name: array for name, array in self.params_.items() if name != "order"}
        check_numbers(self.name, rest, self.layouts(n_experts, n_columns))
        check_variances(self.name, rest)

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: None
    ) -> Params:
        """See ``GaussianMethod``."""
        return {"order": best_first(experts, y)}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        return take_first(experts, params["order"])

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """One-hot."""
        return one_hot(experts, params["order"])
