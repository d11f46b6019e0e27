"""One expert for all targets, the one with the lowest NLL on the fit rows."""

from pathfuse.fusion.gaussian.chains import best_first, one_hot, take_first
from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets
from pathfuse.fusion.gaussian.method import GaussianMethod
from pathfuse.types import Params


class GaussianBestExpert(GaussianMethod):
    """Where it is absent, the next best that predicts the cell."""

    name = "best_expert"
    summary = "the expert with the lowest negative log-likelihood on the fit rows"
    fits = False
    chooses = True

    def fit_cells(self, experts: GaussianExperts, y: Targets, setting: float) -> Params:
        """See ``GaussianMethod``."""
        return {"order": best_first(experts, y)}

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        return take_first(experts, params["order"])

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """One-hot."""
        return one_hot(experts, params["order"])
